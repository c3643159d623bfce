@profile:traffic
Feature: Policies by path hold for every spelling of a path
  The guide sets pathNormalization to NONE "for SPIFFE". The setting concerns the paths of HTTP requests and has nothing to do
  with SPIFFE. With NONE a proxy compares a policy with the path as the client sent it, and the application may decode that.
  Source: guide, Step 2; Istio, security best practices.

  @requirement:TRF-07 @safety:namespaced
  Scenario: No alternative spelling of a path bypasses the policies
    One policy allows paths below /open/, another denies those below /open/vault/. Each spelling below leads outside for an
    application that decodes a path once, reads a backslash as a slash and resolves dot segments. The last three lead outside for
    less common applications, and no normalization refuses them.

    Given the test pods "alpha" and "gamma"
    And policies that let alpha call gamma only below /open/, but not below /open/vault/
    When alpha requests these paths from gamma:
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
    Then gamma must have let in /open/door, and refused /closed/door and /open/vault/door
    And no request must have reached gamma under a path that leads outside /open/ or into /open/vault/
