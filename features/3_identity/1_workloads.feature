@profile:identity
Feature: Every workload is who it claims to be
  What counts is what Envoy itself holds. A pod with two ready containers, a socket file and both log lines that the guide calls
  healthy may carry a certificate of istiod, or another pod's identity together with its key.
  Source: guide, Overview and Step 9; SPIFFE-ID section 2; X509-SVID sections 2 to 5.

  @requirement:ID-01 @safety:read-only
  Scenario: Sidecars take their secrets from tbot's socket
    Given every sidecar of the mesh, as its own Envoy describes it
    Then each must take both secrets from the external socket over live streams, and none from istiod

  @requirement:ID-02 @safety:read-only
  Scenario: Sidecars carry the name of their own pod
    Given every sidecar of the mesh, as its own Envoy describes it
    And Teleport's own SPIFFE bundle
    Then the only name in each certificate must be the SPIFFE ID of the pod's namespace and service account

  @requirement:ID-03 @safety:read-only
  Scenario: Teleport issued the certificates, and istiod did not
    Given every sidecar of the mesh, as its own Envoy describes it
    And Teleport's own SPIFFE bundle
    Then each certificate must verify against the bundle, and descend from no authority of istiod's

  @requirement:ID-04 @safety:read-only
  Scenario: The certificates are well-formed, valid and short-lived
    Given every sidecar of the mesh, as its own Envoy describes it
    And the longest life that tbot and the workload identity allow a certificate
    Then each certificate must be an X509-SVID leaf that is valid now and lives no longer

  @requirement:ID-05 @safety:read-only
  Scenario: The names follow the SPIFFE-ID specification
    Given every sidecar of the mesh, as its own Envoy describes it
    Then the names in each certificate must follow the grammar of SPIFFE IDs

  @requirement:ID-06 @safety:read-only
  Scenario: Sidecars trust Teleport's authorities and nobody else's
    Given every sidecar of the mesh, as its own Envoy describes it
    And Teleport's own SPIFFE bundle
    Then each must validate its peers with the SPIFFE validator, against exactly the authorities of the bundle

  @requirement:ID-07 @safety:read-only
  Scenario: No sidecar ever asked istiod for a certificate
    Given every sidecar of the mesh, as its own Envoy describes it
    Then the agent of each must have sent no signing request, by its own count

  @requirement:ID-10 @safety:read-only
  Scenario: Teleport's audit log knows every certificate in use
    Given every sidecar of the mesh, as its own Envoy describes it
    And the audit events of Teleport
    Then each certificate must have been audited as issued to the pod that uses it
