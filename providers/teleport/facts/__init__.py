"""Teleport and tbot: resources, trust bundle, audit events, tbot's DaemonSet and configuration."""
