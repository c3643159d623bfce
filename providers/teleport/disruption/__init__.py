"""A rotation of Teleport's SPIFFE authority while the suite watches."""
