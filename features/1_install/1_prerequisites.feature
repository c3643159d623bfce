@profile:install
Feature: Prerequisites: tools, rights, Teleport and nodes
  The guide requires kubectl, istioctl, tctl and administrator rights on both sides. It verifies them with commands that exit
  with 0 whatever they report. These scenarios judge the reported values themselves.
  Source: guide, "Prerequisites" and Step 1.

  @requirement:INST-01 @safety:read-only
  Scenario: kubectl and istioctl have supported versions
    Given the version of the API server
    Then kubectl must be 1.27 or later and within one minor version of the API server
    And istioctl must be 1.28 or later

  @requirement:INST-01 @safety:read-only
  Scenario: tctl has a version that Teleport supports
    Given the version of tctl
    Then tctl must be within one major version of Teleport

  @requirement:INST-02 @safety:read-only
  Scenario: The Kubernetes identity has every right that the suite needs
    When the suite asks the API server about every right that it needs
    Then the API server must grant all of them

  @requirement:INST-03 @safety:read-only
  Scenario: Teleport answers with its cluster name and its SPIFFE bundle
    When the suite reads Teleport's public ping and SPIFFE bundle
    Then the SPIFFE bundle must belong to Teleport's cluster name and hold an authority that is valid now
    And the admin session must work

  @requirement:INST-04 @safety:namespaced
  Scenario: Every node can run tbot and let it attest pods
    Given a probe pod, configured like tbot, on every node that takes workloads
    Then the API server must have admitted every probe with hostPath and hostPID
    And every probe must reach its kubelet at the address that tbot uses
    And every probe must read pod and container IDs from mountinfo
