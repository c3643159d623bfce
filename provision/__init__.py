"""Makes and removes clusters, Istio, Teleport, tbot, test pods and faults. It acts and never judges."""
