@profile:mtls
Feature: Proxies that Istio's configuration leads to each other accept each other
  Whether a handshake completes depends on both ends: the certificate, the authorities and the expected names of each. The suite
  predicts it from what both ends hold and are configured with, for every pair at once, and sends nothing.
  Source: X509-SVID section 5; Envoy, SPIFFE certificate validator; RFC 8446 section 4.4.

  @requirement:MTL-04 @safety:read-only
  Scenario: No proxy refuses the identity of another
    Given every proxy of the mesh, with the TLS that its Envoy is configured to speak
    Then no proxy must refuse the identity of another that Istio's configuration leads to it

  @requirement:MTL-06 @safety:read-only
  Scenario: Gateways and waypoints use their identities as sidecars do
    Given every proxy of the mesh, with the TLS that its Envoy is configured to speak
    And the trust domain of Teleport, and the aliases that the mesh accepts
    Then each gateway and waypoint must use the same secrets, and no peer must refuse it
