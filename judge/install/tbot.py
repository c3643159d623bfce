"""Judgments about tbot: INST-13, INST-14 and INST-16."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from facts.istio.mesh import Mesh, image_tag
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.svid import verify_chain, workload_id
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import BotInstance
from facts.teleport.tbot import Tbot
from facts.versions import Version
from judge.findings import Claim, listed, problem
from judge.install.application import SETTLED, SOCKET_VOLUME
from judge.install.known_issues import known_issues_of
from judge.install.probes import held_on, of_probes, on_node

LONGEST_TOKEN = 1800
"""Seconds; Teleport refuses a projected token that lives longer (static_jwks and oidc)."""

OWN_NODE = ("fieldRef:spec.nodeName", "fieldRef:status.hostIP")
"""Where a pod learns the name or the address of the node that it runs on."""


def node_problems(tbot: Tbot, nodes: Mapping[str, Sequence[Pod]], now: datetime) -> list[Problem]:
    """Nodes with injected pods on which no Ready tbot pod of the current template runs.

    Where no node hosts an injected pod, tbot must be Ready wherever its DaemonSet wants it: nothing is proven by no nodes.
    Without a readiness probe, as the guide has it, a tbot that cannot join is Ready as well, between one end and the next.

    Args:
        tbot: tbot as it is installed.
        nodes: Injected pods by node.
        now: UTC time of the judgment.
    """
    found = []
    for node in sorted(nodes):
        pod = tbot.pods.get(node)
        if pod is None:
            said = f"it hosts {len(nodes[node])} injected pods, and no tbot"
            found.append(Problem(ObjectRef("Node", node), said, "tbot-not-on-node", tbot.evidence))
        elif not pod.ready or pod.terminating:
            waiting = listed({c.reason or c.state for c in pod.containers if not c.ready}, "no reason given")
            found.append(problem(pod, f"tbot on node {node} is not Ready: {waiting}", _cause_of_not_ready(tbot, pod)))
    found += [
        problem(tbot.pods[node], f"tbot on node {node} is Ready only between one end and the next: {why}")
        for node in sorted(nodes or tbot.pods)
        if node in tbot.pods and tbot.pods[node].ready and (why := _ended_of_late(tbot, tbot.pods[node], now))
    ]
    daemon_set = tbot.daemon_set
    if not nodes and not 0 < daemon_set.desired <= daemon_set.ready:
        said = f"tbot is Ready on {daemon_set.ready} of {daemon_set.desired} nodes; none hosts an injected pod"
        found.append(problem(daemon_set, said))
    if not daemon_set.is_current:
        found.append(problem(daemon_set, f"its controller has not seen generation {daemon_set.generation} yet"))
    elif daemon_set.updated < daemon_set.desired:
        old = daemon_set.desired - daemon_set.updated
        found.append(problem(daemon_set, f"{old} of {daemon_set.desired} tbot pods are of an older template"))
    return found


def _cause_of_not_ready(tbot: Tbot, pod: Pod) -> str:
    """The cause that a tbot pod shows which is not Ready: it runs, has never ended, and does not answer its probe."""
    container = pod.spec.container(tbot.container.name)
    if pod.terminating or container is None or container.state != "running" or container.last_exit_code is not None:
        return ""
    return "tbot-not-answering"


def _ended_of_late(tbot: Tbot, pod: Pod, now: datetime) -> str:
    """How the tbot of a pod without a readiness probe has ended of late; empty if it has not, or not with an error."""
    container = pod.spec.container(tbot.container.name)
    if container is None or container.readiness_probe or not container.last_exit_code or not container.last_ended:
        return ""
    ago = now - when(container.last_ended, str(pod.ref))
    return f"it ended with exit code {container.last_exit_code} {ago.total_seconds():.0f} s ago" if ago < SETTLED else ""


def where_ready(tbot: Tbot, nodes: Mapping[str, Sequence[Pod]]) -> str:
    """Where tbot is Ready when there is no problem, in words."""
    return f"Ready on {listed(nodes, f'all {tbot.daemon_set.desired} nodes; none of them hosts an injected pod')}"


def ready_on_every_node(tbot: Tbot, nodes: Mapping[str, Sequence[Pod]], now: datetime, evidence: Sequence[str]) -> Finding:
    """INST-13, first part: a Ready tbot pod on every node that hosts an injected pod; see `node_problems`."""
    return Claim(
        "INST-13",
        expected="a Ready tbot pod on every node that hosts injected pods",
        where=str(tbot.daemon_set.ref),
        evidence=(*tbot.evidence, *evidence),
    ).judged(node_problems(tbot, nodes, now), where_ready(tbot, nodes))


def configuration_problems(
    tbot: Tbot, cluster_name: str, socket_directories: Sequence[str], kubernetes_type: str = "static_jwks"
) -> list[Problem]:
    """Settings that break joining or attestation, each with what it does.

    Args:
        tbot: tbot as it is installed.
        cluster_name: Teleport's own.
        kubernetes_type: Of the join token; with ``in_cluster`` Teleport takes the pod's usual token, of any lifetime.
        socket_directories: Directories on the node that injected pods mount as their workload-socket.
    """
    config = tbot.config

    def setting(said: str, cause: str = "") -> Problem:
        return Problem(_config_map(tbot), said, cause, tbot.evidence)

    def specified(said: str, cause: str = "") -> Problem:
        return Problem(tbot.daemon_set.ref, said, cause, tbot.evidence)

    # Keys inside a service have their index in their path.
    found = [
        setting(
            f"unknown key {key}: tbot {'ignores it without a word' if '[' in key else 'does not start with it'}",
            "attestor-misspelt" if "attestor" in key else "",
        )
        for key in config.unknown_keys
    ]
    if not config.services:
        return [*found, setting("there is no service of type workload-identity-api, so there is no socket")]
    service = config.services[0]
    if service.kubernetes is None or not service.kubernetes.enabled:
        said = "attestors.kubernetes is not enabled: every template of workload.kubernetes.* is unset"
        misspelt = any("attestor" in key for key in config.unknown_keys)
        found.append(setting(said, "attestor-misspelt" if misspelt else "tbot-selects-nothing"))
    if not (service.selector_name or service.selector_labels):
        found.append(setting("the selector names nothing: nothing is issued", "tbot-selects-nothing"))
    if not tbot.host_pid:
        found.append(specified("hostPID is not set: tbot cannot tell who calls", "tbot-host-pid-missing"))
    found += [specified(said, "tbot-node-name-missing") for said in _node_name_problems(tbot)]
    if not service.socket_path:
        said = f"listen is {service.listen or 'empty'}: only a unix socket tells who calls"
        found.append(setting(said, "tbot-selects-nothing"))
    elif not tbot.socket_on_node:
        found.append(specified(f"{service.socket_path} is on no hostPath volume: no pod can reach it"))
    else:
        directory = tbot.socket_on_node.rpartition("/")[0]
        others = [d for d in socket_directories if d.rstrip("/") != directory]
        if others:
            said = f"tbot listens in {directory} on the node, injected pods mount {listed(others)}"
            found.append(specified(said, "socket-path-differs"))
    if kubernetes_type != "in_cluster":
        found += [specified(said, cause) for said, cause in _token_file_problems(tbot, cluster_name)]
    return found


def _config_map(tbot: Tbot) -> ObjectRef:
    return ObjectRef("ConfigMap", tbot.config_map, tbot.daemon_set.namespace)


def _node_name_problems(tbot: Tbot) -> list[str]:
    name = tbot.node_name
    # With the node's network an empty name dials this host, as localhost does.
    if name in OWN_NODE or (tbot.host_network and name in ("", "localhost", "127.0.0.1")):
        return []
    if not name:
        return ["TELEPORT_NODE_NAME is not set and hostNetwork is off: the kubelet's address becomes https://:10250"]
    return [f"TELEPORT_NODE_NAME is {name}, not the name or address of the node that the pod runs on"]


def _token_file_problems(tbot: Tbot, cluster_name: str) -> list[tuple[str, str]]:
    token = tbot.join_token_file
    if tbot.config.join_method != "kubernetes":
        return []
    if token is None:
        said = "the token tbot joins with is not a projected service-account token: Teleport refuses unbound tokens"
        return [(said, "token-lifetime-too-long")]
    found = []
    if token.audience != cluster_name:
        audience = token.audience or "the default"
        said = f"the token's audience is {audience}, Teleport wants its cluster name {cluster_name}"
        found.append((said, "token-audience-wrong"))
    if token.expiration_seconds > LONGEST_TOKEN:
        said = f"the token lives {token.expiration_seconds} s, Teleport refuses more than {LONGEST_TOKEN} s"
        found.append((said, "token-lifetime-too-long"))
    return found


def configuration_is_sound(
    tbot: Tbot,
    cluster_name: str,
    pods: Sequence[Pod],
    evidence: Sequence[str],
    kubernetes_type: str = "static_jwks",
) -> Finding:
    """INST-13, second part: no setting that breaks joining or attestation."""
    directories = {v.path for p in pods if (v := p.spec.volume(SOCKET_VOLUME)) is not None and v.source == "hostPath"}
    return Claim(
        "INST-13",
        expected="no setting of tbot that breaks joining or attestation",
        where=f"{tbot.daemon_set.ref} and {_config_map(tbot)}",
        evidence=(*tbot.evidence, *evidence),
    ).judged(
        configuration_problems(tbot, cluster_name, sorted(directories), kubernetes_type),
        "hostPID, attestor, node name, audience, token lifetime and socket path fit",
    )


def probes_got_their_own_identity(probes: Sequence[SdsProbe | Refused], bundle: TrustBundle) -> Finding:
    """INST-14: each probe was given the SPIFFE ID of its own service account, signed by Teleport's SPIFFE authority."""
    claim = Claim(
        "INST-14",
        expected="on each node, the probe's own identity from Teleport",
        where=f"sockets of {listed(p.node for p in probes)}",
        evidence=[*(e for p in probes for e in p.evidence), *bundle.evidence],
    )
    problems: list[Problem] = []
    held: list[Remark] = []
    for probe in probes:
        if isinstance(probe, Refused):
            continue
        if probe.leaf is None:
            problems.append(on_node(probe, f"no identity: {probe.reason}"))
            continue
        own = workload_id(bundle.trust_domain, probe.namespace, probe.service_account)
        if probe.leaf.uri_sans != (own,):
            problems.append(on_node(probe, f"the socket gave {listed(probe.leaf.uri_sans)}, not {own}"))
        chain = verify_chain(probe.leaf, bundle.authorities, probe.read_at)
        if not chain.ok:
            problems.append(on_node(probe, f"not issued by Teleport: {chain.reason}"))
        held.append(held_on(probe, listed(probe.leaf.uri_sans)))
    if not probes:
        problems.append(claim.problem("no node hosts an injected pod, so no socket was asked"))
    return of_probes(claim, probes, problems, held=held)


