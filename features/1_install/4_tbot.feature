@profile:install
Feature: tbot serves identities on every node
  Source: guide, Step 7.

  @requirement:INST-13 @safety:read-only
  Scenario: tbot is ready where injected pods run, and set up so that attestation works
    Given tbot's DaemonSet, its pods and its configuration
    And the nodes that host injected pods
    Then a ready tbot pod must run on each of those nodes
    And tbot's configuration must have no setting that breaks joining or attestation

  @requirement:INST-14 @safety:namespaced
  Scenario: The socket of every node answers with the caller's own identity
    Given a probe pod on every node that hosts injected pods, asking the socket for its identity over SDS
    Then every probe must have been given the identity of its own service account by Teleport

  @requirement:INST-16 @safety:read-only
  Scenario: No component has a known identity defect
    Given tbot's DaemonSet, its pods and its configuration
    And tbot's version as its bot instances report it
    Then no version must be one with a known identity defect
