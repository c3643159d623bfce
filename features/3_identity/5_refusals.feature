@profile:identity
Feature: Unauthorized callers get no identity, and uncertified peers no connection
  A mesh that lets in every caller lets in the right ones, too. Each scenario therefore makes an attempt that must fail, beside
  one that must succeed in the same way. A refusal counts only with the expected reason: a status from the socket, a TLS
  alert, a refused join and a missing socket are different outcomes, and a timeout is none of them.
  Source: Teleport, workload attestation, rules and join tokens; Istio, WORKLOAD_IDENTITY_SOCKET_FILE; guide, "Overview".

  @requirement:NEG-02 @safety:disruptive
  Scenario: A process outside any pod gets no identity from a node's socket
    The process has the node's own mounts, like any program that is started on the node. tbot finds no pod to attest.

    Given a process outside any pod, on every node that hosts injected pods
    And a process inside a pod, on each of those nodes
    Then the process inside a pod must get its identity, and tbot must refuse the other because it is in no pod

  @requirement:NEG-06 @safety:namespaced
  Scenario: Another service account of the cluster cannot join Teleport as the bot
    Given a tbot with the bot's own configuration and another service account
    Then Teleport must refuse the join because of the service account, and must have no bot instance for it

  @requirement:NEG-04 @safety:namespaced
  Scenario: Without a socket, only the default socket name lets a sidecar fall back to istiod
    Given a pod with its own empty socket directory, configured with a non-default socket name
    And a pod with its own empty socket directory, configured with the default socket name
    Then Istio's agent in the first pod must exit because it found no socket
    And the second pod must be Ready with a certificate from istiod

  @requirement:NEG-05 @safety:namespaced
  Scenario Outline: A sidecar refuses a peer with <claim>
    Given a test pod that accepts only mTLS
    When a client without a proxy connects to it with <claim>
    Then the test pod must refuse that certificate
    And the same test pod must complete a handshake with a test pod that has its certificate from tbot

    Examples:
      | claim                                      |
      | a certificate of istiod                    |
      | a forged certificate of this trust domain  |
      | a certificate of another trust domain      |

  @requirement:NEG-03 @safety:disruptive
  Scenario: A service account that the rules exclude gets no identity, and its pod does not become Ready
    The guide's workload identity has no rules: Teleport issues it to every service account whose pod reaches a socket. The
    suite therefore changes the rules to exclude one of its own service accounts, and restores them afterwards. This proves that
    the install enforces rules, not that it has any.

    Given rules of the workload identity that exclude one of the suite's service accounts
    And a test pod of another service account, which the same rules allow
    And a test pod of the excluded service account
    Then the allowed pod must have its identity, and the rules must refuse the excluded pod, which must not be Ready
    And the suite must have restored the rules

  @requirement:NEG-01 @safety:namespaced
  Scenario: The suite recognises a pod that fell back to istiod, although the guide's checks pass
    The pod is Ready, and mTLS with other pods like it works. The guide's checks of a pod find nothing wrong; the judgments of
    the other features must.

    Given a test pod without the injection template
    When the suite runs the guide's commands on it:
      | kubectl get pods -n test-app                                                                      |
      | kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/ |
    Then ID-01, ID-03, ID-06 and ID-07 must not hold for it, although the guide finds nothing wrong
    And it must complete a handshake with a peer that istiod certified

  @requirement:NEG-07 @safety:read-only
  Scenario: The socket's name keeps sidecars from falling back to istiod
    Then tbot and the proxies on its socket must use a socket name for which Istio has no fallback
