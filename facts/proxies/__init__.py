"""One proxy: Envoy's answers, the identity that they add up to, and the policies that it enforces."""
