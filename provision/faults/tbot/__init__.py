"""Faults of tbot: its DaemonSet, its renewals, its socket."""
