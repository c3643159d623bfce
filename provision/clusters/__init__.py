"""kind clusters, and where binaries and images come from."""
