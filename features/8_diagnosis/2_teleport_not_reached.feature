@profile:diagnosis
Feature: The doctor tells why tbot does not reach Teleport
  The guide's chapter: tbot does not find the Teleport cluster. Its remedy is to test the connection from a new pod, and to
  let HTTPS out of the cluster. A new pod has another network and other policies than tbot, and its test does not show a
  proxy under the setting for an Auth Service. The doctor dials from tbot's own nodes with the network settings of its pods.
  Source: guide, Troubleshooting, "tbot pods not finding Teleport cluster".

  @requirement:DX-2 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                   |
      | teleport-cut-off        |
      | teleport-of-no-name     |
      | proxy-under-auth-server |

  @requirement:DX-2 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
