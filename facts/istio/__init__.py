"""An Istio install: mesh configuration, injection, its own CA, gateways and the services in front of them."""
