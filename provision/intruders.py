"""Intruders: pods of the run that ask for what they must not get, and beside each one that asks the same and must get it.

All that a run needs are made at the same time; each is awaited, and looked at, when a step asks for it. They live in two
namespaces of the run, one with injection and one without, which are removed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from facts import envoy
from facts.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe, parse_relay, parse_tls_client
from facts.document import Absent, Reading
from facts.envoy_traffic import COUNTERS, Counters, parse_counters
from facts.errors import ConformanceError, CouldNotTell
from facts.kubernetes import Pod
from facts.pod_spec import PROXY
from facts.probe import Refused, SdsProbe
from facts.refusal import Kind, Outcome, of_agents_log, of_tbots_log, parse_ended_streams
from facts.svid import Certificate, workload_id
from facts.teleport import WorkloadIdentity
from observe.cluster import Cluster
from observe.envoy import read_admin, read_proxy
from observe.install import Install
from observe.wait import NotYet, eventually
from provision.forgery import forged
from provision.joiner import config_maps_of, joiner
from provision.objects import SCRATCH, Objects
from provision.pods import Ended, Pods
from provision.probes import PROBES, Probes, label_of
from provision.render import documents, render
from provision.rules import Rules
from provision.workloads import for_revision

REFUSED, ALLOWED = "refused", "allowed"
CLOSED, STRANGER, JOINER = "fail-closed", "stranger", "joiner"
OTHER_SOCKET = "conformance"
"""A socket name that is not `socket`, and that no install has: nobody listens on it."""

OTHER_DOMAIN = "other.conformance.invalid"
HTTP_PORT = 8080
SDS_CLUSTER = "sds-grpc"

OF_ISTIOD = "a certificate of istiod"
CLAIMS: Mapping[str, tuple[str, str]] = {
    OF_ISTIOD: ("/var/run/istiod/cert-chain.pem", "/var/run/istiod/key.pem"),
    "a forged certificate of this trust domain": ("/var/run/forged/impostor.pem", "/var/run/forged/impostor.key"),
    "a certificate of another trust domain": ("/var/run/forged/foreigner.pem", "/var/run/forged/foreigner.key"),
}
"""What the stranger may show, with the files of the certificate and of its key."""

IDS = ("NEG-01", "NEG-02", "NEG-03", "NEG-04", "NEG-05", "NEG-06")
"""The requirements that need an intruder."""


class Intruders:
    """Makes intruders, and looks at what becomes of them.

    Args:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at.
        install: What they try to get into.
        probes: For their namespace without injection, and for probes that must be let in.
        rules: Of the workload identity.
        image: An image with ``python3``.
        patience: Seconds that a pod has.
    """

    def __init__(
        self,
        objects: Objects,
        cluster: Cluster,
        install: Install,
        probes: Probes,
        rules: Rules,
        *,
        image: str,
        patience: float,
    ) -> None:
        self._objects = objects
        self._cluster = cluster
        self._install = install
        self._probes = probes
        self._rules = rules
        self._image = image
        self._pods = Pods(objects, cluster, patience)
        self._to_remove = ""
        self._wanted: set[str] = set()
        self._not_made: dict[str, Ended] = {}
        self._former: WorkloadIdentity | ConformanceError | None = None

    # --- making ------------------------------------------------------------------------------------------------------

    def begin(self, wanted: Iterable[str]) -> None:
        """Makes what some requirements need, without waiting for it.

        Args:
            wanted: Their ids; others than `IDS` need nothing.

        Raises:
            ProvisioningFailed: The API server refused something that is no pod.
            CouldNotTell: What they try to get into could not be read.
        """
        self._wanted = {*wanted} & {*IDS}
        made: list[dict[str, Any]] = []
        if "NEG-02" in self._wanted:
            made += self._outside()
        # By another method it would not be refused for its service account, but join as the bot.
        if "NEG-06" in self._wanted and self._install.agent().config.join_method == "kubernetes":
            made += self._joiner()
        if self._wanted & {"NEG-01", "NEG-03", "NEG-04", "NEG-05"}:
            self._to_remove = self.namespace  # before it is there, see Probes.namespace
            (namespace,) = self._documents("injected_namespace.yaml")
            for_revision(namespace, self._install.mesh().revision)
            made.append(namespace)
        if self._wanted & {"NEG-01", "NEG-04", "NEG-05"}:
            made += self._stranger()
        if "NEG-04" in self._wanted:
            made += self._documents("fail_closed.yaml", SOCKET_NAME=OTHER_SOCKET)
        self._make(made)
        if "NEG-02" not in self._wanted:
            self._begin_under_rules()

    def _begin_under_rules(self) -> None:
        """Narrows the rules and makes the two workloads that live under them.

        Not before NEG-02 is done: a rule of the run's own would refuse a process in no pod that the install lets in.
        """
        if "NEG-03" not in self._wanted or self._former is not None:
            return
        try:
            self._former = self._rules.leave_out(self._identity_name(), self.refused_account)
        except ConformanceError as error:
            self._former = error  # nobody but NEG-03 needs it
            return
        template = self._install.names.injection_template
        for name, account in ((REFUSED, self.refused_account), (ALLOWED, ALLOWED)):
            self._make(self._documents("sidecar.yaml", NAME=name, ACCOUNT=account, TEMPLATE=template))

    def _identity_name(self) -> str:
        """The workload identity that tbot's selector names, or else the one of the settings."""
        services = self._install.agent().config.services
        return (services[0].selector_name if services else "") or self._install.names.workload_identity

    def _make(self, made: Iterable[dict[str, Any]]) -> None:
        for document in made:
            if document["kind"] != "Pod":
                self._objects.apply(document)
            elif (refused := self._pods.make(document)) is not None:
                self._not_made[document["metadata"]["name"]] = refused

    def _until(self, namespace: str, name: str, there: Callable[[Pod], bool]) -> Pod | NotRun:
        ended = self._not_made.get(name) or self._pods.until(namespace, name, there)
        return NotRun(name, ended.reason, ended.evidence, ended.by_policy) if isinstance(ended, Ended) else ended

    def remove(self) -> None:
        """Puts the rules back and removes the namespace; that of the probes goes with the probes."""
        self._pods.interrupt()
        try:
            self._rules.restore()
        finally:
            if self._to_remove:
                self._objects.delete("v1", "Namespace", self._to_remove)
                self._to_remove = ""

    @property
    def namespace(self) -> str:
        """The namespace with injection."""
        return f"{SCRATCH}{self._objects.run_id.lower()}-intruders"

    @property
    def refused_account(self) -> str:
        """The service account that the rules leave out; no other in the cluster has this name."""
        return f"refused-{self._objects.run_id.lower()}"

    @property
    def joining_pod(self) -> str:
        """The pod that tries to join: Teleport would remember it by its name, longer than the run lasts."""
        return f"{JOINER}-{self._objects.run_id.lower()}"

    # --- NEG-02 ------------------------------------------------------------------------------------------------------

    def outside(self) -> tuple[OutsideProbe | NotRun, ...]:
        """What a process of each node, in no pod, got from the node's socket."""
        return tuple(self._asked_from_outside(node) for node in self._nodes())

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """What a probe in a pod gets from the same sockets right afterwards."""
        found = self._probes.of_sockets(nodes=self._nodes(), image=self._install.proxy_image(), **self._socket())
        self._begin_under_rules()
        return found

    def _asked_from_outside(self, node: str) -> OutsideProbe | NotRun:
        name = f"outside-{label_of(node)}"
        pod = self._until(self._probes.namespace(), name, lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        relay = self._cluster.logs(pod.namespace, pod.name, "relay")
        inside, root = parse_relay(str(relay.document))
        leaf, outcome, evidence = self._answered(pod)
        found = (*pod.evidence, relay.evidence, *evidence)
        return OutsideProbe(node, inside, root, leaf, outcome, datetime.now(UTC), found)

    # --- NEG-03 ------------------------------------------------------------------------------------------------------

    def former_rules(self) -> WorkloadIdentity:
        """Narrows the rules, where that was not done yet, and gives the workload identity as it was.

        Raises:
            ConformanceError: That was not possible.
        """
        self._begin_under_rules()
        if isinstance(self._former, ConformanceError):
            raise self._former
        assert self._former is not None  # noqa: S101 - NEG-03 is wanted where this is asked
        return self._former

    def restore_rules(self) -> None:
        """Puts the rules back as they were."""
        self._rules.restore()

    def allowed(self) -> Candidate | NotRun:
        """The workload that the narrowed rules allow."""
        return self._ready(ALLOWED)

    def refused(self) -> Candidate | NotRun:
        """The workload that the narrowed rules refuse, when the SDS server has answered it."""
        running = self._until(self.namespace, REFUSED, lambda p: p.proxy is not None and p.proxy.state == "running")
        if isinstance(running, NotRun):
            return running
        _leaf, outcome, evidence = self._answered(running)
        pod = self._until(self.namespace, REFUSED, lambda _pod: True)
        if isinstance(pod, NotRun):
            return pod
        proxy = read_proxy(self._cluster, pod)
        return Candidate(pod, proxy, outcome, (*pod.evidence, *evidence, *proxy.evidence))

    def _answered(self, pod: Pod) -> tuple[Certificate | None, Outcome, tuple[str, ...]]:
        """What the SDS server has given to an Envoy, or why it has given nothing; or that it did not answer in time."""
        evidence: tuple[str, ...] = ()

        def look() -> tuple[Certificate | None, Outcome]:
            nonlocal evidence
            try:
                secrets = read_admin(self._cluster, pod, [envoy.ACTIVE_SECRETS])[envoy.ACTIVE_SECRETS]
            except CouldNotTell as error:
                raise NotYet(error.seen) from error  # the container runs before Envoy listens
            log = self._cluster.logs(pod.namespace, pod.name, PROXY, tail=200)
            evidence = (secrets.evidence, log.evidence)
            given = [s.chain[0] for s in envoy.parse_secrets(secrets.document) if s.name == envoy.LEAF and s.chain]
            if given:
                return given[0], Outcome(Kind.GRANTED)
            ended = [s.outcome for s in parse_ended_streams(str(log.document)) if s.cluster == SDS_CLUSTER]
            if refusals := [outcome for outcome in ended if outcome.kind is Kind.SDS]:
                return None, refusals[-1]
            raise NotYet(str(ended[-1]) if ended else "no certificate, and no word why")

        try:
            leaf, outcome = eventually(
                f"an answer of the SDS server to {pod.ref}", look, self._pods.pace(self._pods.patience)
            )
        except CouldNotTell as error:
            return None, Outcome(Kind.TIMEOUT, "", error.seen), evidence
        return leaf, outcome, evidence

    # --- NEG-04 ------------------------------------------------------------------------------------------------------

    def fail_closed(self) -> Candidate | NotRun:
        """The workload whose agent looks for a socket of another name, when that agent has ended, or is content."""
        pod = self._until(self.namespace, CLOSED, lambda p: p.ready or _has_ended(p))
        if isinstance(pod, NotRun):
            return pod
        if pod.ready:
            return self._ready(CLOSED)
        log = eventually(f"the last words of the agent in {pod.ref}", self._last_words, self._pods.pace(self._pods.patience))
        return Candidate(pod, None, of_agents_log(str(log.document)), (*pod.evidence, log.evidence))

    def _last_words(self) -> Reading:
        """The log of the last run of an agent that ends again and again, of which a new one may just have begun."""
        pod = self._cluster.pod(self.namespace, CLOSED)
        proxy = None if isinstance(pod, Absent) else pod.proxy
        previous = proxy is not None and proxy.state != "terminated"
        try:
            return self._cluster.logs(self.namespace, CLOSED, PROXY, previous=previous, tail=50)
        except CouldNotTell as error:
            raise NotYet(error.seen) from error

    def stranger(self) -> Candidate | NotRun:
        """The workload that has no socket and looks for it by the usual name."""
        pod = self._until(self.namespace, STRANGER, lambda p: p.ready or not _has_no_socket(p))
        if isinstance(pod, Pod) and not pod.ready:
            return Candidate(pod, None, Outcome(Kind.OTHER, "", "its socket directory is not its own"), pod.evidence)
        return self._ready(STRANGER)

    def _ready(self, name: str) -> Candidate | NotRun:
        pod = self._until(self.namespace, name, lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        proxy = read_proxy(self._cluster, pod)
        return Candidate(pod, proxy, Outcome(Kind.GRANTED), (*pod.evidence, *proxy.evidence))

    # --- NEG-05 ------------------------------------------------------------------------------------------------------

    def dial(self, server: Pod, claim: str) -> Handshake:
        """Dials a server's proxy with one of the stranger's certificates.

        Args:
            server: A Ready workload of the run that counts its handshakes.
            claim: One of `CLAIMS`.

        Raises:
            CouldNotTell: The stranger is not there, or the server counts nothing.
        """
        stranger = self._until(self.namespace, STRANGER, lambda p: p.ready)
        if isinstance(stranger, NotRun):
            raise CouldNotTell(
                expected="a pod of the run to dial from",
                seen=stranger.reason,
                where=f"Pod {self.namespace}/{STRANGER}",
                remedy="look at the pod's conditions and at the log of its istio-proxy",
            )
        before = self._counters(server)
        words = ["python3", "-I", "/program/tls_client.py", server.ip, str(HTTP_PORT), *CLAIMS[claim]]
        done = self._cluster.exec_in(self.namespace, STRANGER, "app", words, parser="facts.attempts.parse_tls_client")
        if done.exit_code:
            raise CouldNotTell(
                expected="the TLS client to end with an answer",
                seen=f"exit code {done.exit_code}: {done.stderr.strip()[-300:]}",
                where=f"Pod {self.namespace}/{STRANGER}",
                remedy="see whether its agent has written a certificate to /var/run/istiod",
            )
        shown, protocol, outcome = parse_tls_client(done.stdout)
        counted = self._counters(server).since(before)
        evidence = (*stranger.evidence, *done.evidence, *counted.evidence)
        return Handshake(claim, shown, protocol, outcome, counted, str(server.ref), evidence)

    def _counters(self, server: Pod) -> Counters:
        reading = read_admin(self._cluster, server, [COUNTERS])[COUNTERS]
        return parse_counters(reading.document, (reading.evidence,))

    # --- NEG-06 ------------------------------------------------------------------------------------------------------

    def joiner(self) -> JoinAttempt | NotRun:
        """The tbot of another service account, when it has ended or has joined."""
        agent = self._install.agent()
        if agent.config.join_method != "kubernetes":
            method = f"tbot joins by the method {agent.config.join_method or 'token'}, where this would join as the bot"
            return NotRun(f"a tbot of {JOINER}", method, agent.evidence)
        namespace = self._probes.namespace()
        log: tuple[str, ...] = ()
        outcome = Outcome(Kind.TIMEOUT)

        def settled(pod: Pod) -> bool:
            nonlocal log, outcome
            container = pod.containers[0]
            if container.state not in ("running", "terminated"):
                return False
            reading = self._cluster.logs(namespace, pod.name, container.name)
            log, outcome = (reading.evidence,), of_tbots_log(str(reading.document))
            return container.state == "terminated" or outcome.kind in (Kind.GRANTED, Kind.JOIN)

        pod = self._until(namespace, self.joining_pod, settled)
        if isinstance(pod, NotRun):
            return pod
        instances = None
        if self._install.teleport().has_admin:
            instances = tuple(i for i in self._install.teleport().bot_instances() if i.hostname == pod.name)
        seen = (e for i in instances or () for e in i.evidence)
        return JoinAttempt(f"{namespace}:{pod.service_account}", pod, outcome, instances, (*pod.evidence, *log, *seen))

    # --- manifests ---------------------------------------------------------------------------------------------------

    def _nodes(self) -> list[str]:
        return sorted(self._install.injected_by_node())

    def _socket(self) -> dict[str, str]:
        return {"socket_directory": self._install.socket_directory(), "socket_name": self._install.socket_name()}

    def _documents(self, manifest: str, **variables: str) -> list[dict[str, Any]]:
        given = {"NAMESPACE": self.namespace, "IMAGE": self._image, **variables}
        return documents(PROBES / manifest, given)

    def _outside(self) -> list[dict[str, Any]]:
        namespace, socket = self._probes.namespace(), self._socket()
        path = PROBES / "envoy.yaml"
        config = render(path.read_text(encoding="utf-8"), {"SOCKET_NAME": socket["socket_name"]}, where=str(path))
        made = [
            _config_map(namespace, "relay", {"relay.py": (PROBES / "relay.py").read_text(encoding="utf-8")}),
            _config_map(namespace, "outside", {"envoy.yaml": yaml.safe_dump(yaml.safe_load(config))}),
        ]
        for node in self._nodes():
            variables = {
                "NAMESPACE": namespace,
                "NODE": node,
                "NODE_LABEL": label_of(node),
                "IMAGE": self._image,
                "PROXY_IMAGE": self._install.proxy_image(),
                "SOCKET_DIRECTORY": socket["socket_directory"],
                "SOCKET_NAME": socket["socket_name"],
            }
            made += documents(PROBES / "outside.yaml", variables)
        return made

    def _stranger(self) -> list[dict[str, Any]]:
        own = self._install.mesh().trust_domain
        claims = {"impostor": own, "foreigner": OTHER_DOMAIN}
        secret: dict[str, str] = {}
        for name, trust_domain in claims.items():
            made = forged(workload_id(trust_domain, self.namespace, STRANGER))
            secret |= {f"{name}.pem": made.certificate, f"{name}.key": made.key}
        program = {"tls_client.py": (PROBES / "tls_client.py").read_text(encoding="utf-8")}
        metadata = {"name": "forged", "namespace": self.namespace}
        return [
            _config_map(self.namespace, STRANGER, program),
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret},
            *self._documents("stranger.yaml"),
        ]

    def _joiner(self) -> list[dict[str, Any]]:
        agent = self._install.agent()
        installed = agent.daemon_set
        found = self._objects.get("apps/v1", "DaemonSet", installed.name, namespace=installed.namespace)
        if found is None:
            raise CouldNotTell(
                expected="tbot's DaemonSet, which the one that tries to join is made after",
                seen="it is gone since it was read",
                where=str(installed.ref),
                remedy="run again when nobody changes tbot",
            )
        texts = {}
        for name in config_maps_of(found):
            config_map = self._objects.get("v1", "ConfigMap", name, namespace=installed.namespace) or {}
            texts[name] = config_map.get("data") or {}
        return joiner(
            found,
            texts,
            container=agent.container.name,
            name=self.joining_pod,
            account=JOINER,
            namespace=self._probes.namespace(),
        )


def _has_no_socket(pod: Pod) -> bool:
    volume = pod.spec.volume("workload-socket")
    return volume is not None and volume.source == "emptyDir"


def _has_ended(pod: Pod) -> bool:
    proxy = pod.proxy
    return proxy is not None and (proxy.last_exit_code is not None or proxy.exit_code is not None)


def _config_map(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
