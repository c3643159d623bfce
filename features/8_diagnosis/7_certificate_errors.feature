@profile:diagnosis
Feature: The doctor tells why services refuse each other
  The guide has no such chapter. Its readers come here next: every item of its checklist is in order, and requests between
  services fail with an error about a certificate. Its notes name two of these causes, the trust domain and /sa/ in the
  SPIFFE ID.
  Source: guide, notes 4 and 5; RFC 5280; Istio, PeerAuthentication and DestinationRule.

  @requirement:DX-7 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                               |
      | trust-domain-cluster-local          |
      | identity-without-sa-in-use          |
      | identity-with-trailing-slash-in-use |
      | gateway-without-overlay             |
      | clients-send-plain-text             |
      | clients-expect-another-account      |
      | svids-pushed-until-they-expired     |
      | identity-mended-without-restart     |
      | one-client-let-in                   |
      | client-presents-nothing             |
      | client-expects-nobody               |

  @requirement:DX-7 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
