"""The whole installation on a kind cluster: its parts, their dependencies, and as many of them at a time as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facts.document import decoded
from facts.errors import ConformanceError, CouldNotTell, ProvisioningFailed
from facts.recorder import Recorder
from facts.versions import parse_server_version
from observe.wait import NotYet, Pace, eventually, not_yet
from providers.teleport.installing import tbot, teleport
from providers.teleport.installing.resources import Resources
from providers.teleport.installing.teleport import OwnTeleport, TeleportCluster
from provision.clusters.directory import NameLock, directory_of, make_directory, remove_directory
from provision.clusters.kind import NETWORK, Kind, context_name
from provision.clusters.sources import Sources, resolve
from provision.installing import collect, gateway_api, istio
from provision.installing.phases import Part, PhaseRecord, Phases
from provision.installing.variant import Variant, note_variant, variant_of
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, ISTIOD, TBOT, TBOT_NAMESPACE
from provision.objects import Document, Lacks, Objects
from provision.rollout import cannot_become_ready, daemonset_lacks
from provision.runs.claim import Claim
from provision.usable import must_be_installable
from settings import Settings

PARTS: Mapping[str, tuple[str, ...]] = {
    "cluster": ("cluster", "nodes"),
    "teleport": ("teleport",),
    "resources": ("resources", "token"),
    "tbot": ("tbot",),
    "istiod": ("istiod",),
    "istio": ("istio",),
    "app": ("app",),
}
"""Parts that a caller can ask for, and the phases of each."""

_NAMESPACES = {"tbot": TBOT_NAMESPACE, "istio": ISTIO_NAMESPACE, "istiod": ISTIO_NAMESPACE, "app": APP}


@dataclass(frozen=True, slots=True)
class Installation:
    """A complete installation.

    Attributes:
        run_id: Value of the run's label on every object.
        sources: Images and binaries.
        kubeconfig: Private file with the context.
        context: Context of the cluster.
        objects: Changes the cluster.
        variant: Manifests, and the changes in them.
        variables: Values of the manifests' variables.
        directory: Private directory for files.
    """

    run_id: str
    sources: Sources
    kubeconfig: Path
    context: str
    objects: Objects
    authority: TeleportCluster
    variant: Variant
    variables: Mapping[str, str]
    directory: Path


class Installer:
    """Brings up parts of an installation, each once, and removes everything that it made.

    As a context manager it holds a cluster that was kept from its beginning, one that it makes as soon as that answers, and
    tears down at the end.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        run_id: str,
        *,
        on_phase: Callable[[PhaseRecord], None] = lambda _record: None,
        claim: Claim | None = None,
    ) -> None:
        """Resolve images and binaries, without making anything yet.

        Args:
            settings: Settings with ``cluster = kind``.
            recorder: Records the output of commands, and evidence of failures.
            run_id: Id of this run: letters, digits and hyphens.
            on_phase: Called at the end of each phase, in the phase's thread.
            claim: Hold on the cluster, which this takes and releases; None where nothing else can use the cluster.

        Raises:
            ProvisioningFailed: A binary or the bundle is missing, Docker does not answer, or the cache cannot be written.
            BadInput: The settings ask for an installation that the suite cannot make, or another process makes the cluster.
        """
        must_be_installable(settings)
        self.variant = variant_of(settings)
        self.sources = resolve(settings)
        self.run_id = run_id
        self._settings = settings
        self._recorder = recorder
        self._claim = claim
        self.lost = ""
        """After `tear_down`: what went wrong with the hold, as a sentence; empty if this run had it until then."""
        # The guide does not mention the Gateway API.
        self._definitions = None if self.variant.as_guide else self.sources.gateway_api
        self._patience = settings.patience
        self._keep = settings.keep or settings.reuse
        teleport.docker_must_answer()
        self._directory = directory_of(settings)
        self._lock = NameLock(self._directory)
        self._made_directory = make_directory(self._directory)
        self.context = context_name(settings.kind_name)
        self.kubeconfig = self._directory / "kubeconfig"
        self.objects = Objects(
            self.kubeconfig, self.context, run_id,
            timeout=self._patience.api, discovery=self._directory / f"discovery-{run_id}.json",
        )  # fmt: skip
        self._authority: TeleportCluster | None = None
        self._resources: Resources | None = None
        self._not_ready: dict[str, str] = {}
        self._phases = Phases(
            self._surrounded(
                Part("cluster", self._make_cluster),
                Part("nodes", self._await_nodes, needs=("cluster",)),
                Part("gateway-api", self._introduce_gateway_api, needs=("cluster",)),
                Part("teleport", self._start_teleport),
                Part("resources", self._create_resources, needs=("teleport",)),
                Part("token", self._create_token, needs=("teleport", "cluster")),
                Part("tbot", self._install_tbot, needs=("cluster", "resources", "token")),
                # The gateway of Istio's installation waits for tbot, so both must start together.
                Part("istio", self._install_istio, needs=("cluster", "teleport"), alongside=("tbot",)),
                # istiod starts to serve the Gateway API whenever it finds it, so istioctl need not wait for it.
                Part("istiod", self._await_istiod, needs=("cluster", "gateway-api"), alongside=("istio",)),
                Part("app", self._deploy_app, needs=("istiod", "tbot")),
            ),
            on_end=on_phase,
            on_failure=self._collect,
        )
        self.kind = Kind(
            settings.kind_name, self._directory, self.sources, recorder,
            nodes=settings.nodes, timeout=self._patience.cluster_up, stop=self._phases.stopping,
        )  # fmt: skip

    @property
    def timeline(self) -> tuple[PhaseRecord, ...]:
        """Results of the phases that have ended."""
        return self._phases.timeline

    def begin(self, *parts: str) -> None:
        """Start parts, and what they depend on, without waiting."""
        self._phases.begin(*_phases_of(parts))

    def ensure(self, *parts: str) -> None:
        """Bring parts up, with what they depend on; return at once where they are up.

        Raises:
            ProvisioningFailed: A part failed; the recorder has the evidence.
        """
        self._phases.ensure(*_phases_of(parts))

    def authority(self) -> TeleportCluster:
        """Return the Teleport cluster, and bring it up if it is not."""
        self.ensure("teleport")
        assert self._authority is not None  # noqa: S101 - the phase that has just succeeded sets it
        return self._authority

    def variables(self) -> dict[str, str]:
        """Return the values of the manifests' variables."""
        authority = self.authority()
        return {
            "TRUST_DOMAIN": authority.cluster_name,
            "PROXY_SERVER": authority.proxy_for_pods,
            "SOCKET_DIRECTORY": self._settings.names.socket_directory,
            "TBOT_IMAGE": self.sources.tbot_image,
            "TBOT_FLOATING_IMAGE": self.sources.tbot_floating_image,
            "WORKLOAD_IMAGE": self.sources.workload_image,
        }

    def installation(self) -> Installation:
        """Return the complete installation, and bring it up if it is not."""
        self.ensure(*PARTS)
        return Installation(
            run_id=self.run_id,
            sources=self.sources,
            kubeconfig=self.kubeconfig,
            context=self.context,
            objects=self.objects,
            authority=self.authority(),
            variant=self.variant,
            variables=self.variables(),
            directory=self._directory,
        )

    def tear_down(self) -> None:
        """End phases that still run, then remove what was made, unless the user keeps it; half a cluster is never kept.

        Raises:
            ProvisioningFailed: Something could not be removed; the rest was removed.
            KeyboardInterrupt: Ctrl-C interrupted the removal; says how to remove the rest.
        """
        name = self._settings.kind_name
        expected, remedy = f"to remove kind cluster {name} and its Teleport", f"conformance down --kind-name {name}"
        try:
            self._phases.stop()
            self._let_go()  # not earlier: a phase that was under way has changed the cluster until now
            if not self._keep or self._has_half_a_cluster():
                self._remove()
        except ConformanceError as error:
            raise ProvisioningFailed(
                expected=expected, seen=error.seen, where=error.where, remedy=f"{error.remedy}; then: {remedy}"
            ) from error
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"expected {expected}; saw another interruption. What to do: {remedy}") from error
        finally:
            self._let_go()  # where something has interrupted the rest; otherwise nothing happens
            self._lock.release()

    def _let_go(self) -> None:
        if self._claim is not None:
            self.lost = self.lost or self._claim.release()

    def _remove(self) -> None:
        """Remove what was made; the files last, because they name what else there is to remove."""
        steps: list[Callable[[], None]] = []
        in_docker = [self.kind.remove] if self.kind.made_here else []
        if isinstance(self._authority, OwnTeleport):
            in_docker.insert(0, self._authority.remove)
        elif self._resources is not None:
            steps.append(self._resources.remove)
        if in_docker:
            steps.append(lambda: _all_in_docker(in_docker))
        _all_of(steps)
        if self.kind.made_here or self._made_directory:
            remove_directory(self._directory)

    def _has_half_a_cluster(self) -> bool:
        return self.kind.made_here and not any(phase.name == "cluster" and phase.ok for phase in self.timeline)

    def __enter__(self) -> Installer:
        """Hold a cluster that was kept, before any phase changes it or its Teleport; refuse one that is not to be reused.

        Raises:
            BadInput: Another run holds it, or an earlier one left something.
            ProvisioningFailed: kind, or its API server, does not answer; or there is a cluster of that name, and no --reuse.
            CouldNotTell: Its API server was not ready in time.
        """
        try:
            if not self._settings.reuse:  # phases that begin beside the cluster's would change what belongs to that one
                self.kind.must_not_exist()
            elif self._claim is not None and self.kind.exists():
                self.kind.take_up()
                self._await_api(Pace(self._patience.nodes_ready))
                self._claim.take()
        except BaseException:
            self.tear_down()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.tear_down()

    def _surrounded(self, *phases: Part) -> list[Part]:
        """Return phases that begin only while the run holds the cluster, where it has taken it.

        When they fail, they check Docker first, because an absent Docker explains the rest.
        """

        def surrounded(act: Callable[[], str | None]) -> Callable[[], str | None]:
            def acting() -> str | None:
                try:
                    if self._claim is not None and self._claim.is_taken:
                        self._claim.must_hold()
                    return act()
                except ConformanceError:
                    teleport.docker_must_answer()
                    raise

            return acting

        return [replace(phase, act=surrounded(phase.act)) for phase in phases]

    def _make_cluster(self) -> None:
        self.kind.make(reuse=self._settings.reuse)
        note_variant(self._directory, self.variant)
        self._await_api(self._phases.pace(self._patience.nodes_ready))
        if self._claim is not None:  # nothing happens where it holds a kept cluster already
            self._claim.take()
        if self._keep:  # other runs may use it from now on; this one will not remove it
            self._lock.release()

    def _await_api(self, pace: Pace) -> None:
        eventually("the API server is ready", self._look_at_api, pace, remedy="docker logs of the control plane's node")

    def _look_at_api(self) -> None:
        with not_yet(ProvisioningFailed):
            self.objects.raw("/readyz")

    def _await_nodes(self) -> None:
        pace = self._phases.pace(self._patience.nodes_ready)
        for node in self.objects.all_of("v1", "Node"):
            self.objects.await_ready("Node", node["metadata"]["name"], pace, remedy="kubectl describe nodes")

    def _introduce_gateway_api(self) -> None:
        if self._definitions is not None:
            gateway_api.introduce(self.objects, self._definitions)

    def _start_teleport(self) -> None:
        self._authority = self._existing_teleport() if self._settings.tctl else self._own_teleport()
        self._resources = Resources(
            self._authority, self.run_id, self._recorder, cluster=self._settings.kind_name, reuse=self._settings.reuse
        )

    def _existing_teleport(self) -> TeleportCluster:
        settings = self._settings
        existing = teleport.connect(
            settings.tctl, settings.teleport_proxy, insecure=settings.teleport_insecure, ca=settings.teleport_ca,
            pace=self._phases.pace(self._patience.teleport_up), command_timeout=self._patience.command,
        )  # fmt: skip
        teleport.note_existing(self._directory, existing)
        return existing

    def _own_teleport(self) -> TeleportCluster:
        name, cluster_name = self._settings.kind_name, self._settings.trust_domain
        pace, command_timeout = self._phases.pace(self._patience.teleport_up), self._patience.command
        if self._settings.reuse:
            kept = teleport.find(
                name, cluster_name=cluster_name, pace=pace, command_timeout=command_timeout, directory=self._directory
            )
            if kept is not None:
                return kept
        return teleport.start(
            self.sources.teleport_image,
            kind_name=name, run_id=self.run_id, cluster_name=cluster_name, pace=pace, command_timeout=command_timeout,
            directory=self._directory,
        )  # fmt: skip

    def _create_resources(self) -> None:
        assert self._resources is not None  # noqa: S101 - set together with the authority, which this phase needs
        self._resources.create_all(self.variant)

    def _create_token(self) -> None:
        assert self._resources is not None  # noqa: S101 - see above
        self._resources.create_token(self.objects.raw("/openid/v1/jwks"), self._directory)

    def _install_tbot(self) -> str:
        authority = self.authority()
        aliases = {}
        if isinstance(authority, OwnTeleport):
            aliases[authority.cluster_name] = authority.join_network(NETWORK, self._phases.pace(self._patience.teleport_up))
        kubernetes = parse_server_version(decoded(self.objects.raw("/version")))
        made = tbot.objects(
            self.variant,
            self.variables(),
            kubernetes=kubernetes,
            insecure=authority.insecure,
            ca=authority.ca,
            host_aliases=aliases,
        )
        self.objects.apply_all(self._marked(made))
        # tbot runs on every node of the suite's own cluster, but some nodes may not be Ready yet.
        ready = partial(daemonset_lacks, nodes=len(self.objects.all_of("v1", "Node")))
        # The guide has no probe: Kubernetes counts a tbot that is about to exit as available.
        lacks = (lambda found: ready(found) or self._not_listening()) if self.variant.as_guide else ready
        remedy = f"kubectl logs -n {TBOT_NAMESPACE} daemonset/{TBOT}"
        return self._rolled_out("tbot", "DaemonSet", TBOT, remedy, lacks=lacks)

    def _marked(self, made: Iterable[Document]) -> Iterator[Document]:
        """Yield objects with the name of the kind cluster, which tells them from what a run makes for itself."""
        for document in made:
            metadata = document["metadata"]
            labels = {**metadata.get("labels", {}), teleport.CLUSTER_LABEL: self._settings.kind_name}
            yield {**document, "metadata": {**metadata, "labels": labels}}

    def _not_listening(self) -> str:
        """Return the tbot pods whose log does not say yet that they listen; empty if all do."""
        pods = self.objects.all_of("v1", "Pod", namespace=TBOT_NAMESPACE, label_selector=f"app={TBOT}")
        names = [pod["metadata"]["name"] for pod in pods]
        log = f"/api/v1/namespaces/{TBOT_NAMESPACE}/pods/{{}}/log?container={TBOT}"
        silent = [name for name in names if tbot.LISTENING not in self.objects.raw(log.format(name))]
        return f"{', '.join(silent)} have not logged that they listen" if silent else ""

    def _rolled_out(self, phase: str, kind: str, name: str, remedy: str, *, lacks: Lacks | None = None) -> str:
        """Wait until a part is ready; one of the guide's installation may never become so because of the guide's defects.

        That is no error of provisioning: everything was applied, and the requirements judge the result.

        Returns:
            A remark on why it does not become ready; empty if it is ready.
        """
        pace, namespace = self._phases.pace(self._patience.rollout), _NAMESPACES[phase]
        if not self.variant.as_guide:
            self.objects.await_ready(kind, name, pace, namespace=namespace, lacks=lacks, remedy=remedy)
            return ""

        def hopeless(document: Document, pods: Sequence[Document]) -> str:
            placed = any(pod["spec"].get("nodeName") for pod in pods)
            waits = "its sidecar waits for tbot, which is not ready" if placed and "tbot" in self._not_ready else ""
            return cannot_become_ready(document, pods) or waits

        why = self.objects.await_settled(kind, name, pace, namespace=namespace, hopeless=hopeless, lacks=lacks)
        return self._remarked(phase, f"{kind} {name} was applied and does not become ready: {why}") if why else ""

    def _remarked(self, phase: str, remark: str) -> str:
        self._not_ready[phase] = remark
        self._collect(phase)
        return remark

    def _install_istio(self) -> str:
        def gateway_waits_in_vain() -> bool:
            if not self._phases.has_ended("istiod"):
                return False
            if self._phases.failure_of("tbot") is not None:
                return True
            # The guide's own gateway does not wait for tbot.
            waits = self.variant.gateway_needs_tbot and "tbot" in self._not_ready
            return waits and self.objects.get("apps/v1", "Deployment", GATEWAY, namespace=ISTIO_NAMESPACE) is not None

        try:
            istio.install(
                self.sources, self.variant.documents(istio.CONFIG, self.variables()), self._recorder, self._directory,
                kubeconfig=self.kubeconfig, context=self.context, timeout=self._patience.istio_install,
                stop=lambda: self._phases.stopping() or gateway_waits_in_vain(),
            )  # fmt: skip
        except CouldNotTell as error:
            if not gateway_waits_in_vain():
                raise
            if (failure := self._phases.failure_of("tbot")) is not None:
                raise failure from error
            return self._remarked(
                "istio", "the ingress gateway was applied and waits for the socket of tbot, which is not ready"
            )
        return ""

    def _await_istiod(self) -> None:
        pace = self._phases.pace(self._patience.istio_install)

        def look() -> None:
            failure = self._phases.failure_of("istio")
            if failure is not None:
                raise failure
            if self.objects.get("apps/v1", "Deployment", ISTIOD, namespace=ISTIO_NAMESPACE) is None:
                raise NotYet("istioctl has not made it yet")

        eventually("there is an istiod", look, pace, remedy="kubectl get pods -n istio-system")
        self.objects.await_ready("Deployment", ISTIOD, pace, namespace=ISTIO_NAMESPACE)
        if self._definitions is not None:
            gateway_api.await_class(self.objects, pace)

    def _deploy_app(self) -> str:
        for file in (*self.variant.mesh_files, "test-app-deployment.yaml"):
            self.objects.apply_all(self._marked(self.variant.documents(file, self.variables())))
        return self._rolled_out("app", "Deployment", APP, "kubectl describe pods -n test-app")

    def _collect(self, phase: str) -> None:
        if phase in _NAMESPACES:
            collect.keep_state(_NAMESPACES[phase], self.objects, self._recorder)


