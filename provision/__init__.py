"""Makes and unmakes things: clusters, Istio, Teleport, tbot, workloads, faults. It acts and never judges."""
