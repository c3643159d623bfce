"""The TLS that one Envoy is configured to speak: what its listeners accept, and what it sends to its destinations."""
