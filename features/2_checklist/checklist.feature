@profile:checklist
Feature: The guide's verification checklist, item by item
  Each scenario first runs the guide's own command as it is written and keeps its answer, then proves the item by what
  Envoy, the API server and Teleport themselves say. The verdict is the proof; where the two differ, the report shows both.
  Source: guide, "Verification Checklist".

  @requirement:CHK-1 @safety:read-only
  Scenario: 1. Istio installed
    When the guide's command "kubectl get pods -n istio-system" is run
    Then istiod must be available with Teleport's trust domain and a template that injects

  @requirement:CHK-2 @safety:read-only
  Scenario: 2. Teleport token created
    When the guide's command "tctl get token/istio-tbot-k8s-join" is run
    Then the token must let this cluster's tbot join

  @requirement:CHK-3 @safety:read-only
  Scenario: 3. Bot role created
    When the guide's command "tctl get role/istio-workload-identity-issuer" is run
    Then the role must grant the workload identity

  @requirement:CHK-4 @safety:read-only
  Scenario: 4. Workload identity created
    When the guide's command "tctl get workload_identity/istio-workloads" is run
    Then the workload identity must build IDs in Istio's form

  @requirement:CHK-5 @safety:read-only
  Scenario: 5. tbot running
    When the guide's command "kubectl get pods -n teleport-system" is run
    Then a ready tbot pod must run on every node that hosts injected pods

  @requirement:CHK-6 @safety:read-only
  Scenario: 6. tbot logs show no errors
    When the guide's command "kubectl logs -n teleport-system <pod-name>" is run
    Then every sidecar on the nodes' sockets must hold an identity that Teleport issued

  @requirement:CHK-7 @safety:read-only
  Scenario: 7. Test app running with 2/2 containers
    When the guide's command "kubectl get pods -n test-app" is run
    Then the test application must run with an identity of its own from Teleport

  @requirement:CHK-8 @safety:read-only
  Scenario: 8. SPIFFE socket exists in pod
    When the guide's command "kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/" is run
    Then the socket in the pod must be the node's socket, with live streams on it

  @requirement:CHK-9 @safety:read-only
  Scenario: 9. Istio proxy detects socket
    When the guide's command "kubectl logs -n test-app $POD_NAME -c istio-proxy" is run
    Then the proxy must take its secrets from the external socket
