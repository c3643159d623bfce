"""Faults of Teleport: its resources, its clock, its CA rotation."""