def kind_of(settings: Settings, recorder: Recorder) -> Kind:
    """Return the kind cluster of the settings, without making it."""
    return Kind(
        settings.kind_name, directory_of(settings), resolve(settings), recorder,
        nodes=settings.nodes, timeout=settings.patience.cluster_up,
    )  # fmt: skip


def remove(settings: Settings, recorder: Recorder) -> None:
    """Remove a kept kind cluster by its name, with its Teleport and its files; nothing happens if there is none.

    In an existing Teleport, remove the resources that the suite made there for the cluster. The caller holds the cluster.

    Raises:
        ProvisioningFailed: Something could not be removed; the rest was removed.
        BadInput: Another process makes or removes the cluster.
    """
    directory = directory_of(settings)
    lock = NameLock(directory) if directory.exists() else None
    try:
        _remove_all(settings, directory, recorder)
    finally:
        if lock is not None:
            lock.release()


def _remove_all(settings: Settings, directory: Path, recorder: Recorder) -> None:
    kind = kind_of(settings, recorder)

    def remove_resources() -> None:
        existing = teleport.noted_existing(directory, command_timeout=settings.patience.command)
        if existing is not None:
            Resources(existing, "", recorder, cluster=settings.kind_name).remove_kept()

    in_docker = [lambda: teleport.remove_all(settings.kind_name), kind.remove]
    _all_of([remove_resources, lambda: _all_in_docker(in_docker)])
    remove_directory(directory)


def _all_in_docker(steps: Sequence[Callable[[], None]]) -> None:
    """Do steps that need Docker; where Docker does not answer, fail once instead of in each step."""
    teleport.docker_must_answer()
    _all_of(steps)


def _all_of(steps: Sequence[Callable[[], None]]) -> None:
    """Do every step, even where an earlier one failed, then raise what failed."""
    failures: list[ConformanceError] = []
    for step in steps:
        try:
            step()
        except ConformanceError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ProvisioningFailed(
            expected="to remove everything that the suite made",
            seen="; ".join(f"{failure.where}: {failure.seen}" for failure in failures),
            where=f"{len(failures)} of {len(steps)} steps",
            remedy="; ".join(dict.fromkeys(failure.remedy for failure in failures)),
        )


def _phases_of(parts: tuple[str, ...]) -> list[str]:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    return [phase for part in parts for phase in PARTS[part]]
