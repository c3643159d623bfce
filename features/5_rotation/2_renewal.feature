@profile:rotation
Feature: Certificates are renewed while they are in use
  What takes twenty minutes is let happen every twenty seconds, and on a second socket every thirty, so that nothing takes one
  pace for a law of nature. A fresh version_info, or a fresh last_updated, is no renewal: tbot before 18.6.4 sent both with the
  old certificate inside. What counts is another serial, another key and a later end, in the same Envoy.
  Source: guide, "Certificates not rotating automatically"; Teleport, tbot's renewal_interval; Envoy, secret discovery service.

  @requirement:ROT-02 @safety:disruptive
  Scenario: A new certificate comes in time, and nothing else is new
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And the proxies of alpha, beta and gamma, watched
    And the proxy with an Envoy of before 1.37, where there is one, watched as well
    When each of them has had time for 1 new certificate
    Then each must have had at least 1 new certificate, each within one renewal interval plus 5 s
    And each new certificate must have another serial, another key and a later end
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:ROT-03 @safety:disruptive
  Scenario: Three renewals under traffic cost no request
    Every request of the first four loads has a connection and a handshake of its own; the proxies at both ends ask nobody
    twice. The fifth load keeps one connection: it goes on whatever becomes of the certificates, and so it proves nothing. The
    last one is outside the mesh: where it times out as well, the nodes were too busy for anything to be told.

    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | gamma   | 20                | one each    |
      | gamma  | beta    | 20                | one each    |
      | alpha  | beta    | 5                 | one for all |
      | plain  | control | 10                | one each    |
    When each of them has had time for 3 new certificates
    And the traffic has ended
    Then each must have had at least 3 new certificates, each within one renewal interval plus 5 s
    And at most 0 requests may have failed
    And each request must have been a handshake of its own between the proxies
    And each server must have seen every certificate of its caller, and no other
    And no pod, no container and no Envoy may have been replaced or restarted
    And the connection that was kept must have shown nothing of this
