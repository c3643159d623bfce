@profile:diagnosis
Feature: The doctor tells who is refused at the socket, and who can take it over
  The guide's chapter: a sidecar may not access the socket. Its remedy is to look at the mounts of the pod and at tbot's
  DaemonSet. That shows a tbot without hostPID or TELEPORT_NODE_NAME, to a reader who knows that both must be there. The
  other causes are in tbot's configuration, in Teleport's resources, on the way from tbot to its kubelet, and in the mode
  of a socket or directory on the node. The worst of them denies nothing: every pod is 2/2, some with the identity of
  another.
  Source: guide, Troubleshooting, "Permission denied accessing SPIFFE socket".

  @requirement:DX-5 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                           |
      | attestor-misspelt               |
      | second-socket-without-attestor  |
      | kubelet-closed-to-pods          |
      | role-for-production             |
      | socket-directory-for-all        |
      | takeover                        |
      | socket-for-root-alone           |
      | socket-directory-for-root-alone |
      | tbot-without-host-pid           |
      | tbot-without-node-name          |
      | service-without-selector        |
      | identity-misspelt-in-selector   |
      | identity-for-another-namespace  |
      | role-without-read               |
      | cluster-role-without-rules      |

  @requirement:DX-5 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
