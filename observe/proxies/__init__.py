"""Proxies: Envoy's admin interface and Istio's agent, read from outside, once or again and again."""
