"""ProxyIdentity: the identity of one sidecar or gateway, and the facts that decide where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from facts.document import damaged
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.proxies.envoy import AgentMetrics, HttpNormalization, SdsStreams, Validator
from facts.proxies.sds_mode import SdsMode, SecretState, decide
from facts.svid import Certificate
from facts.versions import Version


@dataclass(frozen=True, slots=True)
class PodRef:
    """The pod that a proxy runs in, as the API server knows it."""

    namespace: str
    name: str
    uid: str
    service_account: str
    node: str
    is_gateway: bool = False

    @classmethod
    def of(cls, pod: Pod) -> PodRef:
        """Of a pod."""
        return cls(pod.namespace, pod.name, pod.uid, pod.service_account, pod.node, pod.is_gateway)

    @property
    def ref(self) -> ObjectRef:
        """The pod as the subject of a reading."""
        return ObjectRef("Pod", self.name, self.namespace, self.uid)

    def __str__(self) -> str:
        return f"Pod {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ProxyIdentity:
    """One sidecar or gateway.

    Attributes:
        pod: The pod it runs in.
        sds_mode: Where its identity comes from.
        decided_by: The facts that decided `sds_mode`, as sentences.
        secret_state: Of the secret ``default``.
        chain: Certificates of ``default``, leaf first; empty unless it is active.
        version_info: Of ``default``; moves with every push, so it proves nothing about rotation.
        last_updated: Of ``default``, UTC; likewise.
        validator: The kind of validation that ``ROOTCA`` configures.
        root_authorities: Authorities of ``ROOTCA`` by trust domain; the key is empty under ``trusted_ca``.
        has_files_cluster: The bootstrap has the cluster ``sds-files-grpc``.
        socket_path: Path that Envoy dials for secrets.
        streams: The connection to the SDS server.
        csr_count: Certificate requests that the agent sent to istiod.
        agent_certificate_held: The agent holds a certificate of its own.
        envoy_version: Of the Envoy binary.
        uptime: Seconds since Envoy started, up to 5 s old.
        read_at: UTC time of the last of the readings.
        evidence: Ids of the readings.
        istiod_failures: Attempts of the agent to connect to istiod that failed, since it started.
        forbidden: Requests over mutual TLS that it took as a server and that were answered with 403, since it started.
    """

    pod: PodRef
    sds_mode: SdsMode
    decided_by: tuple[str, ...]
    secret_state: SecretState
    chain: tuple[Certificate, ...]
    version_info: str
    last_updated: datetime | None
    validator: Validator
    root_authorities: Mapping[str, tuple[Certificate, ...]]
    has_files_cluster: bool
    socket_path: str
    streams: SdsStreams
    csr_count: int
    agent_certificate_held: bool
    envoy_version: Version
    uptime: int
    read_at: datetime
    evidence: tuple[str, ...]
    istiod_failures: int = 0
    forbidden: int = 0

    @property
    def ref(self) -> ObjectRef:
        """Its pod, as the subject of a finding."""
        return self.pod.ref

    @property
    def is_supplied(self) -> bool:
        """An SDS server has supplied both of its secrets, whichever server that is."""
        return self.sds_mode not in (SdsMode.UNASKED, SdsMode.SILENT)

    @property
    def leaf(self) -> Certificate | None:
        """The certificate that the proxy presents; None unless the secret is active."""
        return self.chain[0] if self.chain else None

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """Certificates that the proxy presents beside the leaf; a path to an authority may lead over them."""
        return self.chain[1:]

    @property
    def spiffe_ids(self) -> tuple[str, ...]:
        """All URI SANs of the leaf; empty without a leaf."""
        return self.chain[0].uri_sans if self.chain else ()

    def socket_on_node(self, pod: Pod) -> str:
        """Path on the node of the socket that it dials; empty where its pod mounts no directory of the node there.

        Args:
            pod: Its pod, whose volume tells the directory.
        """
        directory = pod.socket_on_node.rpartition("/")[0]
        return f"{directory}/{self.socket_path.rpartition('/')[2]}" if directory else ""

    @property
    def started_at(self) -> datetime:
        """UTC time at which Envoy started, to about 5 s."""
        return self.read_at - timedelta(seconds=self.uptime)


@dataclass(frozen=True, slots=True)
class Unread:
    """A pod whose proxy could not be read: it is listed, never dropped.

    Attributes:
        at: UTC time of the attempt.
        now: The pod as the API server had it after the attempt; None where the suite did not look.
    """

    pod: PodRef
    why: CouldNotTell
    at: datetime
    now: Pod | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A pod that went away while the suite read the fleet: it is listed with the reason, and not judged.

    Attributes:
        why: The reason, in words that follow its name.
        evidence: Ids of the readings that show it.
    """

    pod: PodRef
    why: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """All proxies that were asked for, in the order of the pods: read, unread, or gone meanwhile."""

    proxies: tuple[ProxyIdentity, ...]
    unread: tuple[Unread, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, found: Iterable[ProxyIdentity | Unread | LeftOut]) -> Fleet:
        """The fleet of these outcomes."""
        each = tuple(found)
        return cls(
            tuple(f for f in each if isinstance(f, ProxyIdentity)),
            tuple(f for f in each if isinstance(f, Unread)),
            tuple(f for f in each if isinstance(f, LeftOut)),
        )

    @property
    def outcomes(self) -> tuple[ProxyIdentity | Unread | LeftOut, ...]:
        """What came of each pod."""
        return (*self.proxies, *self.unread, *self.left_out)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(*self.proxies, *self.left_out, *(u.now for u in self.unread))


