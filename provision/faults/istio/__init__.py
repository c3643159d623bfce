"""Faults of Istio and of workloads in its mesh."""
