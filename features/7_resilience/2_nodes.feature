@profile:resilience
Feature: Pods and nodes start correctly while something is missing
  What a pod finds at its start decides where its identity comes from for as long as it runs. Here pods start without tbot,
  beside the stale socket of a killed tbot, and on a node that lost its socket directory; and a node restarts with all its pods.
  Certificates keep their usual lifetimes, so traffic shows none of this: the suite judges what Envoy reports.
  The suite kills tbot, removes sockets and restarts nodes only on machines that it made.
  Source: Istio, pilot-agent and its issues 41308, 55404; guide, Troubleshooting.

  @requirement:RES-04 @safety:disruptive
  Scenario: The suite recognises a pod that started before tbot, although the pod looks right
    Given a pod that started while there was no tbot, now that tbot is back
    Then the suite must find that it started without tbot, although it is Ready with the right name and issuer

  @requirement:RES-06 @safety:disruptive
  Scenario: The stale socket of a killed tbot keeps a new pod from starting until tbot is back
    Given a pod that started beside the stale socket of a killed tbot, now that tbot is back
    Then its Istio agent must have exited because it could not remove the stale socket, and Envoy must never have started
    And the pod must be Ready with its own identity from tbot within 60 s of tbot's return

  @requirement:RES-05 @safety:disruptive
  Scenario: tbot recreates a lost socket directory, and the suite recognises the pod that still holds the lost one
    Given a watched pod on a node that the suite made
    When that node loses its socket directory, and the new tbot there has had 60 s to create another
    Then tbot must be Ready on that node within 30 s, with another directory
    When the suite starts another pod on that node
    Then the new pod must be Ready with its own identity from tbot within 60 s
    And the suite must find the first pod within 10 s by its missing SDS streams, although it is Ready

  @requirement:RES-08 @safety:disruptive
  Scenario: A restarted node comes back with all its pods and their identities
    Given a watched pod on a node that the suite made
    When the suite restarts that node and gives its pods 180 s to come back
    Then every pod on that node must be Ready within 180 s, each proxy with its own identity from tbot
