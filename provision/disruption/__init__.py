"""Outages and changes during a scenario, all undone at its end: of tbot, Teleport, istiod, nodes, lifetimes, authorities."""
