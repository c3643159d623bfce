@profile:traffic
Feature: The ingress gateway belongs to the same trust
  A gateway that istiod certifies is Ready and takes connections from outside, but no workload with an identity from tbot
  accepts it. The guide installs it like that and does not mention it.
  Source: Istio, ingress gateway; Teleport, Workload Identity.

  @requirement:TRF-05 @safety:disruptive
  Scenario: A request from outside reaches a workload through the gateway
    Given an ingress gateway
    And beta behind it
    When plain sends 5 requests through the gateway to beta
    Then every ingress gateway must have an identity from tbot
    And beta must have seen exactly the SPIFFE ID of the gateway each time

  @requirement:TRF-05 @safety:namespaced
  Scenario: A gateway of the Gateway API reaches a workload
    istiod deploys such a gateway by itself, for a Gateway in the namespace of this run, and gives it a socket of its own in
    place of tbot's. A ConfigMap beside the Gateway puts that right.

    Given the Gateway API in this cluster
    And beta behind a gateway that istiod deploys on the node's socket
    When plain sends 5 requests through the gateway to beta
    Then that gateway must have an identity from tbot
    And beta must have seen exactly the SPIFFE ID of the gateway each time
