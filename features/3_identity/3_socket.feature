@profile:identity
Feature: Nobody can take the node's socket over
  Istio's agent makes a socket of its own where it finds none. In a directory that it may write to, that socket serves the whole node:
  the next pod carries the first one's identity and key, with every sign of health.
  Source: Istio, the agent's handling of the socket; seen live.

  @requirement:ID-08 @safety:namespaced
  Scenario: The socket's directory is closed to workloads
    Given a probe pod on every node with the socket, as the user of Istio's proxies, that only asks what it might do
    Then no probe may write in the socket's directory

  @requirement:ID-12 @safety:read-only
  Scenario: Sidecars and gateways mount the socket read-only
    Given the mount tables of the proxies that mount the node's socket directory
    Then the mount in effect must be read-only in each
