"""The installation: Istio, Teleport and its resources, tbot and the test application, part by part."""
