@profile:diagnosis
Feature: The doctor tells why a sidecar does not use the socket
  The guide's chapter: the log of a sidecar mentions no socket. Its remedy is to look whether tbot runs on the same node,
  at tbot's log, and at the mounts of the pod. The first look finds a missing tbot. The mounts show that the template is
  not in use, and not why. A pod that started before tbot passes all three looks. A log is no proof either: the doctor asks
  the sidecar's Envoy.
  Source: guide, Troubleshooting, "Istio proxy not detecting SPIFFE socket".

  @requirement:DX-3 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                             |
      | injection-template-missing        |
      | pod-without-spire-template        |
      | template-without-hostpath         |
      | taint-that-tbot-does-not-tolerate |
      | pod-started-before-tbot           |
      | template-on-the-namespace         |
      | tbot-for-other-nodes              |
      | sockets-in-another-directory      |
      | socket-of-another-name            |

  @requirement:DX-3 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
