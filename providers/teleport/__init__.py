"""Teleport as the provider, tbot as its agent: facts, readings, judgments, checks, installation and faults of their own."""
