@profile:traffic
Feature: What the guide's checklist does not see, traffic does
  A self-test: on an installation of this run's own something is broken as an operator might break it, and undone at the end of
  the scenario. The guide's nine commands find nothing wrong. Two workloads that are started meanwhile are 2/2, and no
  request passes between them.
  Source: guide, "Verification Checklist", notes 4 and 5.

  @requirement:TRF-06 @safety:disruptive
  Scenario Outline: <fault>
    Given the fault "<fault>"
    And two workloads that were started under it
    When the guide's checklist is run as it is written:
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
    And one of them sends 5 requests to the other
    Then the guide must find nothing wrong, and every request must end for the name in a certificate

    Examples:
      | fault                      |
      | trust-domain-cluster-local |
      | identity-without-sa        |
