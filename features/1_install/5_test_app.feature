@profile:install
Feature: The test application uses the node's socket
  The guide takes two ready containers as proof of a sidecar with SPIFFE. A pod without the injection template has two ready
  containers as well, and an identity from istiod.
  Source: guide, Step 8.

  @requirement:INST-15 @safety:read-only
  Scenario: The test application runs with a sidecar on the node's socket
    Given the pods of the test application
    Then at least one node must match their node selector
    And the desired number of pods must be Ready with a started istio-proxy
    And the workload-socket volume of every pod must be the node's socket directory
    And no istio-proxy must have restarted recently