@dataclass(frozen=True, slots=True)
class Normalization:
    """Path normalization in force in one proxy's inbound HTTP listeners.

    Attributes:
        pod: The pod it runs in.
        settings: Every distinct setting; none when it serves no HTTP.
        evidence: Ids of the readings.
    """

    pod: PodRef
    settings: tuple[HttpNormalization, ...]
    evidence: tuple[str, ...]


def identify(pod: PodRef, answers: Mapping[str, Any], read_at: datetime, evidence: tuple[str, ...]) -> ProxyIdentity:
    """Puts one proxy's identity together.

    Args:
        pod: The pod, as the API server knows it.
        answers: The decoded answers of its Envoy and its agent to each of `envoy.IDENTITY` and to `envoy.AGENT_METRICS`.
        read_at: UTC time of the last answer.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: An answer is damaged, or they contradict each other.
    """
    try:
        return _identify(pod, answers, read_at, evidence)
    except CouldNotTell as error:
        raise CouldNotTell(
            expected=error.expected, seen=error.seen, where=f"{pod}: {error.where}", remedy=error.remedy
        ) from error


def _identify(pod: PodRef, answers: Mapping[str, Any], read_at: datetime, evidence: tuple[str, ...]) -> ProxyIdentity:
    active = {secret.name: secret for secret in envoy.parse_secrets(answers[envoy.ACTIVE_SECRETS])}
    warming = {secret.name: secret for secret in envoy.parse_secrets(answers[envoy.WARMING_SECRETS])}
    leaf, root = active.get(envoy.LEAF), active.get(envoy.ROOT)
    if leaf is not None and not leaf.chain:
        raise damaged("a certificate in the active secret default", "none", "secret default")
    state = SecretState.ACTIVE if leaf else SecretState.WARMING if envoy.LEAF in warming else SecretState.ABSENT
    bootstrap = envoy.parse_bootstrap(answers[envoy.BOOTSTRAP])
    agent: AgentMetrics = envoy.parse_agent_metrics(answers[envoy.AGENT_METRICS])
    decision = decide(
        bootstrap=bootstrap,
        state=state,
        leaf=leaf,
        root=root,
        agent=agent,
        own_path=f"/ns/{pod.namespace}/sa/{pod.service_account}",
    )
    return ProxyIdentity(
        pod=pod,
        sds_mode=decision.mode,
        decided_by=decision.decided_by,
        secret_state=state,
        chain=leaf.chain if leaf else (),
        version_info=leaf.version_info if leaf else "",
        last_updated=leaf.last_updated if leaf else None,
        validator=root.validator if root else Validator.NONE,
        root_authorities=root.authorities if root else {},
        has_files_cluster=bootstrap.has_files_cluster,
        socket_path=bootstrap.socket_path,
        streams=envoy.parse_streams(answers[envoy.SDS_HOSTS]),
        csr_count=agent.csr_count,
        agent_certificate_held=agent.certificate_held,
        envoy_version=bootstrap.envoy_version,
        uptime=envoy.parse_uptime(answers[envoy.SERVER]),
        read_at=read_at,
        evidence=evidence,
        istiod_failures=agent.istiod_failures,
        forbidden=agent.forbidden,
    )
