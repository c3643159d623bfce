@profile:diagnosis
Feature: The doctor tells why certificates are not renewed
  The guide's chapter: requests fail with 503 after a night. It blames a volume called workload-certs, and recognises "file
  mode" by two lines that every sound sidecar logs. Its remedy is a CronJob that restarts all workloads. That hides the
  first three of these causes for a while and removes none of them. A pod that is restarted beside a frozen tbot does not
  start at all.
  Source: guide, Troubleshooting, "Certificates not rotating automatically".

  @requirement:DX-6 @safety:disruptive
  Scenario Outline: The doctor names the cause of <fault>
    Given an install that the suite made, in which the doctor finds nothing
    And the fault "<fault>" in it
    When the doctor reads the cluster
    Then it must name the cause of the fault first, and no cause that is not so

    Examples:
      | fault                                  |
      | svids-pushed-but-not-renewed           |
      | renewal-interval-not-in-force          |
      | renewal-interval-beyond-ttl            |
      | tbot-frozen                            |
      | tbot-frozen-past-a-renewal             |
      | tbot-frozen-during-ca-rotation         |
      | tbot-frozen-past-a-change-of-authority |
      | issuers-clock-ahead                    |
      | socket-directory-made-again            |
      | socket-left-by-a-killed-tbot           |

  @requirement:DX-6 @safety:disruptive
  Scenario: The doctor finds nothing once these are undone
    Given the install after these scenarios
    When the doctor reads the cluster
    Then it must find nothing
