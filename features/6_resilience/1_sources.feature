@profile:resilience
Feature: Identities outlast what they come from
  Of what issues identities each part is taken away under traffic and brought back. Until a certificate ends nobody notices: Envoy
  keeps the last one that it was given, and needs neither tbot nor Teleport for it, and istiod never. When it has ended, every new
  handshake is refused, while the pods stay Ready, and a connection that was made before goes on. How long it takes until all is
  well again is measured, not assumed.
  The load outside the mesh shows what the nodes and the network do to requests by themselves. In a rehearsal the Teleport that is
  taken away is the lab's stand-in.
  Source: Envoy, secret discovery service; Teleport, tbot's credential_ttl and renewal_interval; guide, Troubleshooting.

  @requirement:RES-01 @safety:disruptive
  Scenario: A restart of tbot costs no request
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | gamma  | beta    | 20                | one each    |
      | plain  | control | 10                | one each    |
    When tbot is restarted on every node
    And each proxy has had 40 s for a certificate from the new tbot
    And the traffic has ended
    Then each proxy must have a certificate from the new tbot within 40 s of the restart on its node
    And at most 0 requests may have failed
    And each request must have been a handshake of its own between the proxies
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:RES-02 @safety:disruptive
  Scenario: Without tbot all goes on until the certificates end, and then nothing does
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | beta    | 5                 | one for all |
      | plain  | control | 10                | one each    |
    When tbot is away from every node until 8 s after the last certificate has ended, and comes back
    And each proxy has had 45 s for a new certificate
    And the traffic has gone on for 3 s more
    And the traffic has ended
    Then at most 0 requests may have failed before a certificate of theirs had ended
    And from 3 s after that end on, each request must have been refused until the recall
    And each Envoy must have kept the last certificate that it was given, and its pod have been Ready
    And every request must be answered again within 45 s of the order to come back
    And the connection that was kept must have shown nothing of this
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:RES-03 @safety:disruptive
  Scenario: Without Teleport all goes on until the certificates end, and then nothing does
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And tbot's pods as they are
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | beta    | 5                 | one for all |
      | plain  | control | 10                | one each    |
    When Teleport answers nobody until 8 s after the last certificate has ended, and then answers again
    And each proxy has had 45 s for a new certificate
    And the traffic has gone on for 3 s more
    And the traffic has ended
    Then at most 0 requests may have failed before a certificate of theirs had ended
    And from 3 s after that end on, each request must have been refused until the recall
    And each Envoy must have kept the last certificate that it was given, and its pod have been Ready
    And every request must be answered again within 45 s of the order to come back
    And the connection that was kept must have shown nothing of this
    And no tbot may have been replaced or restarted
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:RES-07 @safety:disruptive
  Scenario: Without istiod certificates are renewed as ever
    Given tbot issues certificates for 60 s and renews them every 20 s, and on a second socket for 90 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | plain  | control | 10                | one each    |
    When istiod is away until each proxy has had time for 2 new certificates, and comes back
    And the traffic has ended
    Then each must have had at least 2 new certificates without istiod
    And each must have had at least 2 new certificates, each within one renewal interval plus 5 s
    And at most 0 requests may have failed
    And no pod, no container and no Envoy may have been replaced or restarted
