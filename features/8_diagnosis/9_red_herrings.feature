@profile:diagnosis
Feature: The doctor blames nothing that has nothing to do with identities
  A cluster is never quiet. Something loud happens beside an install whose identities are right, and the doctor must not
  take it for a cause. It may say what the loud thing is. What the sound install has from the beginning, because the guide
  asks for it, is a risk, and the doctor may name it here as everywhere.
  Source: Kubernetes, pod lifecycle and nodes; Istio, Secure Gateways and AuthorizationPolicy; guide, Troubleshooting, for
  the two log lines.

  @requirement:DX-9 @safety:disruptive
  Scenario Outline: The doctor blames nothing for <herring>
    Given an install that the suite made, in which the doctor finds nothing
    And the red herring "<herring>" in it
    When the doctor reads the cluster
    Then it must find nothing

    Examples:
      | herring                            |
      | crash-loop-of-others               |
      | node-that-never-reports            |
      | slow-name-server                   |
      | warnings-in-tbots-log              |
      | application-answers-503            |
      | service-without-endpoints          |
      | expired-certificate-at-the-gateway |
      | policy-refuses-with-403            |
      | rolling-restart                    |
      | held-up-by-its-own-init-container  |
      | two-lines-in-istios-log            |

  @requirement:DX-9 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
