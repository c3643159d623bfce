@profile:install
Feature: tbot serves identities on every node
  A tbot pod that never joined Teleport can be Running, and tbot does not log the identities that it refuses over SDS. These
  scenarios read tbot's configuration and version, and ask its sockets.
  Source: guide, Step 7; Teleport changelog, 18.6.4 and 17.7.14.

  @requirement:INST-13 @safety:read-only
  Scenario: tbot is Ready on every node that hosts injected pods
    Given tbot's DaemonSet, its pods and its configuration
    And the nodes that host injected pods
    Then a Ready tbot pod must run on each of those nodes

  @requirement:INST-13 @safety:read-only
  Scenario: tbot's configuration lets it join and attest callers
    Given tbot's DaemonSet, its pods and its configuration
    Then tbot's configuration must have no setting that breaks joining or attestation

  @requirement:INST-14 @safety:namespaced
  Scenario: The socket of every node gives a caller its own identity
    Given a probe pod on every node that hosts injected pods, which requests its identity from the socket over SDS
    Then every probe must have received the identity of its own service account from Teleport

  @requirement:INST-16 @safety:read-only
  Scenario: No component has a version with a known identity defect
    Given tbot's DaemonSet, its pods and its configuration
    And tbot's version, as its bot instances report it
    Then no component must have a version with a known identity defect

  @requirement:INST-18 @safety:read-only
  Scenario: tbot's rights at the kubelet are what attestation needs
    With nodes/proxy, anyone who has tbot's token can run commands in every pod of every node. Kubelets of Kubernetes 1.33 and
    later list their pods for nodes/pods.

    Given tbot's DaemonSet, its pods and its configuration
    And the API server's answers about the rights of tbot's service account at the kubelet
    Then the service account must be able to list a kubelet's pods, and to do nothing else there
