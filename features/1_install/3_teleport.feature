@profile:install
Feature: Teleport's resources match this cluster, tbot and its workloads
  The guide verifies each resource with `tctl get`. That command also succeeds for a token with another cluster's keys, for a
  role that matches nothing, and for an ID template that Istio rejects.
  Source: guide, Steps 3 to 6, notes 1 to 5 and 8.

  @requirement:INST-09 @safety:namespaced
  Scenario: The extracted JWKS verifies a service account token issued now
    Given the JWKS that was extracted into the join token
    And a token that the cluster issues now to one of the suite's service accounts
    Then the extracted JWKS must verify the token's signature

  @requirement:INST-09 @safety:read-only
  Scenario: The extracted JWKS holds every key that the cluster publishes now
    Given the JWKS that the cluster publishes
    And the JWKS that was extracted into the join token
    Then the extracted JWKS must hold every key that the cluster publishes

  @requirement:INST-10 @safety:read-only
  Scenario: The join token admits exactly tbot and holds the cluster's keys
    Given the JWKS that the cluster publishes
    And the join token and its bot, as Teleport holds them
    Then the token's join method must be kubernetes
    And the token must allow exactly tbot's service account
    And the token must hold every key that the cluster publishes
    And the token's bot must exist and have the role

  @requirement:INST-17 @safety:read-only
  Scenario: No other join token lets in as tbot's bot
    Whoever joins as the bot gets the same identities as tbot. The report shows no name of another token, because a name may be
    all that it takes to join.

    Given all join tokens of Teleport
    Then no other join token must let in as the bot, and tbot's own must not expire soon

  @requirement:INST-11 @safety:read-only
  Scenario: The bot's roles grant what tbot issues and nothing more
    A role that selects by a label also selects every other workload identity with that label.

    Given the bot's roles and all workload identities, as Teleport holds them
    Then the roles must select exactly the workload identities that tbot issues
    And the roles must allow listing and reading workload identities and nothing else
    And the bot must have no role that grants none of these

  @requirement:INST-12 @safety:read-only
  Scenario: The workload identities issue SPIFFE IDs in Istio's format
    Given the workload identities that tbot issues to the mesh
    Then each SPIFFE ID template must be "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}"
