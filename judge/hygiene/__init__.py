"""Judgments about what surrounds an install: rights, settings in force, a repository, and what the suite itself leaves."""
