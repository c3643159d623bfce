"""The API server and the certificate that the tests of all readers share."""

from tests.unit.observe.conftest import certificate, cluster, healthy, pods, recorder, server

__all__ = ["certificate", "cluster", "healthy", "pods", "recorder", "server"]
