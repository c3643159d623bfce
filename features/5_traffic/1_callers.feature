@profile:traffic
Feature: Every server sees the identity of its caller
  All nine items of the guide's checklist pass on meshes in which no request arrives. Here the suite's test pods call each other
  in namespaces that accept only mTLS: alpha, beta and gamma, classic with a classic sidecar, and plain without any. The server's
  own proxy, which has verified the caller's certificate, reports who called. Every request uses its own connection and
  handshake, and no proxy retries, so no failure stays hidden.
  Source: guide, "Overview".

  @requirement:TRF-01 @safety:namespaced
  Scenario Outline: <server> sees exactly the identity of <client>
    Given the test pods "<client>" and "<server>"
    When <client> sends 5 requests to <server>
    Then <server> itself must have answered each request once
    And <server> must have seen exactly the SPIFFE ID of <client> each time
    And each request must have used its own mTLS handshake between their proxies

    Examples:
      | client  | server  |
      | alpha   | beta    |
      | beta    | alpha   |
      | classic | alpha   |
      | alpha   | classic |

  @requirement:TRF-02 @safety:namespaced
  Scenario: A policy lets in one service account and refuses another because of its name
    A TLS error would refuse the request as well, and would prove nothing about the policy. alpha lets gamma in, so beta refuses
    gamma for its name alone.

    Given the test pods "alpha" and "beta"
    And a policy that lets only alpha call beta
    When alpha sends 5 requests to beta
    Then beta itself must have answered each request once
    When gamma sends 5 requests to alpha
    Then alpha must have seen exactly the SPIFFE ID of gamma each time
    When gamma sends 5 requests to beta
    Then beta must have refused each request with 403 and "RBAC: access denied"

  @requirement:TRF-03 @safety:namespaced
  Scenario: A sidecar refuses plain text from a pod without a sidecar
    A timeout proves nothing, since it can have any cause. The connection must be made and then reset, and the server's proxy must
    count it as one that matches none of its filter chains.

    Given the test pods "plain" and "beta"
    When plain sends 5 plain-text requests to the address of beta
    Then the proxy of beta must have reset each connection
