@profile:ca-rotation
Feature: Teleport's SPIFFE authority is replaced while its certificates are in use
  A rotation goes through phases, and each takes for granted that everybody has followed the one before: whoever is shown a
  certificate must already trust who signed it. tbot hands on each change by itself. Whether that has arrived is seen in
  three places: in the bundle that Teleport publishes, in what every Envoy trusts, and in who signed every certificate.
  Certificates live for ten minutes here, so that nothing that is seen comes from one that has expired. The last load is
  outside the mesh: where it times out as well, the nodes were too busy for anything to be told.
  Source: Teleport, "Certificate authority rotation"; tbot's workload-identity-api service.

  @requirement:ROT-04 @safety:disruptive
  Scenario: A whole rotation, phase by phase, costs no request
    Given an admin session of Teleport, which rotates nothing
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | gamma   | 20                | one each    |
      | gamma  | beta    | 20                | one each    |
      | plain  | control | 10                | one each    |
    And the proxy with an Envoy of before 1.37, where there is one, watched as well
    And Teleport's SPIFFE authority is in standby, and every proxy trusts it alone
    When it enters these phases, each as soon as every proxy has followed the one before:
      | phase          | trusted     | signs |
      | init           | old and new | old   |
      | update_clients | old and new | new   |
      | update_servers | old and new | new   |
      | standby        | new         | new   |
    And the traffic has ended
    Then each phase must have been followed by Teleport's bundle and by every proxy, within one renewal interval plus 5 s
    And each server must have been shown certificates of each authority in turn
    And at most 0 requests may have failed
    And each request must have been a handshake of its own between the proxies
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:ROT-04 @safety:disruptive
  Scenario: A rotation that is rolled back leaves the old authority, and costs no request either
    Given an admin session of Teleport, which rotates nothing
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | gamma   | 20                | one each    |
      | gamma  | beta    | 20                | one each    |
      | plain  | control | 10                | one each    |
    And Teleport's SPIFFE authority is in standby, and every proxy trusts it alone
    When it enters these phases, each as soon as every proxy has followed the one before:
      | phase          | trusted     | signs |
      | init           | old and new | old   |
      | update_clients | old and new | new   |
      | rollback       | old and new | old   |
      | standby        | old         | old   |
    And the traffic has ended
    Then each phase must have been followed by Teleport's bundle and by every proxy, within one renewal interval plus 5 s
    And each server must have been shown certificates of each authority in turn
    And at most 0 requests may have failed
    And each request must have been a handshake of its own between the proxies
    And no pod, no container and no Envoy may have been replaced or restarted

  @requirement:ROT-08 @safety:disruptive
  Scenario: A rotation that is ended too early breaks traffic, and is seen to
    tbot is kept off one node once everybody trusts both authorities. All goes well on the old certificates of that node, and
    nobody would notice, until standby drops the authority that signed them. This is shown on an installation of the run's own.

    Given an installation of this run's own, with a second node that takes workloads
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And this traffic, watched at both ends:
      | client | server  | requests a second | connections |
      | alpha  | beta    | 20                | one each    |
      | beta   | alpha   | 20                | one each    |
      | alpha  | gamma   | 20                | one each    |
      | gamma  | alpha   | 20                | one each    |
      | plain  | control | 10                | one each    |
    And Teleport's SPIFFE authority is in standby, and every proxy trusts it alone
    And everybody has followed it to this phase:
      | phase          | trusted     | signs |
      | init           | old and new | old   |
    When tbot is kept off the node of beta
    And the authority enters these phases, each as soon as every proxy on other nodes has followed:
      | phase          | trusted     | signs |
      | update_clients | old and new | new   |
      | update_servers | old and new | new   |
      | standby        | new         | new   |
    And tbot is let back, and every proxy follows
    And the traffic has ended
    Then what ROT-04 goes by must have found every proxy on that node behind, and no other, in each phase since tbot had left
    And requests to and from that node must have failed from standby until at most 60 s after tbot's return, and no others
