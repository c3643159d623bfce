@profile:traffic
Feature: A server knows exactly who calls
  All nine items of the guide's checklist pass on meshes in which no request arrives. Here workloads of this run, each with a
  service account of its own, call each other in namespaces that take mTLS alone. Who called is what the server was told by
  its own proxy, which has verified the caller's certificate. Every request has a connection and a handshake of its own, and
  no proxy asks twice, so that no failure is hidden.
  Source: guide, "Overview".

  @requirement:TRF-01 @safety:namespaced
  Scenario Outline: <server> sees exactly who <client> is
    Given the workloads "<client>" and "<server>"
    When <client> sends 5 requests to <server>
    Then <server> itself must have answered each of them, once
    And <server> must have seen exactly the SPIFFE ID of <client> each time
    And each request must have been a handshake of its own between their proxies

    Examples:
      | client  | server  |
      | alpha   | beta    |
      | beta    | alpha   |
      | classic | alpha   |
      | alpha   | classic |

  @requirement:TRF-02 @safety:namespaced
  Scenario: A policy lets one service account in and refuses another for who it is
    A TLS error would be a refusal as well, and would say nothing about the policy. That gamma is known and let in elsewhere
    shows that it is refused here for its name alone.

    Given the workloads "alpha" and "beta"
    And a policy that lets only alpha call beta
    When alpha sends 5 requests to beta
    Then beta itself must have answered each of them, once
    When gamma sends 5 requests to alpha
    Then alpha must have seen exactly the SPIFFE ID of gamma each time
    When gamma sends 5 requests to beta
    Then beta must have refused each of them with 403 and "RBAC: access denied"

  @requirement:TRF-03 @safety:namespaced
  Scenario: Plain text from a pod without a sidecar is refused
    A timeout would not do: it may have any cause. The connection must be made and then reset, and the server's proxy must
    count it as one that it has no use for.

    Given the workloads "plain" and "beta"
    When plain sends 5 requests in plain text to the address of beta
    Then each of them must have been reset by the proxy of beta
