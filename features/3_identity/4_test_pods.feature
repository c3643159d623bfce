@profile:identity
Feature: Identities are told apart
  Workloads of the run's own, in namespaces of its own. They show what cannot be seen in pods that happen to run: that two
  service accounts never share a name, that no two pods share a key, and that the kind of sidecar makes no difference.
  Source: guide, Step 6; Istio, native sidecars.

  @requirement:ID-09 @safety:namespaced
  Scenario: Two service accounts have two identities
    Given the workloads "alpha" and "beta" of the run, as their own Envoys describe them
    Then each must carry a name, a key and a serial of its own

  @requirement:ID-09 @safety:namespaced
  Scenario: One service account on two nodes has one identity and two keys
    Given two nodes that take workloads
    And the workloads "alpha" and "alpha-far" of the run, as their own Envoys describe them
    Then both must carry the name of their service account, each with a key and a serial of its own

  @requirement:ID-09 @safety:namespaced
  Scenario: A classic sidecar is certified as the mesh's own kind is
    Given the workloads "alpha" and "classic" of the run, as their own Envoys describe them
    And what Teleport, istiod and the configured lifetimes have each proxy held against
    Then each must meet ID-01 to ID-07, and be of the kind that it asked for
