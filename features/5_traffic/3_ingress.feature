@profile:traffic
Feature: The ingress gateway has an identity from tbot and reaches workloads
  A gateway with a certificate from istiod is Ready and accepts connections from outside, but no workload with an identity from
  tbot accepts the gateway. The guide installs its gateway like that and does not mention it.
  Source: Istio, ingress gateway; Teleport, Workload Identity.

  @requirement:TRF-05 @safety:disruptive
  Scenario: A request from outside reaches a test pod through the mesh's ingress gateway
    Given an ingress gateway in the mesh
    And beta behind that gateway
    When plain sends 5 requests through the gateway to beta
    Then every ingress gateway must have an identity from tbot
    And beta must have seen exactly the SPIFFE ID of the gateway each time

  @requirement:TRF-05 @safety:namespaced
  Scenario: A request from outside reaches a test pod through a gateway of the Gateway API
    istiod deploys such a gateway for a Gateway in the suite's namespace, and gives it its own socket instead of tbot's. A
    ConfigMap beside the Gateway corrects that.

    Given the Gateway API in the cluster
    And beta behind a gateway that istiod deploys with the node's socket
    When plain sends 5 requests through the gateway to beta
    Then that gateway must have an identity from tbot
    And beta must have seen exactly the SPIFFE ID of the gateway each time
