@profile:diagnosis
Feature: The doctor tells why tbot cannot join Teleport
  The guide's chapter: tbot is in CrashLoopBackOff with an error of JWT validation. Its remedy is to put the cluster's JWKS
  into the join token again. That helps against the first two of these causes. The others keep tbot from joining, or from
  issuing anything, as well, and a new JWKS changes nothing there. A tbot that has joined keeps running, so most of them
  show only when it has to join again. Then its log has Teleport's answer, which tells some of them apart.
  Source: guide, Troubleshooting, "tbot pods in CrashLoopBackOff with JWT validation error".

  @requirement:DX-1 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                                       |
      | jwks-of-another-cluster                     |
      | placeholder-in-the-token                    |
      | token-for-a-missing-bot                     |
      | token-for-another-service-account           |
      | audience-of-the-proxy                       |
      | role-taken-from-bot                         |
      | token-removed                               |
      | token-of-two-hours                          |
      | join-method-of-another-token                |
      | role-misspelt-in-bot                        |
      | configuration-without-version               |
      | one-lifetime-of-two                         |
      | next-signing-key                            |
      | token-of-the-pod                            |
      | jwks-of-another-cluster-at-a-join           |
      | placeholder-in-the-token-at-a-join          |
      | token-for-another-service-account-at-a-join |
      | token-removed-at-a-join                     |
      | token-for-a-missing-bot-at-a-join           |

  @requirement:DX-1 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
