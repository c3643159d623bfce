@profile:resilience
Feature: Identities survive an outage of tbot, Teleport or istiod
  The suite takes away one of the three under traffic and brings it back. Until a certificate expires no request fails: Envoy
  keeps its last certificate without any of them. After that every new handshake fails, while the pods stay Ready and an open
  connection continues. The suite measures how long recovery takes.
  The load outside the mesh shows what nodes and network do to requests. In a rehearsal, Teleport is the lab's stand-in.
  Source: Envoy, secret discovery service; Teleport, tbot's credential_ttl and renewal_interval; guide, Troubleshooting.

  @requirement:RES-01 @safety:disruptive
  Scenario: A restart of tbot costs no request
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | gamma  | beta    | 20                  | one per request |
      | plain  | control | 10                  | one per request |
    When the suite restarts tbot on every node
    And each proxy has had 40 s for a certificate from the new tbot
    And the suite stops the loads
    Then each proxy must have a certificate from the new tbot within 40 s of the restart on its node
    And the loads must have at most 0 failed requests
    And each request must have used its own mTLS handshake between the proxies
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:RES-02 @safety:disruptive
  Scenario: Without tbot, traffic continues until the certificates expire, and recovers when tbot is back
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | beta    | 5                   | one kept open   |
      | plain  | control | 10                  | one per request |
    When the suite keeps tbot away until 8 s after the last certificate has expired
    And each proxy has had 45 s for a new certificate
    And the loads have continued for 3 s
    And the suite stops the loads
    Then the loads must have at most 0 failed requests before a certificate at either end expired
    And from 3 s after that until the suite ended the outage, each request must have been refused
    And each Envoy must have kept its last certificate, and its pod must have stayed Ready
    And every request must be answered again within 45 s after the suite ended the outage
    And the connection that was kept open must have shown none of this
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:RES-03 @safety:disruptive
  Scenario: Without Teleport, traffic continues until the certificates expire, and recovers when Teleport is back
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the pods of tbot before the outage
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | beta    | 5                   | one kept open   |
      | plain  | control | 10                  | one per request |
    When the suite keeps Teleport from answering until 8 s after the last certificate has expired
    And each proxy has had 45 s for a new certificate
    And the loads have continued for 3 s
    And the suite stops the loads
    Then the loads must have at most 0 failed requests before a certificate at either end expired
    And from 3 s after that until the suite ended the outage, each request must have been refused
    And each Envoy must have kept its last certificate, and its pod must have stayed Ready
    And every request must be answered again within 45 s after the suite ended the outage
    And the connection that was kept open must have shown none of this
    And no pod of tbot must have been replaced or restarted
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:RES-07 @safety:disruptive
  Scenario: Without istiod, tbot renews certificates and traffic continues
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | plain  | control | 10                  | one per request |
    When the suite keeps istiod away until each proxy has had time for 2 new certificates
    And the suite stops the loads
    Then each proxy must have had at least 2 new certificates without istiod
    And each proxy must have had at least 2 new certificates, each within one renewal interval plus 5 s
    And the loads must have at most 0 failed requests
    And no pod, container or Envoy must have been replaced or restarted
