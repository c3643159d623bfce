"""Every judgment in both directions."""
