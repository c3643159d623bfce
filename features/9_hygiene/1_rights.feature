@profile:hygiene
Feature: tbot's service account can do little, and few can use it
  The join token lets every pod of tbot's service account join Teleport as the bot. So whoever can run such a pod, enter one or
  ask for the account's token can get the identity of any workload. The suite reads RBAC; it does not ask other authorizers.
  Source: guide, "Important Notes", 3; Kubernetes, "RBAC good practices".

  @requirement:HYG-02 @safety:read-only
  Scenario: Only expected subjects can use tbot's service account
    Given all roles and bindings of the cluster
    And the subjects that may use tbot's service account, as the settings name them
    Then no other subject must be able to run pods as tbot's service account, to enter its pods or to get its token

  @requirement:HYG-03 @safety:read-only
  Scenario: tbot's service account has no right that attestation does not need
    INST-18 judges the right at the kubelet. tbot asks the API server for nothing.

    Given all roles and bindings of the cluster
    Then tbot's service account must have no right beside the one at the kubelet
