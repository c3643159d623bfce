"""Faults of nodes and outages, and of the tools that the certifying person has in hand."""
