@profile:diagnosis
Feature: The doctor tells why tbot does not reach Teleport
  The guide's chapter: tbot's log says that a connection was refused. Its remedy is to check the address in tbot's
  configuration, and to try the connection from a new pod. The address shows a wrong name, and that it stands under the
  wrong key to a reader who knows the keys. A new pod runs on any node, with names of its own, so that a firewall of one
  node stays hidden. It connects to a Teleport whose certificate tbot refuses as well.
  Source: guide, Troubleshooting, "tbot pods not finding Teleport cluster".

  @requirement:DX-2 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                            |
      | teleport-cut-off                 |
      | teleport-of-no-name              |
      | proxy-under-auth-server          |
      | tbot-without-teleports-authority |

  @requirement:DX-2 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
