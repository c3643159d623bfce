@profile:diagnosis
Feature: The doctor tells why a pod does not start, or is not there at all
  The guide's chapter: a pod of the application stays in Init. Its remedy is to read the log of istio-init, and to check
  the label for injection on the namespace. None of these causes shows in either place: mostly there is no pod whose log
  could be read.
  Source: guide, Troubleshooting, "Application pod stuck in Init state".

  @requirement:DX-4 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                              |
      | guides-template-on-native-sidecars |
      | istiod-at-zero                     |
      | istiod-image-typo                  |
      | node-selector-of-the-guide         |
      | injector-cut-off                   |
      | istiod-cut-off                     |
      | pods-refused-by-pod-security       |
      | proxy-image-of-nowhere             |
      | socket-directory-lost              |
      | no-tbot-and-no-fallback            |

  @requirement:DX-4 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
