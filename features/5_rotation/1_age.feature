@profile:rotation
Feature: No certificate grows old
  What is read here is read from every proxy that tbot supplies, and nothing is touched. One reading is enough: a certificate
  that is older than tbot's renewal interval was not renewed, whatever version_info and last_updated say.
  Source: guide, "Certificates not rotating automatically"; Teleport, tbot's credential_ttl and renewal_interval.

  @requirement:ROT-01 @safety:read-only
  Scenario: Renewal comes before expiry
    With --observe SECONDS the proxies are read twice; a renewal that was due in between must have come.

    Given every proxy that tbot supplies, as its own Envoy describes it
    And the same proxies once more, if that is asked for
    Then each certificate must be due for renewal well before its end, and none may be overdue

  @requirement:ROT-07 @safety:read-only
  Scenario: No certificate is older than the renewal interval
    Given every proxy that tbot supplies, as its own Envoy describes it
    And tbot's version as its image and its bot instances report it
    Then no certificate may be older than tbot's renewal interval and a margin

  @requirement:ROT-06 @safety:read-only
  Scenario: Nothing expires soon
    Given every proxy that tbot supplies, as its own Envoy describes it
    Then no certificate and no trusted authority may end within its warning threshold

  @requirement:ROT-05 @safety:read-only
  Scenario: Nothing restarts workloads to renew their certificates
    Given all CronJobs of the cluster
    Then none may restart workloads of the mesh
