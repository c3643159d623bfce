@profile:traffic
Feature: Traffic shows faults that the guide's checklist misses
  A self-test: the suite breaks an installation that it made, as an operator might, and repairs it at the end of the scenario.
  The guide's nine commands find nothing wrong. Two test pods that start meanwhile are 2/2, and no request passes between them.
  Source: guide, "Verification Checklist", notes 4 and 5.

  @requirement:TRF-06 @safety:disruptive
  Scenario Outline: The guide's checklist misses the fault <fault>, and traffic shows it
    Given the fault "<fault>"
    And two test pods that start under the fault
    When the suite runs the guide's checklist as it is written:
      | command                                                                                              |
      | kubectl get pods -n istio-system                                                                     |
      | tctl get token/istio-tbot-k8s-join                                                                   |
      | tctl get role/istio-workload-identity-issuer                                                         |
      | tctl get workload_identity/istio-workloads                                                           |
      | kubectl get pods -n teleport-system                                                                  |
      | kubectl logs -n teleport-system <pod-name>                                                           |
      | kubectl get pods -n test-app                                                                         |
      | kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/    |
      | kubectl logs -n test-app $POD_NAME -c istio-proxy                                                    |
    And one of the test pods sends 5 requests to the other
    Then the guide must find nothing wrong, and every request must fail because of the name in a certificate

    Examples:
      | fault                      |
      | trust-domain-cluster-local |
      | identity-without-sa        |
