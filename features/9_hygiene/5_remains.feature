@profile:hygiene
Feature: The suite leaves nothing behind
  A run labels everything that it makes, and removes it. This look comes after the clean-up, over every kind of object that the
  identity in use may list. Secrets are never listed.

  @requirement:HYG-05 @safety:read-only
  Scenario: Nothing of this run is left
    Then nothing that this run made for itself must be left once it has cleaned up, in the cluster and in Teleport
