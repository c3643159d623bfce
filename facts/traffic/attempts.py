"""Negative probes: attempts of the suite that the install must refuse, each with its outcome and evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from facts.document import damaged, decoded, need, parse_json
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Pod
from facts.masks import WHOLE, keeps
from facts.proxies.envoy_traffic import Counters
from facts.proxies.identity import ProxyIdentity
from facts.redaction import beginning, ending
from facts.svid import Certificate, parse_certificates
from facts.traffic.refusal import AttemptEnd, AttemptOutcome, of_exception
from providers.teleport.facts.resources import BotInstance

_POD_IN_ROOT = re.compile(r"pod[0-9a-f]{8}[-_]")


@dataclass(frozen=True, slots=True)
class OutsideProbe:
    """A process of a node, in no pod, that asked the node's socket for an identity.

    Attributes:
        in_the_nodes_mounts: The process has the mount namespace of the node's first process.
        cgroup_root: Root of its first cgroup mount, in which tbot looks for a pod.
        leaf: The certificate it was given; None if it was given none.
        outcome: The end of its stream.
        evidence: Ids of the readings.
        further_socket: Path on the node of the socket where that is not the mesh's own but another one that pods of the mesh
            can open.
    """

    node: str
    in_the_nodes_mounts: bool
    cgroup_root: str
    leaf: Certificate | None
    outcome: AttemptOutcome
    evidence: tuple[str, ...]
    further_socket: str = ""

    @property
    def is_outside(self) -> bool:
        """It is in no pod by anything that tbot can see."""
        return self.in_the_nodes_mounts and not _POD_IN_ROOT.search(self.cgroup_root)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A test pod that asks for an identity, once it was Ready or something kept it from that.

    Attributes:
        proxy: Its proxy's identity; None where Envoy does not run.
        outcome: The end of its attempt to get an identity.
        evidence: Ids of the readings.
    """

    pod: Pod
    proxy: ProxyIdentity | None
    outcome: AttemptOutcome
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """An attempt that could not be made: the cluster did not admit its pod, or the pod did not get that far.

    Attributes:
        what: The pod.
        reason: The cluster's own words.
        evidence: Ids of the readings.
        by_policy: The cluster or the node refused such a pod; otherwise something else was in the way.
    """

    what: str
    reason: str
    evidence: tuple[str, ...]
    by_policy: bool = False


class ShownCertificate(StrEnum):
    """The certificate that a client without a proxy shows to a workload's sidecar: sound, and not issued by Teleport."""

    ISTIODS = "a certificate of istiod"
    FORGED = "a forged certificate of this trust domain"
    FOREIGN = "a certificate of another trust domain"


@dataclass(frozen=True, slots=True)
class Handshake:
    """One TLS connection of a client without a proxy to a workload's sidecar.

    Attributes:
        claim: The kind of certificate that it shows.
        chain: The certificates that it showed, its own first.
        at: UTC.
        outcome: Its end, as the client saw it.
        counted: Counters of the server's Envoy between a reading before and one after.
        server: The server's pod.
        evidence: Ids of the readings.
    """

    claim: ShownCertificate
    chain: tuple[Certificate, ...]
    at: datetime
    outcome: AttemptOutcome
    counted: Counters
    server: ObjectRef
    evidence: tuple[str, ...]

    @property
    def certificate(self) -> Certificate:
        """Its own certificate."""
        return self.chain[0]

    @property
    def where(self) -> str:
        """Server and client, as a person names them."""
        return f"{self.server}, dialled with {self.claim}"


@dataclass(frozen=True, slots=True)
class JoinAttempt:
    """A tbot with the bot's own configuration and another service account.

    Attributes:
        service_account: As ``namespace:name``.
        outcome: The end of its attempt to join, by its own log.
        instances: Bot instances with its host name, by Teleport; None without an admin session.
        evidence: Ids of the readings.
    """

    service_account: str
    outcome: AttemptOutcome
    instances: tuple[BotInstance, ...] | None
    evidence: tuple[str, ...]


def parse_relay(text: str) -> tuple[bool, str]:
    """Reads the first line of a relay: whether it has the node's mounts, and its cgroup root.

    Args:
        text: The log of ``manifests/probes/relay.py``.

    Raises:
        CouldNotTell: It printed something else, such as why it could not go over.
    """
    where = "log of the relay"
    document = decoded(text.strip().partition("\n")[0])
    if isinstance(document, str):
        raise damaged("what the relay has become, as JSON", ending(text, 300) or "nothing", where)
    own, node = need(document, "mounts", str, where), need(document, "mounts_of_node", str, where)
    return own == node, need(document, "root", str, where)


@keeps(WHOLE)
def parse_tls_client(text: str) -> tuple[tuple[Certificate, ...], AttemptOutcome]:
    """Reads the output of ``manifests/probes/tls_client.py``: the certificates shown, and the outcome.

    Raises:
        CouldNotTell: It printed something else.
    """
    where = "the TLS client"
    document = parse_json(text, where)
    shown = parse_certificates(need(document, "certificate", str, where), where)
    return shown, _outcome_of(document, where)


def _outcome_of(document: Mapping[str, Any], where: str) -> AttemptOutcome:
    error, answer = need(document, "error", str, where), need(document, "answer", str, where)
    if error:
        return of_exception(error, need(document, "text", str, where))
    if re.match(r"HTTP/1\.\d \d{3}", answer):
        # Whatever its status: a server that answers a request has accepted the certificate.
        return AttemptOutcome(AttemptEnd.GRANTED, "", answer.partition("\r\n")[0])
    if not answer:
        return AttemptOutcome(AttemptEnd.CLOSED, "", "closed without an answer")
    return AttemptOutcome(AttemptEnd.OTHER, "", beginning(answer, 200))
