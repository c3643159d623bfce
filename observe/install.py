"""One install, as something to read: every reading is made once, when first asked for, and attached wherever it is used.

A reading that failed is not tried again in the same run: every requirement that needs it gets the same *could not tell*, and
a cluster that does not answer costs one timeout, not twenty-five.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from facts.access import Right
from facts.agent import Agent, KubeletAddress
from facts.audit import AuditTrail
from facts.bundle import TrustBundle
from facts.document import Absent, Reading
from facts.errors import ConformanceError, CouldNotTell
from facts.evidence import ObjectRef, Recorder
from facts.guide import GuideAnswer
from facts.injection import DryRun
from facts.istio_ca import CONFIG_MAP, IstioAuthorities, parse_istio_authorities
from facts.jwks import Jwks, Signature, parse_jwks, verify
from facts.kubernetes import Labelled, Node, Pod
from facts.mesh import Mesh
from facts.mounts import SocketMount
from facts.proxy import Fleet, Normalization, Unread
from facts.services import Ingress, Service, ingress_of
from facts.teleport import Bot, BotInstance, ClusterStatus, JoinToken, NoSession, Ping, Role, WorkloadIdentity, selects
from facts.versions import Tool, Version
from facts.workloads import Deployment
from observe.agent import read_agent
from observe.audit import AuditEvents, read_trail
from observe.cluster import Cluster
from observe.envoy import read_fleet, read_normalizations
from observe.guide import GuideCommand, NoPodToAsk, about, conclusion
from observe.mesh import read_mesh
from observe.mounts import read_socket_mounts
from observe.teleport import Teleport
from observe.tools import Tools
from settings import Names

T = TypeVar("T")

READ_ONLY_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("get", "", "/openid/v1/jwks"),
    ("list", "", "pods"),
    ("list", "", "nodes"),
    ("list", "", "namespaces"),
    ("get", "", "configmaps"),
    ("get", "", "pods/log"),
    ("list", "apps", "deployments"),
    ("get", "apps", "deployments"),
    ("get", "apps", "daemonsets"),
    ("list", "apps", "daemonsets"),
    ("create", "", "pods"),
    ("create", "", "pods/portforward"),
    ("create", "", "pods/exec"),
)
"""What looking needs. Create on pods is for server-side dry-runs; nothing is created with it."""

_MADE: tuple[tuple[str, str], ...] = (
    *(("", kind) for kind in ("namespaces", "serviceaccounts", "configmaps", "secrets", "pods", "services")),
    *(("networking.istio.io", kind) for kind in ("destinationrules", "envoyfilters", "virtualservices")),
    *(("security.istio.io", kind) for kind in ("authorizationpolicies", "peerauthentications")),
)

NAMESPACED_RIGHTS: tuple[tuple[str, str, str], ...] = (
    *((verb, group, kind) for group, kind in _MADE for verb in ("create", "patch")),
    ("get", "", "pods"),
    ("delete", "", "pods"),
    ("delete", "", "namespaces"),
    ("get", "", "namespaces"),
    ("create", "", "serviceaccounts/token"),
)
"""What probes and workloads of the run need besides. Applying server-side is a patch, which creates what is not there."""

DISRUPTIVE_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("list", "", "services"),
    ("create", "networking.istio.io", "gateways"),
    ("patch", "networking.istio.io", "gateways"),
)
"""What it takes besides to send something through the mesh's own ingress gateway."""

NO_INGRESS = ("egressgateway", "eastwestgateway")
"""Values of the label ``istio`` on gateways that are not for what comes from outside."""

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""Label of what istiod deploys for a Gateway of the Gateway API, waypoints among it."""

ADMIN_RIGHTS: tuple[tuple[str, str, str], ...] = (("*", "*", "*"),)
"""What provisioning needs: the guide's cluster admin."""


