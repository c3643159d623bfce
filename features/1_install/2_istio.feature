@profile:install
Feature: Istio is installed for Teleport's trust domain
  istiod must be the version that istioctl installed, must use Teleport's trust domain, and must inject a pod that can
  exist. None of this shows in `kubectl get pods`.
  Source: guide, Step 2, notes 4 and 6.

  @requirement:INST-05 @safety:read-only
  Scenario: istiod is available in the version that was installed
    Given the Istio control plane
    And the version of istioctl
    Then every Deployment of Istio must be available at its current generation
    And every Istio image must carry istioctl's version

  @requirement:INST-06 @safety:read-only
  Scenario: Istio and Teleport agree on the trust domain
    Given the mesh configuration
    And Teleport's own cluster name
    Then Istio's trust domain must equal Teleport's cluster name

  @requirement:INST-07 @safety:read-only
  Scenario Outline: Injection builds a pod that can exist, <sidecar>
    Given a pod in an injected namespace that asks for the templates of the guide, <sidecar>
    When the API server is asked to accept it without creating it
    Then the pod must be accepted with exactly one istio-proxy
    And its workload-socket must be the node's socket directory

    Examples:
      | sidecar                     |
      | as this cluster decides     |
      | with a classic sidecar      |
      | with a native sidecar       |

  @requirement:INST-08 @safety:read-only
  Scenario: Path normalization is in force as configured
    Given the mesh configuration
    And the HTTP connection managers of every injected pod
    Then every proxy must normalize paths as the mesh configuration says
