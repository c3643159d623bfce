@profile:identity
Feature: Each service account has its own name, and each pod its own key
  The suite's own test pods show what pods that happen to run cannot show: that two service accounts never share a name, that
  two pods never share a key, and that classic and native sidecars are treated alike.
  Source: guide, Step 6; Istio, native sidecars.

  @requirement:ID-09 @safety:namespaced
  Scenario: Two service accounts have two identities
    Given the test pods "alpha" and "beta", as their own Envoys report them
    Then each test pod must hold its own name, key and serial number

  @requirement:ID-09 @safety:namespaced
  Scenario: One service account on two nodes has one identity and two keys
    Given at least two nodes that take workloads
    And the test pods "alpha" and "alpha-far", as their own Envoys report them
    Then both test pods must hold the name of their service account, each with its own key and serial number

  @requirement:ID-09 @safety:namespaced
  Scenario: A classic sidecar meets the same identity requirements as the mesh's default sidecar
    Given the test pods "alpha" and "classic", as their own Envoys report them
    And the expected issuer, trust bundle and maximum lifetime for every proxy
    Then both test pods must meet ID-01 to ID-07, each with the kind of sidecar that it requested
