@profile:hygiene
Feature: No filled-in join token is in a repository
  The file of the join token has the keys of one cluster in it, and is made from a template beside it. The suite asks git which
  files it ignores, tracks and has had. It reads no content, and keeps paths and commits alone.
  Source: guide, Step 4 and "Important Notes", 1.

  @requirement:HYG-01 @safety:read-only
  Scenario: Git ignores the filled-in file, and no commit has one
    Given the repository with the template of the join token, as the settings name it
    Then git must ignore the filled-in file, no commit must have one, and the template must hold no key
