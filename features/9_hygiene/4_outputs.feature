@profile:hygiene
Feature: No secret is in an output of the suite
  A tenant may put a secret where the suite reads: into an annotation, an environment variable, an argument. The suite plants
  canaries there, private keys, join tokens, kubeconfigs and bearer tokens in all forms that it knows, and searches its outputs.

  @requirement:HYG-04 @safety:namespaced
  Scenario: Canaries that the suite has read are in none of its outputs
    Given a pod of the suite with a canary of every form in its annotations, environment and arguments
    When the suite reads all pods and namespaces of the cluster
    And the doctor examines the cluster, for a person and for a program
    Then no part of a canary must be in the report, the evidence, the JUnit file or what the run and the doctor print
