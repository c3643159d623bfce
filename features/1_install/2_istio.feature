@profile:install
Feature: Istio uses Teleport's trust domain and injects valid pods
  Every istiod must be available, use Teleport's trust domain, and inject pods that the API server accepts. A cluster may have
  several revisions of Istio; each is judged, and each proxy by the revision that injected it. `kubectl get pods` shows none of this.
  Source: guide, Step 2, notes 4 and 6.

  @requirement:INST-05 @safety:read-only
  Scenario: istiod is available, and all images have its version
    Given every control plane of Istio
    Then every Deployment of Istio must be available at its current generation
    And every Istio image must have the version of its own istiod

  @requirement:INST-06 @safety:read-only
  Scenario: Istio's trust domain is Teleport's cluster name
    Given every mesh configuration
    And the cluster name that Teleport reports
    Then Istio's trust domain must equal Teleport's cluster name

  @requirement:INST-07 @safety:read-only
  Scenario Outline: The API server accepts an injected pod with the node's socket, <sidecar>
    Given a pod in an injected namespace that requests the guide's templates, <sidecar>
    When the suite submits the pod as a server-side dry-run
    Then the API server must accept the pod with exactly one istio-proxy
    And its workload-socket volume must be the node's socket directory

    Examples:
      | sidecar                            |
      | with the cluster's default sidecar |
      | with a classic sidecar             |
      | with a native sidecar              |

  @requirement:INST-08 @safety:read-only
  Scenario: Every proxy normalizes paths as the mesh configuration says
    Given the HTTP connection managers of every injected pod
    Then every proxy must normalize paths as its mesh configuration says
