@profile:traffic
Feature: Policies by path hold
  The guide sets pathNormalization to NONE "for SPIFFE". It has nothing to do with SPIFFE: it is about the paths of HTTP
  requests, and with NONE a proxy compares a policy with the path as it was sent, while the application may read it otherwise.
  Source: guide, Step 2; Istio, security best practices.

  @requirement:TRF-07 @safety:namespaced
  Scenario: No spelling of a path leads out of what a policy allows
    Given the workloads "alpha" and "gamma"
    And a policy that lets alpha call gamma below /open/ alone
    When alpha asks gamma for these paths:
      | path                     |
      | /open/door               |
      | /closed/door             |
      | /open/../closed/door     |
      | /open/..%2Fclosed/door   |
      | /open/..%2fclosed/door   |
      | /open/%2e%2e/closed/door |
      | /open//../../closed/door |
    Then /open/door must have been let in and /closed/door refused
    And no request may have reached gamma under a path that leads outside /open/
