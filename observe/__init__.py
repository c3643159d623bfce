"""Readers of Envoy, the API server and Teleport, which record each reading and change nothing."""
