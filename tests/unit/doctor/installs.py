"""Installs of small meshes: what the doctor reads of them, without a cluster. Healthy, but for what a test changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from checks.check import Case
from checks.mtls import Sweeps
from facts.errors import ConformanceError
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_FILE
from facts.proxies.envoy import Validator
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode, SecretState
from observe.install import Install
from observe.istio.facet import CONTROL_PLANES
from observe.kubernetes.facet import NAMESPACES, PODS
from observe.proxies.facet import SURVEY
from observe.readings import Key
from providers.teleport.facts.join_tokens import JoinTokens
from providers.teleport.observe.facet import PING
from providers.teleport.observe.tbot_facet import TBOT
from settings import Names, load
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import PERMISSIVE, Workload, mesh

SHOP = (Workload("a"), Workload("b"))

SOCKET = "tbot"
"""File name of the socket."""

Change = Callable[[SimpleNamespace], None]
"""Breaks an install: puts other readings into its facets."""


def install(*workloads: Workload, change: Change = lambda _install: None) -> Install:
    """An install with these workloads.

    Args:
        workloads: The mesh; two healthy ones where none are given.
        change: What is wrong with it.
    """
    made = mesh(*(workloads or SHOP))
    pods = tuple(_told(SOCKET, pod) for pod in made.pods)
    injected = tuple(pod for pod in pods if pod.is_injected)
    identities = _looking_for(SOCKET, made.identities)
    plane = make.mesh()
    tbot = make.tbot(config=make.tbot_config(services=(make.workload_api(listen=f"unix://{make.SOCKETS}/{SOCKET}"),)))
    tbots = make.tbots(tbot)
    planes = make.planes(plane)
    namespaces = tuple(make.namespace(name) for name in sorted({pod.namespace for pod in pods}))

    def listed() -> tuple[Pod, ...]:  # by a test's own list, if it has one
        return cast("tuple[Pod, ...]", facets.cluster.pods())

    facets = SimpleNamespace(
        names=Names(),
        survey=None,
        cluster=SimpleNamespace(
            where="context staging",
            cron_jobs=tuple,
            deployments=tuple,
            pods=lambda: pods,
            pods_of_install=listed,
            living_pods=lambda: pods,
            pods_evidence=lambda: ("ev-pods",),
            pods_of_the_suite=tuple,
            silent_nodes=frozenset,
            silent_pods=tuple,
            nodes=lambda: (make.node(),),
            namespaces=lambda: namespaces,
            namespaces_of_install=lambda: namespaces,
            jwks=make.jwks,
        ),
        rights=SimpleNamespace(reviewed=lambda: (make.right(),), provisions=False),
        istio=SimpleNamespace(
            planes=lambda: planes,
            pods_of_planes=lambda: planes.sorted_out(injected, namespaces),
            surveyed_pods_of_planes=lambda: planes.sorted_out(injected, namespaces),
            dry_run=lambda _sidecar: make.dry_run(),
            dry_run_namespace=lambda: "test-app",
            control_of=lambda _dry_run: None,
            authorities=make.istiod,
        ),
        teleport=SimpleNamespace(
            ping=make.ping,
            bundle=make.bundle,
            published=make.bundle,
            status=make.status,
            joinings=lambda: (make.joining(tbot),),
            joinings_by_kubernetes=lambda: (make.joining(tbot, make.token(), make.bot()),),
            role_of=lambda _bot: make.ROLE,
            grants=lambda: (make.grants(make.role(), make.identity()),),
            identities=lambda: (make.identity(),),
            issuing=lambda: (make.issuing(),),
            bot_instances=lambda: None,
            tokens=lambda: JoinTokens((), ("ev-tokens",)),
            bots=lambda: (make.bot().name,),
            named_tokens=lambda: (make.token().name,),
        ),
        tbot=SimpleNamespace(
            all=lambda: tbots,
            socket_directories=lambda: make.DIRECTORIES,
            last_attempt=lambda _tbot, _pod: make.last_attempt(),
            kubelet_rights=lambda _tbot: (
                make.right("get", "nodes/pods"),
                make.right("get", "nodes/proxy", allowed=False),
                make.right("create", "nodes/proxy", allowed=False),
            ),
        ),
        proxies=SimpleNamespace(
            pods=lambda: injected,
            sidecar_pods=lambda: injected,
            surveyed_pods=lambda: injected,
            pods_on_sockets=lambda: injected,
            pods_by_node=lambda: {make.NODE: list(injected)} if injected else {},
            fleet=lambda: identities,
            sidecar_fleet=lambda: identities,
            fleet_on_sockets=lambda: identities,
            tls=lambda: made.tls,
            normalizations=lambda: tuple(make.normalization(pod.name) for pod in injected),
            pushes=lambda _late: {},
            requests=dict,
        ),
        application=SimpleNamespace(
            where="test application",
            pods=tuple,
            deployment=lambda: make.absent("test-app"),
            silent_pods=tuple,
            evidence=lambda _pods: ("ev-pods",),
        ),
    )
    facets.cluster.unlisted = lambda nodes: frozenset(nodes) - {node.name for node in facets.cluster.nodes()}
    change(facets)
    facets.seen = lambda key: _seen(facets, key)
    facets.asked = lambda _key: True
    return cast("Install", facets)


def beside_an_egress_gateway(*, reaches: bool, alone: bool = False) -> Install:
    """A mesh with an egress gateway in whose configuration nothing uses mutual TLS, so that it holds no certificate.

    Args:
        reaches: It calls workloads of the mesh, which are meant to take mutual TLS.
        alone: No other workload is there.
    """
    silent: dict[str, Any] = {
        "sds_mode": SdsMode.UNASKED, "secret_state": SecretState.ABSENT, "chain": (), "root_authorities": {},
        "validator": Validator.NONE, "streams": make.streams(cx_active=0, rq_active=0),
    }  # fmt: skip
    egress = Workload(
        "egress",
        namespace="istio-egress",
        inbound={},
        marked=False,
        identity=lambda pod: make.proxy(pod, **silent),
        pod={"proxy": make.istio_proxy(args=make.ROUTER, is_init=False, restart_policy="")},
        clusters={each.name: built.cluster(each.host, 80) for each in SHOP},
    )

    def routed(facets: SimpleNamespace) -> None:
        fleet, pods = facets.proxies.fleet(), facets.proxies.pods()
        sidecars = replace(fleet, proxies=tuple(p for p in fleet.proxies if not p.pod.is_gateway))
        facets.proxies.sidecar_fleet = lambda: sidecars
        facets.proxies.sidecar_pods = lambda: tuple(pod for pod in pods if not pod.is_gateway)
        if reaches:
            return
        tls = facets.proxies.tls()
        bare = tuple(replace(p, destinations=()) if p.pod.is_gateway else p for p in tls.proxies)
        found = replace(tls, proxies=bare)
        facets.proxies.tls = lambda: found

    to_it = {"egress": built.cluster(egress.host, 80)}
    served = [] if alone else [replace(each, inbound=PERMISSIVE, clusters=to_it) for each in SHOP]
    return install(*served, egress, change=routed)


def out_of_sight(*names: str, silent: bool, **changes: Any) -> Change:
    """Pods that nobody can ask, so that only the list of all pods has them.

    Args:
        names: Names of the pods.
        silent: Their node is not Ready; the node of the others is.
        changes: Changes of these pods.
    """

    def change(facets: SimpleNamespace) -> None:
        pods = facets.cluster.pods()
        assert {*names} <= {pod.name for pod in pods}
        moved = (replace(pod, spec=replace(pod.spec, node="node-2")) for pod in pods if pod.name in names)
        dark = tuple(replace(pod, **changes) for pod in moved)
        living = tuple(pod for pod in pods if pod.name not in names)
        fleet = facets.proxies.fleet()
        found = replace(fleet, proxies=tuple(proxy for proxy in fleet.proxies if proxy.pod.name not in names))
        nodes = (make.node(), replace(make.node("node-2"), ready=not silent))
        facets.cluster.nodes, facets.cluster.pods, facets.cluster.living_pods = (
            lambda: nodes,
            lambda: (*living, *dark),
            lambda: living,
        )
        facets.cluster.silent_nodes = lambda: frozenset(node.name for node in nodes if not node.ready)
        facets.proxies.pods_by_node = lambda: {make.NODE: list(living)}
        for each in ("pods", "sidecar_pods", "surveyed_pods", "pods_on_sockets"):
            setattr(facets.proxies, each, lambda: living)
        for each in ("fleet", "sidecar_fleet", "fleet_on_sockets"):
            setattr(facets.proxies, each, lambda: found)

    return change


def _seen(facets: SimpleNamespace, key: Key[Any]) -> Any:
    """What the checks have read by the time of the diagnosis, of what tells which objects belong together."""
    reads = {
        PODS: facets.cluster.pods,
        NAMESPACES: facets.cluster.namespaces,
        TBOT: facets.tbot.all,
        PING: facets.teleport.ping,
        CONTROL_PLANES: facets.istio.planes,
        SURVEY: lambda: facets.survey,
    }
    with suppress(ConformanceError):
        return reads[key]() if key in reads else None
    return None


def _told(name: str, pod: Pod) -> Pod:
    """The same pod, whose proxy is told that file name of the socket."""
    env = {SOCKET_FILE: name}
    containers = tuple(replace(c, env=env) if c.name == "istio-proxy" else c for c in pod.containers)
    return replace(pod, spec=replace(pod.spec, containers=containers))


def _looking_for(name: str, fleet: Fleet) -> Fleet:
    """The same proxies, whose socket has another name than the one with a fallback."""
    path = f".{make.SOCKET_MOUNT}/{name}"
    return replace(fleet, proxies=tuple(replace(proxy, socket_path=path) for proxy in fleet.proxies))


def case(found: Install, **settings: Any) -> Case:
    """An install, to be examined without probe pods."""
    given = load(cluster="existing", context="staging", **settings)
    return Case(found, given, Sweeps(lambda _told: None, given.mesh))
