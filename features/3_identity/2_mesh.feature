@profile:identity
Feature: Every proxy of the mesh has its identity from Teleport
  One pod with another issuer is enough to make requests fail, and a check of the test application alone does not find it.
  Istio's charts give a gateway its own socket, so a gateway keeps istiod's certificate unless an operator changes that.
  Source: guide, Overview; Istio, gateways and external SDS providers.

  @requirement:ID-11 @safety:read-only
  Scenario: Every proxy in every namespace, gateways included, has its identity from Teleport
    Given every proxy of the mesh, gateways included, as its own Envoy reports it
    And the expected issuer, trust bundle and maximum lifetime for every proxy
    And the workloads that should use the socket but lack the injection template
    Then every proxy must meet ID-01 to ID-06, and no workload must lack the template
