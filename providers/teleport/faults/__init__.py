"""Faults of Teleport's resources and of tbot."""
