"""Faults of tbot: its DaemonSet, its renewals, its socket, and outages that it does not survive."""
