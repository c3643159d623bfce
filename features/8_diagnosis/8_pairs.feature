@profile:diagnosis
Feature: The doctor names two causes at the same time
  Two defects that have nothing to do with each other are both in the install. A doctor that stops at the first one sends
  its user away with half a remedy, and one that takes the second for an effect of the first hides it.
  Source: the faults of this suite (docs/faults.md). No pair shares a cause, and neither fault prevents the other.

  @requirement:DX-8 @safety:disruptive
  Scenario Outline: The doctor names the causes of both <one> and <other>
    Given an install that the suite made, in which the doctor finds nothing
    And the faults "<one>" and "<other>" in it
    When the doctor reads the cluster
    Then it must name the causes of both faults first, and no cause that is not so

    Examples:
      | one                        | other                             |
      | gateway-without-overlay    | second-socket-without-attestor    |
      | jwks-of-another-cluster    | pod-without-spire-template        |
      | token-for-a-missing-bot    | clients-send-plain-text           |
      | attestor-misspelt          | node-selector-of-the-guide        |
      | socket-directory-for-all   | clients-expect-another-account    |
      | istiod-image-typo          | tbot-frozen                       |
      | trust-domain-cluster-local | token-for-another-service-account |

  @requirement:DX-8 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
