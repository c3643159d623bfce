@profile:identity
Feature: No workload can take over the node's socket
  Istio's agent creates a socket of its own where it finds none. In a writable socket directory that socket serves the whole
  node: the next pod gets the first pod's identity and private key, and looks healthy in every other way.
  Source: Istio, pilot-agent's handling of the socket; observed on a live cluster.

  @requirement:ID-08 @safety:namespaced
  Scenario: No workload can write to the socket directory
    Given a probe pod on every node with the socket, with the UID of Istio's proxies, which only reads its access rights
    Then no probe must be able to write to the socket directory

  @requirement:ID-12 @safety:read-only
  Scenario: Sidecars and gateways mount the socket read-only
    Given the mount tables of the proxies that mount the node's socket directory
    Then the effective mount in each proxy must be read-only
