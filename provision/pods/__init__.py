"""The run's own pods: probes, test pods, and access to the mesh's ingress gateway."""
