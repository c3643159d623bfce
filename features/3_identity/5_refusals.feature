@profile:identity
Feature: Who gets no identity, and who is not let in
  A mesh that lets everybody in lets the right ones in, too. So each of these is an attempt that must fail, and with it one
  that must succeed in the same way: a refusal shows something only when its reason is the one that is meant. A status of the
  socket, a TLS alert, a refused join and a missing socket are four different outcomes; a timeout is none of them.
  Source: Teleport, workload attestation, rules and join tokens; Istio, WORKLOAD_IDENTITY_SOCKET_FILE; guide, "Overview".

  @requirement:NEG-02 @safety:disruptive
  Scenario: A process outside any pod gets no identity from a node's socket
    The process has the node's own mounts, as any program has that is started on the node: there is no pod in what tbot attests.
    Given on every node that hosts injected pods, a process of the node that is in no pod
    And beside it a process in a pod
    Then the process in a pod must get its identity, and the other be refused for being in none

  @requirement:NEG-06 @safety:namespaced
  Scenario: Another service account of the cluster cannot join Teleport as the bot
    Given a tbot with the bot's own configuration and another service account
    Then Teleport must refuse it for its service account, and know no instance of it

  @requirement:NEG-04 @safety:namespaced
  Scenario: Without a socket a sidecar fails closed under another socket name, and falls back to istiod under the usual one
    Given a workload with an empty socket directory of its own, told another socket name
    And another that is told the usual name
    Then the agent of the one must end for want of a socket
    And the other must be Ready with a certificate of istiod

  @requirement:NEG-05 @safety:namespaced
  Scenario Outline: A peer that Teleport did not certify is refused for its certificate
    Given a workload that takes mTLS alone
    When it is dialled with <claim>
    Then it must refuse that certificate
    And it must shake hands with a workload that tbot certified

    Examples:
      | claim                                      |
      | a certificate of istiod                    |
      | a forged certificate of this trust domain  |
      | a certificate of another trust domain      |

  @requirement:NEG-03 @safety:disruptive
  Scenario: A service account that the rules do not allow gets no identity, and its pod does not become Ready
    The guide's workload identity has no rules and is issued to every service account whose pod reaches a socket. So the
    run narrows the rules that are there, or adds one, by a service account of its own, and takes that back: what is certified
    is that this install enforces rules, not that it has any.
    Given rules of the workload identity that leave out one service account of the run
    And a workload of another service account, which the same rules allow
    And a workload of the one that they leave out
    Then the one must have its identity, and the other be refused by the rules and not become Ready
    And the rules must be as they were

  @requirement:NEG-01 @safety:namespaced
  Scenario: A workload that fell back to istiod is told from one with an identity from Teleport
    It is Ready, and mTLS with its like works. The guide's checks of a pod find nothing; the judgments of the other features must.
    Given a workload without the injection template
    When the guide's commands are run on it:
      | kubectl get pods -n test-app                                                                      |
      | kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/ |
    Then ID-01, ID-03, ID-06 and ID-07 must not hold for it, although the guide finds nothing
    And it must shake hands with another of its kind

  @requirement:NEG-07 @safety:read-only
  Scenario: Without tbot's socket a sidecar does not start
    Then tbot's socket and the proxies that use it must have a name for which Istio has no fallback
