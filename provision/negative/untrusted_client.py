"""NEG-05: a client without a proxy, which presents certificates that Teleport has not issued."""

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
from provision.negative.probe import ProbeNamespaces
from provision.objects import config_map
from provision.pods.probes import program

STRANGER = "stranger"
"""Name of the client's pod, as in its manifest."""
OTHER_DOMAIN = "other.conformance.invalid"

FILES: Mapping[ShownCertificate, tuple[str, str]] = {
    ShownCertificate.ISTIODS: ("/var/run/istiod/cert-chain.pem", "/var/run/istiod/key.pem"),
    ShownCertificate.FORGED: ("/var/run/forged/impostor.pem", "/var/run/forged/impostor.key"),
    ShownCertificate.FOREIGN: ("/var/run/forged/foreigner.pem", "/var/run/forged/foreigner.key"),
}
"""Files, in the client's pod, of each certificate that it presents and of the certificate's key."""


class UntrustedClient:
    """Client that presents certificates that Teleport has not issued.

    Args:
        probe_namespaces: Namespaces that it lives in.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """Return the objects to make, forged certificates among them."""
        namespace = self._namespaces.namespace
        claims = {"impostor": self._namespaces.install.teleport.ping().cluster_name, "foreigner": OTHER_DOMAIN}
        files: dict[str, str] = {}
        for name, trust_domain in claims.items():
            made = forged(workload_id(trust_domain, namespace, STRANGER))
            files |= {f"{name}.pem": made.certificate, f"{name}.key": made.key}
        return [
            config_map(namespace, STRANGER, program("tls_client.py")),
            # No Secret: the keys open nothing, and the right to apply Secrets is the right to read them all.
            config_map(namespace, "forged", files),
            *self._namespaces.documents("stranger.yaml"),
        ]

    def dial(self, server: Pod, claim: ShownCertificate) -> Handshake:
        """Dial a server's proxy and present a certificate to it.

        Args:
            server: Ready test pod that counts its handshakes.
            claim: Certificate to present.

        Raises:
            CouldNotTell: The client does not run, or the server counts nothing.
        """
        namespace, cluster = self._namespaces.namespace, self._namespaces.cluster
        client = self._namespaces.until(namespace, STRANGER, lambda p: p.ready)
        if isinstance(client, NotRun):
            raise CouldNotTell(
                expected="a pod of the suite to dial from",
                seen=client.reason,
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
                seen=f"exit code {done.exit_code}: {done.tail(300)}",
                where=f"Pod {namespace}/{STRANGER}",
                remedy="check whether its agent has written a certificate to /var/run/istiod",
            )
        chain, outcome = parse_tls_client(done.stdout)
        counted = self._counters(server).since(before)
        evidence = (*client.evidence, *done.evidence, *counted.evidence)
        return Handshake(claim, chain, at, outcome, counted, server.ref, evidence)

    def _counters(self, server: Pod) -> Counters:
        reading = read_admin(self._namespaces.cluster, server, [COUNTERS])[COUNTERS]
        return parse_counters(reading.document, (reading.evidence,))
