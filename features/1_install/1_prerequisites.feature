@profile:install
Feature: Prerequisites: tools, rights, Teleport and nodes
  The guide asks for kubectl, istioctl, tctl and admin rights on both sides, and verifies them with commands that succeed
  whatever the answer is. Here the answers themselves are read.
  Source: guide, "Prerequisites" and Step 1.

  @requirement:INST-01 @safety:read-only
  Scenario: kubectl and istioctl fit the cluster
    Given the version of the API server
    Then kubectl must be 1.27 or later and within one minor version of the API server
    And istioctl must be 1.28 or later

  @requirement:INST-01 @safety:read-only
  Scenario: tctl fits Teleport
    Given the version of tctl
    Then tctl must be within one major version of Teleport

  @requirement:INST-02 @safety:read-only
  Scenario: The Kubernetes identity in use may do what this run needs
    When the API server is asked about every right that this run needs
    Then no right must be missing

  @requirement:INST-03 @safety:read-only
  Scenario: Teleport is reachable and names itself
    When Teleport's public ping and SPIFFE bundle are read
    Then the SPIFFE bundle must belong to Teleport's cluster name and hold an authority that is valid now
    And the admin session must work

  @requirement:INST-04 @safety:namespaced
  Scenario: Every node can host tbot and attest its pods
    Given a probe pod on every node that takes workloads, set up as tbot is
    Then every probe must have been admitted with hostPath and hostPID
    And every probe must reach its kubelet at the name tbot dials
    And every probe must read pod and container ids from mountinfo