@dataclass(frozen=True, slots=True)
class Component:
    """A component with what is known of its version.

    Attributes:
        name: ``tbot`` or ``istio``.
        where: The objects that run it.
        version: Exact version; None where only a floating tag is known.
        said: What tells the version, or does not.
        evidence: Ids of the readings.
    """

    name: str
    where: tuple[ObjectRef, ...]
    version: Version | None
    said: str
    evidence: tuple[str, ...]


def tbot_components(tbot: Tbot, instances: Sequence[BotInstance] | None) -> list[Component]:
    """The versions of tbot that run: of each pod by its image's exact tag and by its heartbeat, whichever tell.

    A pod of which neither tells is a component without a version: under a floating tag two nodes may well run two versions.

    Args:
        tbot: tbot as it is installed.
        instances: Instances of its bot; None where no admin session is there to ask.
    """
    evidence = [*tbot.evidence]
    told: dict[tuple[Version | None, str], list[ObjectRef]] = {}
    # Where a digest says what runs, a tag beside it is only a name: there the heartbeat alone tells the version.
    if not tbot.pods or _exact(tbot.image) is not None:
        told[_exact(tbot.image), f"image {tbot.image}"] = [tbot.daemon_set.ref]
    for pod in tbot.pods.values():
        runs = pod.spec.container(tbot.container.name)
        image = runs.image if runs else tbot.image
        version, beats = _exact(image), _heartbeats(pod, instances or (), host_network=tbot.host_network)
        if version is not None or not beats:
            told.setdefault((version, f"image {image}"), []).append(pod.ref)
        for beat in beats:
            told.setdefault((beat.version, "heartbeat"), []).append(pod.ref)
            evidence += beat.evidence
    return _components("tbot", told, evidence)


