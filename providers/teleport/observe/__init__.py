"""Teleport and tbot: what the proxy publishes, what tctl prints, audit events, tbot's DaemonSet."""