class Install:
    """Everything that can be read of one install.

    Args:
        cluster: Its Kubernetes API.
        teleport: Makes the reader of its Teleport; called when first needed.
        tools: The command-line tools.
        names: What things are called; the guide's, or discovered ones.
        recorder: Takes readings that are made again by attaching them.
        allowed: Safety classes of this run; they decide which rights it needs.
        provisions: Whether this run installs, and so needs admin rights.
        audit_events: Where Teleport's audit events are; called when first needed, None where nobody said.
        is_scratch: Whether a namespace is one that a run made for pods of its own, which are no part of the install.
        progress: Told how many proxies were read, and of how many.
        need: Called with the part of the installation that a reading is about, before it is made.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        teleport: Callable[[], Teleport],
        tools: Tools,
        names: Names,
        recorder: Recorder,
        allowed: frozenset[str],
        provisions: bool,
        audit_events: Callable[[], AuditEvents | None] = lambda: None,
        is_scratch: Callable[[Labelled], bool] = lambda _namespace: False,
        progress: Callable[[int, int], None] | None = None,
        need: Callable[[str], None] = lambda _part: None,
    ) -> None:
        self.cluster = cluster
        self.names = names
        self._teleport = teleport
        self._tools = tools
        self._recorder = recorder
        self._allowed = allowed
        self._provisions = provisions
        self._audit_events = audit_events
        self._is_scratch = is_scratch
        self._progress = progress
        self._need = need
        self._lock = threading.RLock()
        self._read: dict[str, tuple[Any, tuple[str, ...]] | ConformanceError] = {}

    # Tools, rights, nodes.

    @property
    def where(self) -> str:
        """The cluster, as a person names it."""
        return f"context {self.cluster.context}"

    def kubectl(self) -> Tool:
        """Kubectl's version."""
        return self._once("kubectl", self._tools.kubectl_version, lambda tool: tool.evidence)

    def istioctl(self) -> Tool:
        """Istioctl's version."""
        return self._once("istioctl", self._tools.istioctl_version, lambda tool: tool.evidence)

    def tctl(self) -> Tool:
        """Tctl's version."""
        self._need("teleport")
        return self._once("tctl", self._tools.tctl_version, lambda tool: tool.evidence)

    def api_version(self) -> tuple[Version, tuple[str, ...]]:
        """Version of the API server."""
        self._need("cluster")
        return self._once("api_version", self.cluster.version, lambda read: read[1])

    def rights(self) -> tuple[Right, ...]:
        """What the API server says about each right that this run needs."""
        self._need("cluster")
        wanted = [*READ_ONLY_RIGHTS]
        if "namespaced" in self._allowed:
            wanted += NAMESPACED_RIGHTS
        if "disruptive" in self._allowed:
            wanted += DISRUPTIVE_RIGHTS
        if self._provisions:
            wanted += ADMIN_RIGHTS

        def read() -> tuple[Right, ...]:
            with ThreadPoolExecutor(8) as pool:
                return tuple(pool.map(lambda right: self.cluster.can_i(*right), wanted))

        return self._once("rights", read, lambda rights: _all(r.evidence for r in rights))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""
        self._need("cluster")
        return self._once("nodes", self.cluster.nodes, lambda nodes: _all(n.evidence for n in nodes))

    def workload_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that take workloads: schedulable, without a taint that keeps pods away."""
        return tuple(
            n.name
            for n in self.nodes()
            if not n.unschedulable and not any(t.endswith((":NoSchedule", ":NoExecute")) for t in n.taints)
        )

    # Teleport.

    def teleport(self) -> Teleport:
        """The reader of Teleport."""
        self._need("teleport")
        return self._once("teleport", self._teleport, lambda _: ())

    def ping(self) -> Ping:
        """What Teleport's proxy says of itself."""
        return self._once("ping", lambda: self.teleport().ping(), lambda ping: ping.evidence)

    def bundle(self) -> TrustBundle:
        """Teleport's SPIFFE authorities, from its public endpoint."""

        def read() -> TrustBundle:
            # The document does not name its trust domain; it belongs to the cluster whose proxy serves it.
            return replace(self.teleport().bundle(), trust_domain=self.ping().cluster_name)

        return self._once("bundle", read, lambda bundle: bundle.evidence)

    def admin_session(self) -> ClusterStatus | NoSession:
        """The cluster that the admin tctl talks to, or that it talks to none."""
        return self._once("status", lambda: self.teleport().status(), lambda status: status.evidence)

    def token(self) -> JoinToken | Absent:
        """The join token that tbot's configuration names."""
        self._need("resources")
        name = self._token_name()
        return self._once("token", lambda: self.teleport().token(name), lambda t: t.evidence)

    def kubernetes_type(self) -> str:
        """How tbot's join token takes this cluster's word; the guide's ``static_jwks`` where no admin tctl can say."""
        token = self.token() if self.teleport().has_admin else None
        return token.kubernetes_type if isinstance(token, JoinToken) else "static_jwks"

    def join_evidence(self) -> tuple[str, ...]:
        """The reading of the join token; none without an admin tctl."""
        return self.token().evidence if self.teleport().has_admin else ()

    def bot(self) -> Bot | Absent:
        """The bot that the join token names."""
        token = self.token()
        name = self.names.bot if isinstance(token, Absent) else token.bot_name
        return self._once("bot", lambda: self.teleport().bot(name), lambda bot: bot.evidence)

    def role_name(self) -> str:
        """Name of the role that issues: the guide's, or the bot's first one where the bot has roles of other names."""
        bot = self.bot()
        other = not isinstance(bot, Absent) and bot.roles and self.names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self.names.role

    def role(self) -> Role | Absent:
        """The bot's role."""
        name = self.role_name()
        return self._once("role", lambda: self.teleport().role(name), lambda role: role.evidence)

    def workload_identity(self) -> WorkloadIdentity | Absent:
        """The workload identity that tbot's configuration selects, by name or by labels.

        Raises:
            CouldNotTell: The labels select several; which of them a workload gets is Teleport's to say.
        """
        self._need("resources")
        return self._once("identity", self._selected_identity, lambda found: found.evidence)

    def _selected_identity(self) -> WorkloadIdentity | Absent:
        labels = self._identity_labels()
        if not labels:
            return self.teleport().workload_identity(self._identity_name())
        everything = self.teleport().workload_identities()
        found = [identity for identity in everything if selects(labels, identity.labels)]
        selector = ", ".join(f"{key}: {'|'.join(values)}" for key, values in sorted(labels.items()))
        if not found:
            evidence = _all(i.evidence for i in everything)
            return Absent(ObjectRef("Teleport", f"workload_identity with {selector}"), evidence)
        if len(found) > 1:
            raise CouldNotTell(
                expected=f"one workload identity with the labels {selector}, as tbot's selector has them",
                seen=", ".join(sorted(i.name for i in found)),
                where="tctl get workload_identity",
                remedy="let tbot's selector name one: selector.name",
            )
        return found[0]

    def known_workload_identity(self) -> WorkloadIdentity | Absent | None:
        """The workload identity; None without an admin tctl."""
        return self.workload_identity() if self.teleport().has_admin else None

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of tbot's bot; None without an admin tctl."""
        self._need("agent")
        if not self.teleport().has_admin:
            return None
        token = self.token()
        bot = self.names.bot if isinstance(token, Absent) else token.bot_name
        found = self._once(
            "bot_instances", lambda: self.teleport().bot_instances(), lambda found: _all(i.evidence for i in found)
        )
        return tuple(i for i in found if i.bot_name == bot)

    def jwks(self) -> Jwks:
        """The keys that the cluster publishes now."""
        self._need("cluster")
        return self._once("jwks", self.cluster.jwks, lambda jwks: jwks.evidence)

    def fresh_token(
        self, token: JoinToken | Absent, namespace: str, service_account: str
    ) -> tuple[Signature, tuple[str, ...]]:
        """Asks for a token of a service account of this run, and verifies it with the keys in the join token.

        Args:
            token: The join token.
            namespace: Of the run.
            service_account: Of the run.
        """
        audience = self.ping().cluster_name
        fresh, evidence = self.cluster.token_request(namespace, service_account, audience=audience, seconds=600)
        if isinstance(token, Absent):
            return Signature(False, "", str(token), {}), (evidence,)
        try:
            extracted = parse_jwks(token.jwks_text)
        except CouldNotTell as error:
            return Signature(False, "", f"the extracted JWKS cannot be used: {error.seen}", {}), (evidence,)
        return verify(fresh, extracted), (evidence,)

    # Istio and tbot.

    def mesh(self) -> Mesh:
        """Istio, as it is installed."""
        self._need("istio")
        return self._once("mesh", lambda: read_mesh(self.cluster, self.names), lambda mesh: mesh.evidence)

    def injection_template(self) -> str:
        """Name of the injection template that mounts the node's socket."""
        return self.mesh().socket_template(self.names.injection_template)

    def agent(self) -> Agent:
        """tbot, as it is installed."""
        self._need("agent")
        return self._once("agent", lambda: read_agent(self.cluster, self.names), lambda agent: agent.evidence)

    def kubelet_address(self) -> KubeletAddress:
        """Where tbot dials its kubelet; as the guide's tbot would, where there is none yet to be read."""
        try:
            return self.agent().kubelet_address
        except CouldNotTell:  # which the requirements on tbot say; a node can be fit for one that is still to come
            return KubeletAddress()

    def socket_directory(self) -> str:
        """Directory on the node in which tbot listens."""
        return self.agent().socket_on_node.rpartition("/")[0] or self.names.socket_directory

    def socket_name(self) -> str:
        """File name of tbot's socket."""
        return self.agent().socket_on_node.rpartition("/")[2] or self.names.socket_name

    def dry_run(self, sidecar: str) -> DryRun:
        """Has the API server inject and validate a pod with the guide's templates, without creating it.

        Args:
            sidecar: Value of the pod's annotation ``sidecar.istio.io/nativeSidecar``; empty for none.
        """
        self._need("app")
        return self._once(
            f"dry_run {sidecar}",
            lambda: self.cluster.dry_run_pod(self.names.app_namespace, _pod(self.injection_template(), sidecar)),
            lambda answer: answer.evidence,
        )

    # Pods and proxies.

    def all_pods(self) -> tuple[Pod, ...]:
        """All pods of the cluster, once everything that this run brings up is there: the gateway as well."""
        self._need("istio")
        self._need("app")
        return self._once("pods", self.cluster.pods, lambda pods: _all(p.evidence for p in pods))

    def namespaces(self) -> tuple[Labelled, ...]:
        """All namespaces."""
        self._need("cluster")
        return self._once("namespaces", self.cluster.namespaces, lambda found: _all(n.evidence for n in found))

    def living_pods(self) -> tuple[Pod, ...]:
        """Pods of the install that have not ended and are not on their way out; a run's own pods are not among them."""
        pods = self.all_pods()
        # Read after the pods: a namespace that is not there yet holds none of them.
        scratch = {n.name for n in self.namespaces() if self._is_scratch(n)}
        return tuple(p for p in pods if not (p.terminating or p.has_ended or p.namespace in scratch))

    def injected_pods(self) -> tuple[Pod, ...]:
        """Living pods with an istio-proxy, gateways included."""
        return tuple(p for p in self.living_pods() if p.is_injected and p.node)

    def sidecar_pods(self) -> tuple[Pod, ...]:
        """Living pods with a sidecar; gateways are not among them."""
        return tuple(p for p in self.injected_pods() if not p.is_gateway)

    def pods_evidence(self) -> tuple[str, ...]:
        """The reading of all pods: also what shows that there is none of a kind."""
        return _all(p.evidence for p in self.all_pods())

    def injected_by_node(self) -> Mapping[str, Sequence[Pod]]:
        """Injected pods by node."""
        by_node: dict[str, list[Pod]] = {}
        for pod in self.injected_pods():
            by_node.setdefault(pod.node, []).append(pod)
        return by_node

    def proxy_image(self) -> str:
        """The image of the mesh's proxies."""
        injected = [p.proxy.image for p in self.injected_pods() if p.proxy is not None]
        if injected:
            return injected[0]
        injector = self.mesh().injector
        return f"{injector.hub}/proxyv2:{injector.tag}"

    def app_pods(self) -> tuple[Pod, ...]:
        """Pods of the test application, those that ended or are on their way out excepted."""
        return tuple(
            p
            for p in self.all_pods()
            if p.namespace == self.names.app_namespace
            and p.labels.get("app") == self.names.app
            and not (p.terminating or p.has_ended)
        )

    def app_deployment(self) -> Deployment | Absent:
        """The Deployment of the test application, which says how many pods are wanted."""
        self._need("app")
        names = self.names
        return self._once(
            "app_deployment",
            lambda: self.cluster.deployment(names.app_namespace, names.app),
            lambda found: found.evidence,
        )

    def nodes_for_app(self) -> tuple[Node, ...]:
        """All nodes, where a pod of the test application names labels of one; else nobody has to be asked for them."""
        deployment = self.app_deployment()
        templates = [] if isinstance(deployment, Absent) else [deployment.template.spec]
        selectors = [spec.node_selector for spec in (*templates, *(pod.spec for pod in self.app_pods()))]
        return self.nodes() if any(selectors) else ()

    def app_where(self) -> str:
        """The test application, as a person names it."""
        return f"pods with app={self.names.app} in {self.names.app_namespace}"

    def app_evidence(self) -> tuple[str, ...]:
        """Readings of the test application's pods; of all pods where it has none."""
        return _all(p.evidence for p in self.app_pods()) or self.pods_evidence()

    def fleet(self) -> Fleet:
        """The identity of every proxy."""
        pods = self.injected_pods()
        return self._once("fleet", lambda: read_fleet(self.cluster, pods, self._progress), lambda fleet: fleet.evidence)

    def sidecar_fleet(self) -> Fleet:
        """The identities of all sidecars."""
        return self._of(self.sidecar_pods())

    def app_fleet(self) -> Fleet:
        """The identities of the test application's proxies."""
        return self._of(self.app_pods())

    def fleet_on_sockets(self) -> Fleet:
        """The identities of the proxies that mount tbot's socket directory: those that are meant to use it."""
        return self._of(self.pods_on_sockets())

    def pods_on_sockets(self) -> tuple[Pod, ...]:
        """Injected pods that mount tbot's socket directory."""
        directory = self.socket_directory().rstrip("/")
        return tuple(
            p
            for p in self.injected_pods()
            if any(v.path.rstrip("/") == directory or v.driver == "csi.spiffe.io" for v in p.volumes)
        )

    def socket_mounts(self) -> tuple[SocketMount, ...]:
        """The mount in effect of each pod of `pods_on_sockets`."""
        pods = self.pods_on_sockets()
        return self._once(
            "socket_mounts",
            lambda: read_socket_mounts(self.cluster, pods),
            lambda found: _all(m.evidence for m in found),
        )

    def istio_authorities(self) -> IstioAuthorities:
        """The authorities of istiod's own CA."""

        def read() -> IstioAuthorities:
            found = self.cluster.config_map(self.mesh().namespace, CONFIG_MAP)
            if isinstance(found, Absent):
                raise CouldNotTell(
                    expected="istiod's own root certificates, which no certificate from Teleport may descend from",
                    seen=str(found),
                    where=str(found.subject),
                    remedy="see whether istiod runs; it keeps that ConfigMap in every namespace",
                )
            return parse_istio_authorities(found)

        return self._once("istio_authorities", read, lambda found: found.evidence)

    def audit_trail(self) -> AuditTrail:
        """What Teleport audited of the certificates that the sidecars hold."""
        serials = [p.leaf.serial for p in self.sidecar_fleet().proxies if p.leaf]
        return self._once(
            "audit_trail",
            lambda: read_trail(self._audit_events(), serials, self._recorder),
            lambda trail: trail.evidence,
        )

    def ingress_gateways(self) -> tuple[Deployment, ...]:
        """The mesh's ingress gateways, as its installation makes them: neither for something else nor of the Gateway API."""
        labelled = ((d, d.template.labels) for d in self.mesh().gateways)
        return tuple(d for d, labels in labelled if labels.get("istio") not in NO_INGRESS and GATEWAY_NAME not in labels)

    def ingress(self) -> Ingress | None:
        """The first ingress gateway that takes plain HTTP, with its Service; None where none does."""
        for gateway in self.ingress_gateways():
            found = ingress_of(gateway, self._services(gateway.namespace))
            if found is not None:
                return found
        return None

    def _services(self, namespace: str) -> tuple[Service, ...]:
        return self._once(
            f"services {namespace}",
            lambda: self.cluster.services(namespace),
            lambda found: _all(s.evidence for s in found),
        )

    def gateway_api(self) -> Reading:
        """What the API server says of the Gateway API; the reading's document is None where it does not know it."""
        path, subject = "/apis/gateway.networking.k8s.io", ObjectRef("ApiGroup", "gateway.networking.k8s.io")
        return self._once(
            "gateway_api", lambda: self.cluster.api.get(path, subject, absent=True), lambda read: (read.evidence,)
        )

    def gateway_pods(self, gateway: Deployment) -> tuple[Pod, ...]:
        """The pods of a gateway, on their way out excepted."""
        return tuple(
            p
            for p in self.injected_pods()
            if p.namespace == gateway.namespace and gateway.selector.items() <= p.labels.items()
        )

    def gateway_fleet(self) -> Fleet:
        """The identities of the ingress gateways' proxies."""
        return self._of([pod for gateway in self.ingress_gateways() for pod in self.gateway_pods(gateway)])

    def normalizations(self) -> tuple[Normalization | Unread, ...]:
        """Path normalization in force in every proxy."""
        pods = self.injected_pods()
        return self._once(
            "normalizations",
            lambda: read_normalizations(self.cluster, pods),
            lambda found: _all(n.evidence for n in found if isinstance(n, Normalization)),
        )

    def _of(self, pods: Iterable[Pod]) -> Fleet:
        uids = {p.uid for p in pods}
        fleet = self.fleet()
        return Fleet(
            tuple(p for p in fleet.proxies if p.pod.uid in uids), tuple(u for u in fleet.unread if u.pod.uid in uids)
        )

    # The guide's own commands.

    def guide(self, command: str, pod: Pod | None = None) -> GuideAnswer:
        """Runs one of the guide's own commands as it is written, with this install's names, and keeps its answer.

        Args:
            command: As the guide prints it.
            pod: Another pod in the place of the test application.
        """
        names = self._found_names() if command.startswith("tctl ") else self._names_for(about(command))
        app_pod = self._first_app_pod
        if pod is not None:
            names = names.model_copy(update={"app_namespace": pod.namespace})
            app_pod = lambda: pod.name  # noqa: E731 - as the method it stands for
        try:
            asked = GuideCommand.of(command, names, app_pod=app_pod, tbot_pod=self._first_tbot_pod)
        except NoPodToAsk as error:
            # An answer too: the truth about the item is still judged, and says what is missing.
            said = f"the command cannot be run: expected {error.expected}, there is none"
            return GuideAnswer(command, said, healthy=False, evidence=self.pods_evidence())
        self._need(asked.about)
        subject = ObjectRef("Command", asked.program)
        kubectl = asked.program == "kubectl"
        result = self._tools.run_kubectl(asked.words[1:]) if kubectl else self.teleport().tctl(asked.words[1:])
        evidence = self._recorder.record(result.as_evidence(subject, shown_as=shlex.join(asked.words)))
        healthy, said = conclusion(asked, result)
        return GuideAnswer(shlex.join(asked.words), said, healthy, (evidence,))

    def _found_names(self) -> Names:
        """The names with those of Teleport's resources as they were found."""
        found = {
            "token": self._token_name(),
            "role": self.role_name(),
            "workload_identity": self._found_identity_name(),
        }
        return self.names.model_copy(update=found)

    def _names_for(self, part: str) -> Names:
        """The names with the namespace of a part as it was found; as they are where it cannot be found."""
        found = {}
        with contextlib.suppress(CouldNotTell):
            if part == "istio":
                found = {"istio_namespace": self.mesh().namespace}
            elif part == "agent":
                found = {"tbot_namespace": self.agent().daemon_set.namespace}
        return self.names.model_copy(update=found)

    def _token_name(self) -> str:
        return self.agent().config.token or self.names.token

    def _identity_name(self) -> str:
        services = self.agent().config.services
        return (services[0].selector_name if services else "") or self.names.workload_identity

    def _found_identity_name(self) -> str:
        if self._identity_labels():
            found = self.workload_identity()
            return found.name if isinstance(found, WorkloadIdentity) else self.names.workload_identity
        return self._identity_name()

    def _identity_labels(self) -> Mapping[str, tuple[str, ...]]:
        services = self.agent().config.services
        return {} if not services or services[0].selector_name else services[0].selector_labels

    def _first_app_pod(self) -> str:
        return next((p.name for p in self.app_pods()), "")

    def _first_tbot_pod(self) -> str:
        return next((p.name for p in self.agent().pods.values()), "")

    def seen(self, key: str) -> Any:
        """A reading that was made and did not fail, by its key; None otherwise. Reads nothing."""
        with self._lock:
            kept = self._read.get(key)
            return None if kept is None or isinstance(kept, ConformanceError) else kept[0]

    def _once(self, key: str, read: Callable[[], T], evidence: Callable[[T], Iterable[str]]) -> T:
        """A reading by its key: made at the first call, attached to the running step at every later one."""
        with self._lock:
            kept = self._read.get(key)
            if isinstance(kept, ConformanceError):
                raise kept
            if kept is None:
                try:
                    value = read()
                except ConformanceError as error:
                    self._read[key] = error
                    raise
                self._read[key] = (value, tuple(evidence(value)))
                return value
            value, ids = kept
            self._recorder.attach(ids)
            return value


def _pod(template: str, sidecar: str) -> dict[str, Any]:
    """A pod as the guide's test application has it."""
    annotations = {"inject.istio.io/templates": f"sidecar,{template}"}
    if sidecar:
        annotations["sidecar.istio.io/nativeSidecar"] = sidecar
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "conformance-dry-run-", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "conformance.invalid/none:none"}]},
    }


def _all(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(e for group in groups for e in group))
