"""Istio: its mesh configuration, its injector, its control plane, its gateways."""