def _heartbeats(pod: Pod, instances: Iterable[BotInstance], *, host_network: bool) -> list[BotInstance]:
    """Instances that may be the tbot that runs in a pod now: the pod's latest, or all on its node since it runs."""
    own = [i for i in instances if i.version is not None and i.hostname == pod.name]
    if own:
        return [max(own, key=lambda i: i.last_heartbeat or datetime.min.replace(tzinfo=UTC))]
    if not host_network:
        return []
    # The host's name is that of the node: Teleport remembers instances of earlier pods there, and others may run beside it.
    began = when(pod.created_at, str(pod.ref))
    return [i for i in instances if i.version and i.hostname == pod.node and (i.last_heartbeat or began) > began]


def istio_components(mesh: Mesh, pods: Sequence[Pod]) -> list[Component]:
    """The versions of Istio that run: of istiod and of each injected pod's proxy, by the images' tags.

    Args:
        mesh: The mesh.
        pods: Injected pods, gateways among them.
    """
    images = [(d.ref, c.image) for d in mesh.istiod for c in d.template.spec.containers if c.name == "discovery"]
    images += [(p.ref, p.proxy.image) for p in pods if p.proxy is not None]
    told: dict[tuple[Version | None, str], list[ObjectRef]] = {}
    for where, image in images:
        told.setdefault((_exact(image), f"image {image}"), []).append(where)
    return _components("istio", told, [*mesh.evidence, *(e for p in pods for e in p.evidence)])


