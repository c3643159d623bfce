@profile:traffic
Feature: Policies by path hold
  The guide sets pathNormalization to NONE "for SPIFFE". It has nothing to do with SPIFFE: it is about the paths of HTTP
  requests, and with NONE a proxy compares a policy with the path as it was sent, while the application may read it otherwise.
  Source: guide, Step 2; Istio, security best practices.

  @requirement:TRF-07 @safety:namespaced
  Scenario: No spelling of a path leads out of what policies allow
    One policy lets in what lies below /open/, another keeps out what lies below /open/vault/ there. Each spelling below leads
    outside for an application that decodes a path once, takes a backslash for a slash and follows the dots; the last three do so
    for less common ones, and no normalization refuses them.

    Given the workloads "alpha" and "gamma"
    And policies that let alpha call gamma below /open/ alone, and there not below /open/vault/
    When alpha asks gamma for these paths:
      | path                             |
      | /open/door                       |
      | /closed/door                     |
      | /open/vault/door                 |
      | /open/../closed/door             |
      | /open/./vault/door               |
      | /open/%2e%2e/closed/door         |
      | /open/%76ault/door               |
      | /open//../../closed/door         |
      | /open/..\closed/door             |
      | /open//vault/door                |
      | /open/\vault/door                |
      | /open/..%2Fclosed/door           |
      | /open/%2e%2e%2fclosed/door       |
      | /open/..%5Cclosed/door           |
      | /open/%2Fvault/door              |
      | /open/vault%2Fdoor               |
      | /open/vault%5cdoor               |
      | /open/..%252Fclosed/door         |
      | /open/%252e%252e%252fclosed/door |
      | /open/..;/closed/door            |
    Then /open/door must have been let in, and /closed/door and /open/vault/door refused
    And no request may have reached gamma under a path that leads outside /open/ or into /open/vault/
