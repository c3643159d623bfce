"""Providers of workload identities: a provider issues, its agent serves the node's socket. Nothing neutral imports them."""
