"""Tests of the kill test: what it compares, and when it kills."""
