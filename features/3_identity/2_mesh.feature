@profile:identity
Feature: The whole mesh is Teleport's
  One pod with another issuer is enough for requests that fail, and nobody looks at it if only the test application is looked at.
  Gateways have a socket of their own in Istio's charts, so that they keep istiod's certificate unless somebody changes that.
  Source: guide, Overview; Istio, gateways and external SDS providers.

  @requirement:ID-11 @safety:read-only
  Scenario: Every proxy in every namespace has its identity from Teleport
    Given every proxy of the mesh, gateways included, as its own Envoy describes it
    And what Teleport, istiod and the configured lifetimes have each proxy held against
    And the workloads that are meant to use the socket and lack the injection template
    Then every proxy must meet ID-01 to ID-06, and no workload may lack the template
