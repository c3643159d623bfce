@profile:rotation
Feature: tbot renews certificates while workloads use them
  tbot usually renews every twenty minutes. Here it renews every twenty seconds, and every thirty on a second socket, so that no
  check depends on one interval. A fresh version_info or last_updated is no renewal: tbot before 18.6.4 sent both with the old
  certificate. A renewal brings another serial number, another key and a later expiry, in the same Envoy.
  Of the test pods, gamma uses the second socket; plain and control are outside the mesh.
  Source: guide, "Certificates not rotating automatically"; Teleport, tbot's renewal_interval; Envoy, secret discovery service.

  @requirement:ROT-02 @safety:disruptive
  Scenario: Each proxy gets a new certificate in time, and nothing else changes
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the suite watches the proxies of alpha, beta and gamma
    And the suite also watches the proxy with an Envoy before 1.37, if there is one
    When each proxy has had time for 1 new certificate
    Then each proxy must have had at least 1 new certificate, each within one renewal interval plus 5 s
    And each new certificate must have another serial number, another key and a later expiry
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:ROT-03 @safety:disruptive
  Scenario: Three renewals under traffic cost no request
    Each request of the first four loads has its own connection and handshake, and the proxies at both ends do not retry.
    The fifth load keeps one connection open. It continues whatever happens to the certificates, so it proves nothing.
    If the last load, outside the mesh, times out as well, the nodes were too busy for a verdict.

    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | gamma   | 20                  | one per request |
      | gamma  | beta    | 20                  | one per request |
      | alpha  | beta    | 5                   | one kept open   |
      | plain  | control | 10                  | one per request |
    When each proxy has had time for 3 new certificates
    And the suite stops the loads
    Then each proxy must have had at least 3 new certificates, each within one renewal interval plus 5 s
    And the loads must have at most 0 failed requests
    And each request must have used its own mTLS handshake between the proxies
    And each server must have seen every certificate of its caller, and no other
    And no pod, container or Envoy must have been replaced or restarted
    And the connection that was kept open must have shown none of this