def _components(
    name: str, told: Mapping[tuple[Version | None, str], Sequence[ObjectRef]], evidence: Iterable[str]
) -> list[Component]:
    ids = tuple(dict.fromkeys(evidence))
    return [Component(name, tuple(where), version, said, ids) for (version, said), where in told.items()]


def _exact(image: str) -> Version | None:
    """The version that an image's tag names; None for one that floats (``18``, ``18.6``), for none, or beside a digest."""
    tag = "" if "@" in image else image_tag(image)
    if not re.match(r"v?\d+\.\d+\.\d+", tag):
        return None
    try:
        return Version.parse(tag)
    except CouldNotTell:
        return None


def no_known_defect(components: Sequence[Component], tbot_image: str = "") -> Finding:
    """INST-16: no version with a known identity defect; a version that the readings do not tell is unclear, not a pass.

    Args:
        components: With their versions.
        tbot_image: As tbot's DaemonSet names it. A tag that floats is harmless while heartbeats tell sound versions; which
            ones they tell is decided by whoever pulls next.
    """
    claim = Claim(
        "INST-16",
        expected="no version with a known identity defect",
        where=listed(ref for c in components for ref in c.where),
        evidence=[e for c in components for e in c.evidence],
    )
    # A tag and a heartbeat may both tell the version of one pod, which is one problem.
    running: dict[tuple[str, Version], dict[ObjectRef, None]] = {}
    for component in components:
        if component.version is not None:
            running.setdefault((component.name, component.version), {}).update(dict.fromkeys(component.where))
    problems = [
        Problem(ref, f"{name} {version}: {issue.symptom} ({listed(issue.references)})", issue.name, tuple(claim.evidence))
        for (name, version), refs in running.items()
        for issue in known_issues_of(name, version)
        for ref in refs
    ]
    floats = bool(tbot_image) and "@" not in tbot_image and _exact(tbot_image) is None
    note = Problem(ObjectRef("Image", tbot_image), "its tag floats", "tbot-version-floating")
    told = listed(f"{c.name} {c.version} ({c.said})" for c in components)
    return claim.judged(
        problems,
        f"the tag of {tbot_image} floats; {told}" if floats else told,
        unclear=[
            Problem(ref, f"the version of {c.name} is not known: {c.said}", evidence=c.evidence)
            for c in components
            if c.version is None
            for ref in c.where
        ],
        notes=[note] if floats else [],
        settle="pin the exact version, or give an admin tctl so that heartbeats can be read",
    )
