@profile:identity
Feature: No workload can take over the node's socket
  If the socket is called `socket` and is missing, Istio's agent creates one in its place. In a writable socket directory that
  socket serves the whole node: the next pod gets the first pod's identity and private key, and looks healthy in every other way.
  Source: Istio, pilot-agent's handling of the socket; observed on a live cluster.

  @requirement:ID-08 @safety:namespaced
  Scenario: No workload can write to the socket directory
    Given a probe pod as the user of Istio's proxies on every node with tbot's socket, which only reads what it may do there
    Then no probe pod must be able to write to the socket directory

  @requirement:ID-08 @safety:read-only
  Scenario: No container but tbot's can write to the socket directory as root
    Given every container of every pod, with its mounts and its user
    Then only tbot's containers must be able to write to the socket directory as root

  @requirement:ID-12 @safety:read-only
  Scenario: Sidecars and gateways mount the socket read-only
    Given the mount tables of the proxies that mount the node's socket directory
    Then the effective mount in each proxy must be read-only
