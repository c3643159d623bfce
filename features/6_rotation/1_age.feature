@profile:rotation
Feature: Every certificate is renewed in time
  The suite reads every proxy on tbot's sockets and changes nothing. One reading is enough: a certificate that is older than
  tbot's renewal interval was not renewed, whatever version_info and last_updated say.
  Source: guide, "Certificates not rotating automatically"; Teleport, tbot's credential_ttl and renewal_interval.

  @requirement:ROT-01 @safety:read-only
  Scenario: tbot renews every certificate well before it expires
    With --observe SECONDS the suite reads the proxies twice. A renewal that was due between the two readings must have happened.

    Given every proxy on tbot's sockets, as its own Envoy reports it
    And a second reading of the same proxies, if --observe asks for it
    Then each certificate must be due for renewal well before it expires, and none must be overdue

  @requirement:ROT-07 @safety:read-only
  Scenario: No certificate is older than tbot's renewal interval
    Given every proxy on tbot's sockets, as its own Envoy reports it
    And tbot's version, as its image and its bot instances report it
    Then no certificate must be older than tbot's renewal interval and a margin

  @requirement:ROT-06 @safety:read-only
  Scenario: No certificate and no trusted authority expires soon
    Given every proxy on tbot's sockets, as its own Envoy reports it
    Then no certificate and no trusted authority must expire within its warning threshold

  @requirement:ROT-05 @safety:read-only
  Scenario: No CronJob restarts workloads to renew their certificates
    Given all CronJobs of the cluster
    Then no CronJob must restart workloads of the mesh
