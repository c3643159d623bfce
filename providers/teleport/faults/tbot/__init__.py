"""Faults of tbot: its DaemonSet, its rights, its renewals, its socket, and outages that it does not survive."""
