@profile:mtls
Feature: The suite predicts handshakes rightly
  MTL-04 rests on predictions. Here the suite predicts the handshakes between its own test pods and makes each of them: pods with
  identities from tbot, fallback with one from istiod, classic with a classic sidecar, and plain without any. A request that a
  policy answers with 403 came over a handshake that was completed.
  Source: Envoy, transport sockets and filter chain matches; RFC 8446 section 4.4.

  @requirement:MTL-05 @safety:namespaced
  Scenario: Every handshake between test pods ends as predicted
    Given all test pods, with the TLS that their own Envoys are configured to speak
    When every test pod sends a request to every other
    Then each handshake must have ended as predicted

  @requirement:MTL-05 @safety:disruptive
  Scenario: Every handshake with the mesh's ingress gateway ends as predicted
    The gateway answers a host of the suite itself, which shows the connections to it. For other hosts it asks the test pods, one
    each, which shows the connections from it.

    Given an ingress gateway in the mesh
    And that gateway between the test pods
    And the TLS that the Envoys of all of them are configured to speak
    When every test pod sends a request to the gateway, and one goes through it to every test pod
    Then each handshake must have ended as predicted
