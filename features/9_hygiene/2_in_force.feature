@profile:hygiene
Feature: What was changed is in force
  tbot reads its file when it starts, and asks Teleport for a certificate when a stream begins and when it renews. So after a
  change the install may go on as before for a while, and differ from what its owner believes.
  Source: guide, "Important Notes", 9.

  @requirement:HYG-06 @safety:read-only
  Scenario: tbot was restarted after the last change of its configuration
    Given tbot's DaemonSet, its pods and its configuration
    Then every pod of tbot must have started after its ConfigMap last changed

  @requirement:HYG-06 @safety:read-only
  Scenario: Every proxy carries the identity that the workload identity yields now
    Given every proxy on tbot's sockets, as its own Envoy reports it
    Then each proxy must carry the SPIFFE ID that the workload identity's template yields for its pod now
