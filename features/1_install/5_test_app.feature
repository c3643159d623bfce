@profile:install
Feature: The test application runs with the node's socket
  Source: guide, Step 8.

  @requirement:INST-15 @safety:read-only
  Scenario: The test application runs with a sidecar on the node's socket
    Given the pods of the test application
    Then some node must fit their node selector
    And as many pods as are wanted must be Ready with a started istio-proxy
    And the workload-socket of every pod must be the node's socket directory
    And no proxy must have restarted of late
