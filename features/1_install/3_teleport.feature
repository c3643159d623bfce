@profile:install
Feature: Teleport knows this cluster, its bot and its workloads
  The guide verifies each resource by fetching it. A token with another cluster's keys, a role that matches nothing and an
  ID template that Istio refuses can all be fetched.
  Source: guide, Steps 3 to 6, notes 1 to 5 and 8.

  @requirement:INST-09 @safety:namespaced
  Scenario: The extracted JWKS holds the key that signs tokens now
    Given the JWKS that was extracted into the join token
    And a token issued just now for a service account of this run
    Then the token's signature must verify with the JWKS

  @requirement:INST-09 @safety:read-only
  Scenario: The extracted JWKS holds the keys that the cluster publishes now
    Given the JWKS of this cluster
    And the JWKS that was extracted into the join token
    Then the extracted JWKS must hold every key of this cluster

  @requirement:INST-10 @safety:read-only
  Scenario: The join token lets exactly tbot in, and holds this cluster's keys
    Given the JWKS of this cluster
    And the join token and its bot as Teleport holds them
    Then the token must be for method kubernetes
    And the token must allow exactly tbot's service account
    And the token must hold every key of this cluster
    And its bot must exist and have the role

  @requirement:INST-11 @safety:read-only
  Scenario: The role grants the workload identity and nothing wider
    Given the role of the bot and the workload identity as Teleport holds them
    Then the role must match the labels of the workload identity exactly
    And the role must allow to list and read workload identities and nothing else
    And the bot must have no other role

  @requirement:INST-12 @safety:read-only
  Scenario: The workload identity builds IDs in Istio's form
    Given the role of the bot and the workload identity as Teleport holds them
    Then the SPIFFE ID template must be "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"
