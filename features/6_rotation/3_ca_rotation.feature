@profile:ca-rotation
Feature: Teleport's SPIFFE authority rotates while its certificates are in use
  Each phase of a rotation assumes that every proxy has followed the one before: a proxy must trust an authority before a peer
  shows a certificate that this authority signed. The suite looks in three places: at the bundle that Teleport publishes, at
  the authorities that every Envoy trusts, and at the issuer of every certificate. Certificates live ten minutes here, so that no
  observation comes from an expired one. If the last load, outside the mesh, times out as well, the nodes were too busy.
  Source: Teleport, "Certificate authority rotation"; tbot's workload-identity-api service.

  @requirement:ROT-04 @safety:disruptive
  Scenario: A complete rotation, phase by phase, costs no request
    Given an admin session at Teleport, and no rotation under way
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | gamma   | 20                  | one per request |
      | gamma  | beta    | 20                  | one per request |
      | plain  | control | 10                  | one per request |
    And the suite also watches the proxy with an Envoy before 1.37, if there is one
    And Teleport's SPIFFE authority is in standby, and every proxy trusts only that authority
    When Teleport's SPIFFE authority enters these phases, each after every proxy has followed the one before:
      | phase          | trusted authorities | signing authority |
      | init           | old and new         | old               |
      | update_clients | old and new         | new               |
      | update_servers | old and new         | new               |
      | standby        | new                 | new               |
    And the suite stops the loads
    Then Teleport's bundle and every proxy must have followed each phase within one renewal interval plus 5 s
    And each server must have seen certificates of each signing authority in turn
    And the loads must have at most 0 failed requests
    And each request must have used its own mTLS handshake between the proxies
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:ROT-04 @safety:disruptive
  Scenario: A rotation that is rolled back restores the old authority and costs no request
    Given an admin session at Teleport, and no rotation under way
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | gamma   | 20                  | one per request |
      | gamma  | beta    | 20                  | one per request |
      | plain  | control | 10                  | one per request |
    And Teleport's SPIFFE authority is in standby, and every proxy trusts only that authority
    When Teleport's SPIFFE authority enters these phases, each after every proxy has followed the one before:
      | phase          | trusted authorities | signing authority |
      | init           | old and new         | old               |
      | update_clients | old and new         | new               |
      | rollback       | old and new         | old               |
      | standby        | old                 | old               |
    And the suite stops the loads
    Then Teleport's bundle and every proxy must have followed each phase within one renewal interval plus 5 s
    And each server must have seen certificates of each signing authority in turn
    And the loads must have at most 0 failed requests
    And each request must have used its own mTLS handshake between the proxies
    And no pod, container or Envoy must have been replaced or restarted

  @requirement:ROT-08 @safety:disruptive
  Scenario: The suite recognises a rotation that ends too early and so breaks traffic
    The suite keeps tbot off one node after every proxy trusts both authorities. The node's old certificates keep working, so no
    request fails until standby removes the authority that signed them. The suite does this only to an installation that it made.

    Given an installation that the suite made, with a second node that takes workloads
    And tbot issues certificates for 600 s and renews them every 20 s, and on a second socket for 900 s and every 30 s
    And the suite runs these loads and watches the proxies at both ends:
      | client | server  | requests per second | connections     |
      | alpha  | beta    | 20                  | one per request |
      | beta   | alpha   | 20                  | one per request |
      | alpha  | gamma   | 20                  | one per request |
      | gamma  | alpha   | 20                  | one per request |
      | plain  | control | 10                  | one per request |
    And Teleport's SPIFFE authority is in standby, and every proxy trusts only that authority
    And every proxy has followed Teleport's SPIFFE authority into this phase:
      | phase          | trusted authorities | signing authority |
      | init           | old and new         | old               |
    When the suite keeps tbot off the node of beta
    And Teleport's SPIFFE authority enters these phases, each after every proxy on the other nodes has followed:
      | phase          | trusted authorities | signing authority |
      | update_clients | old and new         | new               |
      | update_servers | old and new         | new               |
      | standby        | new                 | new               |
    And the suite lets tbot return, and every proxy follows
    And the suite stops the loads
    Then the check of ROT-04 must have found every proxy on that node behind, and no other, in each phase without tbot
    And exactly the requests to and from that node must have failed, from standby until at most 60 s after tbot's return
