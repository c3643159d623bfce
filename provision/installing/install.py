"""The whole installation on a kind cluster: what depends on what, brought up with as much at the same time as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from facts.errors import ConformanceError, CouldNotTell, ProvisioningFailed
from facts.recorder import Recorder
from observe.wait import NotYet, eventually
from provision.clusters.directory import directory_of, make_directory, remove_directory
from provision.clusters.kind import NETWORK, Kind, context_name
from provision.clusters.sources import Sources, resolve
from provision.installing import collect, gateway_api, istio, tbot, teleport
from provision.installing.phases import Part, PhaseRecord, Phases
from provision.installing.resources import Resources
from provision.installing.teleport import OwnTeleport, TeleportCluster
from provision.installing.variant import Variant, note_variant, variant_of
from provision.names import APP, GATEWAY, ISTIO_NAMESPACE, ISTIOD, TBOT, TBOT_NAMESPACE
from provision.objects import Document, Lacks, Objects
from provision.rollout import cannot_become_ready, daemonset_lacks
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
"""What can be asked for, and the phases that it stands for."""

_NAMESPACES = {"tbot": TBOT_NAMESPACE, "istio": ISTIO_NAMESPACE, "istiod": ISTIO_NAMESPACE, "app": APP}


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation that is up.

    Attributes:
        run_id: Value of the run's label on everything that was made.
        sources: Where images and binaries came from.
        kubeconfig: Private file.
        context: In it.
        objects: The cluster, as something to change.
        authority: The Teleport cluster.
        variant: Which manifests, with what changes.
        variables: Of the manifests, as they were filled in.
        directory: Private directory for files.
        timeline: How long each phase took.
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
    timeline: tuple[PhaseRecord, ...]


class Installer:
    """Brings up the parts of an installation that are asked for, each once, and removes everything that it made.

    As a context manager it tears down at the end.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        run_id: str,
        *,
        on_phase: Callable[[PhaseRecord], None] = lambda _record: None,
    ) -> None:
        """Resolves images and binaries; nothing is made yet.

        Args:
            settings: Of the run, with ``cluster = kind``.
            recorder: Takes what the commands said, and what explains a failure.
            run_id: Of the run; letters, digits and hyphens.
            on_phase: Called as each phase ends, in a thread of its own.

        Raises:
            ProvisioningFailed: A binary or the bundle is missing, Docker does not answer, or the cache cannot be written.
            BadInput: The settings ask for something that this cannot make.
        """
        must_be_installable(settings)
        self.variant = variant_of(settings)
        self.sources = resolve(settings)
        self.run_id = run_id
        self._settings = settings
        self._recorder = recorder
        # The guide does not mention the Gateway API.
        self._definitions = None if self.variant.as_guide else self.sources.gateway_api
        self._patience = settings.patience
        self._keep = settings.keep or settings.reuse
        teleport.docker_must_answer()
        self._directory = directory_of(settings)
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
            self._blaming_docker(
                Part("cluster", self._make_cluster),
                Part("nodes", self._await_nodes, needs=("cluster",)),
                Part("gateway-api", self._introduce_gateway_api, needs=("cluster",)),
                Part("teleport", self._start_teleport),
                Part("resources", self._create_resources, needs=("teleport",)),
                Part("token", self._create_token, needs=("teleport", "cluster")),
                Part("tbot", self._install_agent, needs=("cluster", "resources", "token")),
                # The gateway of Istio's own installation waits for tbot, so both must be on their way together.
                Part("istio", self._install_istio, needs=("cluster", "teleport"), alongside=("tbot",)),
                # istiod takes up the Gateway API whenever it comes, so that it need not come before istioctl begins.
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
        """The phases that have ended."""
        return self._phases.timeline

    def begin(self, *parts: str) -> None:
        """Starts parts, and what they depend on, without waiting."""
        self._phases.begin(*_phases_of(parts))

    def ensure(self, *parts: str) -> None:
        """Brings parts up, with what they depend on; returns at once for what is up already.

        Raises:
            ProvisioningFailed: One failed. What can be collected about it is in the recorder.
        """
        self._phases.ensure(*_phases_of(parts))

    def authority(self) -> TeleportCluster:
        """The Teleport cluster, brought up if it is not."""
        self.ensure("teleport")
        assert self._authority is not None  # noqa: S101 - what the phase that has just succeeded is for
        return self._authority

    def variables(self) -> dict[str, str]:
        """The variables of the manifests, as they are filled in here."""
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
        """Everything, brought up if it is not."""
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
            timeline=self.timeline,
        )

    def tear_down(self) -> None:
        """Ends phases that still run, then removes what was made, unless it is to be kept. Half a cluster never is.

        Raises:
            ProvisioningFailed: Something could not be removed; the rest has been.
            KeyboardInterrupt: Ctrl-C came in the middle; says how to remove what is left.
        """
        name = self._settings.kind_name
        expected, remedy = f"to remove kind cluster {name} and its Teleport", f"conformance down --kind-name {name}"
        try:
            self._phases.stop()
            if not self._keep or self._has_half_a_cluster():
                self._leave()
        except ConformanceError as error:
            raise ProvisioningFailed(
                expected=expected, seen=error.seen, where=error.where, remedy=f"{error.remedy}; then: {remedy}"
            ) from error
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"expected {expected}; saw another interruption. Try: {remedy}") from error

    def _leave(self) -> None:
        """Removes what was made; the files last, for they say what else there is to remove."""
        own = isinstance(self._authority, OwnTeleport)
        in_docker: list[Callable[[], None]] = []
        if isinstance(self._authority, OwnTeleport):
            in_docker.append(self._authority.remove)
        if self.kind.made_here:
            in_docker.append(self.kind.remove)
        elsewhere = [self._resources.remove] if self._resources is not None and not own else []
        _all_of([*elsewhere, *([lambda: _all_in_docker(in_docker)] if in_docker else [])])
        if self.kind.made_here or self._made_directory:
            remove_directory(self._directory)

    def _has_half_a_cluster(self) -> bool:
        return self.kind.made_here and not any(phase.name == "cluster" and phase.ok for phase in self.timeline)

    def __enter__(self) -> Installer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.tear_down()

    def _blaming_docker(self, *phases: Part) -> list[Part]:
        """Phases that, when they fail, first see whether Docker has gone: that says more than what follows from it."""

        def blaming(act: Callable[[], str | None]) -> Callable[[], str | None]:
            def acting() -> str | None:
                try:
                    return act()
                except ConformanceError:
                    teleport.docker_must_answer()
                    raise

            return acting

        return [replace(phase, act=blaming(phase.act)) for phase in phases]

    def _make_cluster(self) -> None:
        self.kind.make(reuse=self._settings.reuse)
        note_variant(self._directory, self.variant)
        pace = self._phases.pace(self._patience.nodes_ready)
        eventually("the API server is ready", self._look_at_api, pace, remedy="docker logs of the control plane's node")

    def _look_at_api(self) -> None:
        try:
            self.objects.raw("/readyz")
        except ProvisioningFailed as error:
            raise NotYet(error.seen) from error

    def _await_nodes(self) -> None:
        pace = self._phases.pace(self._patience.nodes_ready)
        for node in self.objects.all_of("v1", "Node"):
            self.objects.await_ready("Node", node["metadata"]["name"], pace, remedy="kubectl describe nodes")

    def _introduce_gateway_api(self) -> None:
        if self._definitions is not None:
            gateway_api.introduce(self.objects, self._definitions)

    def _start_teleport(self) -> None:
        self._authority = self._existing_teleport() if self._settings.tctl else self._own_teleport()
        # Only in a Teleport of our own is a resource of the same name certainly ours.
        own = isinstance(self._authority, OwnTeleport)
        self._resources = Resources(
            self._authority, self.run_id, self._recorder,
            replace=own, cluster=self._settings.kind_name, reuse=self._settings.reuse,
        )  # fmt: skip

    def _existing_teleport(self) -> TeleportCluster:
        settings = self._settings
        existing = teleport.connect(
            settings.tctl, settings.teleport_proxy, insecure=settings.teleport_insecure,
            pace=self._phases.pace(self._patience.teleport_up), command_timeout=self._patience.command,
        )  # fmt: skip
        teleport.note_existing(self._directory, existing)
        return existing

    def _own_teleport(self) -> TeleportCluster:
        name, cluster_name = self._settings.kind_name, self._settings.trust_domain
        pace, command_timeout = self._phases.pace(self._patience.teleport_up), self._patience.command
        if self._settings.reuse:
            kept = teleport.find(name, cluster_name=cluster_name, pace=pace, command_timeout=command_timeout)
            if kept is not None:
                return kept
        return teleport.start(
            self.sources.teleport_image,
            kind_name=name, run_id=self.run_id, cluster_name=cluster_name, pace=pace, command_timeout=command_timeout,
        )  # fmt: skip

    def _create_resources(self) -> None:
        assert self._resources is not None  # noqa: S101 - made with the authority, which this phase needs
        self._resources.create_all(self.variant)

    def _create_token(self) -> None:
        assert self._resources is not None  # noqa: S101 - see above
        self._resources.create_token(self.objects.raw("/openid/v1/jwks"), self._directory)

    def _install_agent(self) -> str:
        authority = self.authority()
        aliases = {}
        if isinstance(authority, OwnTeleport):
            aliases[authority.cluster_name] = authority.join_network(NETWORK, self._phases.pace(self._patience.teleport_up))
        made = tbot.objects(self.variant, self.variables(), insecure=authority.insecure, host_aliases=aliases)
        self.objects.apply_all(made)
        # A cluster of our own has no node that tbot stays away from, but some may not be Ready yet.
        ready = partial(daemonset_lacks, nodes=len(self.objects.all_of("v1", "Node")))
        if self.variant.as_guide:
            # The guide has no probe: a tbot that is about to end is available as well.
            return self._settled("tbot", "DaemonSet", TBOT, lacks=lambda found: ready(found) or self._silent_agents())
        self.objects.await_ready(
            "DaemonSet", TBOT, self._phases.pace(self._patience.rollout), namespace=TBOT_NAMESPACE, lacks=ready,
            remedy=f"kubectl logs -n {TBOT_NAMESPACE} daemonset/{TBOT}",
        )  # fmt: skip
        return ""

    def _silent_agents(self) -> str:
        """The tbot pods that do not say yet that they listen; empty if all do."""
        pods = self.objects.all_of("v1", "Pod", namespace=TBOT_NAMESPACE, label_selector=f"app={TBOT}")
        names = [pod["metadata"]["name"] for pod in pods]
        log = f"/api/v1/namespaces/{TBOT_NAMESPACE}/pods/{{}}/log?container={TBOT}"
        silent = [name for name in names if tbot.LISTENING not in self.objects.raw(log.format(name))]
        return f"{', '.join(silent)} have not said that they listen" if silent else ""

    def _settled(self, phase: str, kind: str, name: str, *, lacks: Lacks | None = None) -> str:
        """Waits for a part of the guide's installation, whose defects may keep it from becoming ready for ever.

        That is not an error of provisioning: everything was applied, and what came of it is for the requirements to judge.

        Returns:
            A remark on what keeps it from becoming ready; empty if it is.
        """

        def hopeless(document: Document, pods: Sequence[Document]) -> str:
            placed = any(pod["spec"].get("nodeName") for pod in pods)
            waits = "its sidecar waits for tbot, which is not ready" if placed and "tbot" in self._not_ready else ""
            return cannot_become_ready(document, pods) or waits

        pace, namespace = self._phases.pace(self._patience.rollout), _NAMESPACES[phase]
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
            # With the guide's own gateway istioctl waits for nothing of tbot's.
            return self.variant.gateway_needs_tbot and "tbot" in self._not_ready and self._has_gateway()

        try:
            istio.install(
                self.sources, self.variant, self.variables(), self._recorder, self._directory,
                kubeconfig=self.kubeconfig, context=self.context, timeout=self._patience.istio_install,
                stop=lambda: self._phases.stopping() or gateway_waits_in_vain(),
            )  # fmt: skip
        except CouldNotTell as error:
            if gateway_waits_in_vain():
                failure = self._phases.failure_of("tbot")
                if failure is not None:
                    raise failure from error
                return self._remarked(
                    "istio", "the ingress gateway was applied and waits for the socket of tbot, which is not ready"
                )
            raise
        return ""

    def _has_gateway(self) -> bool:
        return self.objects.get("apps/v1", "Deployment", GATEWAY, namespace=_NAMESPACES["istio"]) is not None

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
        self.objects.apply_all(self.variant.documents("test-app-deployment.yaml", self.variables()))
        if self.variant.as_guide:
            return self._settled("app", "Deployment", APP)
        self.objects.await_ready(
            "Deployment", APP, self._phases.pace(self._patience.rollout), namespace=APP,
            remedy="kubectl describe pods -n test-app",
        )  # fmt: skip
        return ""

    def _collect(self, phase: str) -> None:
        if phase in _NAMESPACES:
            collect.keep_state(_NAMESPACES[phase], self.objects, self._recorder)


