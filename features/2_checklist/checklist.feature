@profile:checklist
Feature: The guide's verification checklist, item by item
  Each scenario runs the guide's own command and keeps its answer. It then verifies the item by what Envoy, the API server
  and Teleport report. The verdict is that verification; where the guide's answer differs, the report shows both.
  Source: guide, "Verification Checklist".

  @requirement:CHK-1 @safety:read-only
  Scenario: 1. Istio installed: istiod is available and configured for this Teleport
    When the suite runs the guide's command "kubectl get pods -n istio-system"
    Then istiod must be available, with Teleport's trust domain and an injection template that works

  @requirement:CHK-2 @safety:read-only
  Scenario: 2. Teleport token created: the token lets this cluster's tbot join
    When the suite runs the guide's command "tctl get token/istio-tbot-k8s-join"
    Then the token must let this cluster's tbot join

  @requirement:CHK-3 @safety:read-only
  Scenario: 3. Bot role created: the role grants the workload identity
    When the suite runs the guide's command "tctl get role/istio-workload-identity-issuer"
    Then the role must grant the workload identity

  @requirement:CHK-4 @safety:read-only
  Scenario: 4. Workload identity created: it issues SPIFFE IDs in Istio's format
    When the suite runs the guide's command "tctl get workload_identity/istio-workloads"
    Then the workload identity must issue SPIFFE IDs in Istio's format

  @requirement:CHK-5 @safety:read-only
  Scenario: 5. tbot running: tbot is Ready on every node that hosts injected pods
    When the suite runs the guide's command "kubectl get pods -n teleport-system"
    Then a Ready tbot pod must run on every node that hosts injected pods

  @requirement:CHK-6 @safety:read-only
  Scenario: 6. tbot logs show no errors: tbot issues identities to the sidecars of its node
    When the suite runs the guide's command "kubectl logs -n teleport-system <pod-name>"
    Then every sidecar on the nodes' sockets must hold an identity that Teleport issued

  @requirement:CHK-7 @safety:read-only
  Scenario: 7. Test app running with 2/2 containers: its identity comes from Teleport
    When the suite runs the guide's command "kubectl get pods -n test-app"
    Then the test application must run with its own identity from Teleport

  @requirement:CHK-8 @safety:read-only
  Scenario: 8. SPIFFE socket exists in pod: it is the node's socket, and Envoy uses it
    When the suite runs the guide's command "kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/"
    Then the socket in the pod must be the node's socket, with live SDS streams on it

  @requirement:CHK-9 @safety:read-only
  Scenario: 9. Istio proxy detects socket: it takes its secrets from there
    When the suite runs the guide's command "kubectl logs -n test-app $POD_NAME -c istio-proxy"
    Then the proxy must take its secrets from the external SDS socket
