"""Faults of the nodes, and of the tools and credentials of the person who runs the suite."""
