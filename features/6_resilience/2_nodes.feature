@profile:resilience
Feature: Pods and nodes come up while something is missing
  What a pod finds at its start decides what it lives from, for as long as it runs. Here pods start without tbot, beside the socket
  of a tbot that was killed, and on a node whose socket directory was lost; and a node is restarted with everything on it. Certificates
  are as long-lived as ever, so that nothing here shows by traffic: it has to be told by what Envoy says.
  Nodes are killed, robbed and restarted only where they are the suite's own.
  Source: Istio, pilot-agent and its issues 41308, 55404; guide, Troubleshooting.

  @requirement:RES-04 @safety:disruptive
  Scenario: A pod that started before tbot is told from others, although all looks right
    Given a pod that was started while there was no tbot, which has come back since
    Then it must be found to have started without tbot, although it is Ready with the right name and issuer

  @requirement:RES-06 @safety:disruptive
  Scenario: The socket of a tbot that was killed keeps new pods from starting, until tbot is back
    Given a pod that was started beside the socket of a tbot that was killed, and that has come back since
    Then its agent must have ended for that socket, which it may not take away, and no Envoy may have run
    And it must be Ready with its own identity from tbot within 60 s of tbot's return

  @requirement:RES-05 @safety:disruptive
  Scenario: A socket directory that is lost is made again, and who holds the lost one is found
    Given a pod on a node of the suite's, watched
    When the socket directory of that node is lost, and tbot, which is replaced there, has had 60 s to make another
    Then tbot must be Ready there within 30 s, with another directory
    When another pod is started on that node
    Then the new pod must be Ready with its own identity from tbot within 60 s
    And the pod of before must be found within 10 s by the streams that it lacks, although it is Ready

  @requirement:RES-08 @safety:disruptive
  Scenario: A node that is restarted comes back with all its pods
    Given a pod on a node of the suite's, watched
    When that node is restarted, and its pods have had 180 s to come back
    Then every pod on it must be Ready within 180 s, each proxy with its own identity from tbot
