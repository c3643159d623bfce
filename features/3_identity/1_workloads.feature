@profile:identity
Feature: Every sidecar has the identity of its own pod
  These scenarios judge what Envoy itself holds. A pod with two ready containers, a socket file and both log lines that the
  guide calls healthy can hold a certificate from istiod, or the identity and private key of another pod.
  Source: guide, Overview and Step 9; SPIFFE-ID section 2; X509-SVID sections 2 to 5.

  @requirement:ID-01 @safety:read-only
  Scenario: Every sidecar takes its secrets from tbot's socket
    Given every sidecar of the mesh, as its own Envoy reports it
    Then each sidecar must take certificate and trust bundle from the external SDS socket over live streams, none from istiod

  @requirement:ID-02 @safety:read-only
  Scenario: Every sidecar's certificate names the service account of its own pod
    Given every sidecar of the mesh, as its own Envoy reports it
    And the SPIFFE bundle that Teleport publishes
    Then the only name in each certificate must be the SPIFFE ID of the pod's namespace and service account

  @requirement:ID-03 @safety:read-only
  Scenario: Teleport, not istiod, issued every sidecar's certificate
    Given every sidecar of the mesh, as its own Envoy reports it
    And the SPIFFE bundle that Teleport publishes
    Then each certificate must verify against the bundle, and must not descend from any of istiod's authorities

  @requirement:ID-04 @safety:read-only
  Scenario: Every sidecar's certificate is well-formed, valid and short-lived
    Given every sidecar of the mesh, as its own Envoy reports it
    And the longest lifetime that tbot and the workload identity allow
    Then each certificate must be an X509-SVID leaf that is valid now and within that lifetime

  @requirement:ID-05 @safety:read-only
  Scenario: Every SPIFFE ID follows the SPIFFE-ID specification
    Given every sidecar of the mesh, as its own Envoy reports it
    Then the SPIFFE ID in each certificate must follow the grammar of the specification

  @requirement:ID-06 @safety:read-only
  Scenario: Every sidecar trusts exactly Teleport's authorities
    Given every sidecar of the mesh, as its own Envoy reports it
    And the SPIFFE bundle that Teleport publishes
    Then each sidecar must validate its peers with the SPIFFE validator, against exactly the authorities of the bundle

  @requirement:ID-07 @safety:read-only
  Scenario: No sidecar has asked istiod for a certificate
    Given every sidecar of the mesh, as its own Envoy reports it
    Then the metrics of each sidecar's Istio agent must show that it sent no signing request

  @requirement:ID-10 @safety:read-only
  Scenario: Teleport's audit log records every certificate in use
    Given every sidecar of the mesh, as its own Envoy reports it
    And Teleport's audit events
    Then Teleport must have audited each certificate as issued to the pod that uses it