def remove(settings: Settings, recorder: Recorder) -> None:
    """Removes a kept kind cluster by its name, with its Teleport and its files. Nothing happens if there is none.

    In a Teleport of somebody else, what was made there for the cluster is removed.

    Raises:
        ProvisioningFailed: Something could not be removed; the rest has been.
    """
    directory = directory_of(settings)
    kind = Kind(
        settings.kind_name, directory, resolve(settings), recorder,
        nodes=settings.nodes, timeout=settings.patience.cluster_up,
    )  # fmt: skip

    def remove_resources() -> None:
        existing = teleport.noted_existing(directory, command_timeout=settings.patience.command)
        if existing is not None:
            Resources(existing, "", recorder, replace=False, cluster=settings.kind_name).remove_kept()

    in_docker = [lambda: teleport.remove_all(settings.kind_name), kind.remove]
    _all_of([remove_resources, lambda: _all_in_docker(in_docker)])
    remove_directory(directory)


def _all_in_docker(steps: Sequence[Callable[[], None]]) -> None:
    """Takes steps that need Docker. That it has gone is said once, and not by each of them."""
    teleport.docker_must_answer()
    _all_of(steps)


def _all_of(steps: Sequence[Callable[[], None]]) -> None:
    """Takes every step, whether or not an earlier one failed, then raises what failed."""
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
            expected="everything that was made to be removed",
            seen="; ".join(f"{failure.where}: {failure.seen}" for failure in failures),
            where=f"{len(failures)} of {len(steps)} steps",
            remedy="; ".join(dict.fromkeys(failure.remedy for failure in failures)),
        )


def _phases_of(parts: tuple[str, ...]) -> list[str]:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    return [phase for part in parts for phase in PARTS[part]]
