@profile:mtls
Feature: The mesh uses the identities that its proxies hold
  A proxy can hold the right certificate while its listeners ask no client for one, or its clusters send plain text. These
  scenarios read how every Envoy is configured to speak, from its own admin interface, and change nothing. The suite's own
  test pods do not count.
  Source: Istio, mutual TLS; Envoy, TLS contexts.

  @requirement:MTL-01 @safety:read-only
  Scenario: Wherever a proxy speaks mutual TLS, it uses the secrets of the external socket
    Given every proxy of the mesh, with the TLS that its Envoy is configured to speak
    And the trust domain of Teleport, and the aliases that the mesh accepts
    Then each TLS context for peers of the mesh must use the secrets default and ROOTCA, and demand a certificate

  @requirement:MTL-02 @safety:read-only
  Scenario: No inbound port takes plain text
    Given every proxy of the mesh, with the TLS that its Envoy is configured to speak
    Then no port of an injected workload must take plain text

  @requirement:MTL-03 @safety:read-only
  Scenario: No proxy sends plain text
    Given every proxy of the mesh, with the TLS that its Envoy is configured to speak
    Then no proxy must send plain text to a workload of the mesh
