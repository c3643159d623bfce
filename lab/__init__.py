"""A real kind cluster with Istio, made without a container registry, and the stand-in for Teleport.

A program of its own (`python -m lab`): nothing of the suite imports it, and it imports nothing of the suite. What a
cluster made from it needs is handed over as data, see `lab.bundle`.
"""
