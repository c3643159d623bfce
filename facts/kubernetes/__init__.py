"""The objects of Kubernetes: pods, nodes, workloads, rights, key sets, and what probe pods found on nodes."""
