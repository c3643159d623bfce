"""NEG-05: a client without a proxy, which shows certificates that Teleport has not issued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import COUNTERS, Counters, parse_counters
from facts.svid import workload_id
from facts.traffic.attempts import Handshake, NotRun, ShownCertificate, parse_tls_client
from observe.proxies.envoy import read_admin
from provision.names import HTTP
from provision.negative.forgery import forged
from provision.negative.probe import ProbeNamespaces, config_map, program

STRANGER = "stranger"
OTHER_DOMAIN = "other.conformance.invalid"

FILES: Mapping[ShownCertificate, tuple[str, str]] = {
    ShownCertificate.ISTIODS: ("/var/run/istiod/cert-chain.pem", "/var/run/istiod/key.pem"),
    ShownCertificate.FORGED: ("/var/run/forged/impostor.pem", "/var/run/forged/impostor.key"),
    ShownCertificate.FOREIGN: ("/var/run/forged/foreigner.pem", "/var/run/forged/foreigner.key"),
}
"""Where the stranger has what it may show: the files of the certificate and of its key."""


class UntrustedClient:
    """A client that shows what it wants.

    Args:
        probe_namespaces: Where it lives.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """The objects to make, forged certificates among them."""
        namespace = self._namespaces.namespace
        claims = {"impostor": self._namespaces.install.teleport.ping().cluster_name, "foreigner": OTHER_DOMAIN}
        secret: dict[str, str] = {}
        for name, trust_domain in claims.items():
            made = forged(workload_id(trust_domain, namespace, STRANGER))
            secret |= {f"{name}.pem": made.certificate, f"{name}.key": made.key}
        metadata = {"name": "forged", "namespace": namespace}
        return [
            config_map(namespace, STRANGER, program("tls_client.py")),
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret},
            *self._namespaces.documents("stranger.yaml"),
        ]

    def dial(self, server: Pod, claim: ShownCertificate) -> Handshake:
        """Dials a server's proxy and shows it a certificate.

        Args:
            server: A Ready test pod that counts its handshakes.
            claim: What is shown.

        Raises:
            CouldNotTell: The stranger is not there, or the server counts nothing.
        """
        namespace, cluster = self._namespaces.namespace, self._namespaces.cluster
        stranger = self._namespaces.until(namespace, STRANGER, lambda p: p.ready)
        if isinstance(stranger, NotRun):
            raise CouldNotTell(
                expected="a pod of the run to dial from",
                seen=stranger.reason,
                where=f"Pod {namespace}/{STRANGER}",
                remedy="look at the pod's conditions and at the log of its istio-proxy",
            )
        before = self._counters(server)
        words = ["python3", "-I", "/program/tls_client.py", server.ip, str(HTTP), *FILES[claim]]
        at = datetime.now(UTC)
        done = cluster.exec_in(namespace, STRANGER, "app", words, parser=parse_tls_client)
        if done.exit_code:
            raise CouldNotTell(
                expected="the TLS client to end with an answer",
                seen=f"exit code {done.exit_code}: {done.stderr.strip()[-300:]}",
                where=f"Pod {namespace}/{STRANGER}",
                remedy="see whether its agent has written a certificate to /var/run/istiod",
            )
        chain, outcome = parse_tls_client(done.stdout)
        counted = self._counters(server).since(before)
        evidence = (*stranger.evidence, *done.evidence, *counted.evidence)
        return Handshake(claim, chain, at, outcome, counted, server.ref, evidence)

    def _counters(self, server: Pod) -> Counters:
        reading = read_admin(self._namespaces.cluster, server, [COUNTERS])[COUNTERS]
        return parse_counters(reading.document, (reading.evidence,))
