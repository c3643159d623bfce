"""Facts of a healthy install. Each builder takes as `changes` the fields in which a test's install differs.

Every fact has evidence of its own (``ev-`` and its name), so that a test sees which facts a finding stands on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.guide import GuideAnswer
from facts.istio.control_planes import ControlPlanes
from facts.istio.gateways import Gateway, gateways_of
from facts.istio.injection import DryRun
from facts.istio.istio_ca import IstioAuthorities
from facts.istio.mesh import Injector, Mesh, MeshConfig
from facts.kubernetes.access import Right
from facts.kubernetes.jwks import Jwks, Signature
from facts.kubernetes.objects import Condition, Labelled, Node, Pod
from facts.kubernetes.pod_spec import Container, PodSpec, ProjectedToken, Volume, VolumeMount
from facts.kubernetes.probes import NodeProbe, Refused, SdsProbe, SeenContainer, SeenFile, SocketDirectoryProbe
from facts.kubernetes.rbac import Binding, Grant, Rbac, RbacRole, RbacSubject, Rule
from facts.kubernetes.workloads import DaemonSet, Deployment, PodTemplate
from facts.provider.agents import SocketDirectories
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import HttpNormalization, SdsStreams, Validator
from facts.proxies.identity import Fleet, LeftOut, Normalization, PodRef, ProxyIdentity, Unread
from facts.proxies.requests import Called, SentRequests
from facts.proxies.sds_mode import SdsMode, SecretState
from facts.versions import Tool, Version
from judge.identity.proxies import ObservedProxies
from providers.teleport.facts.issuing import Grants, Issuing
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import (
    Bot,
    BotInstance,
    ClusterStatus,
    JoinToken,
    Ping,
    Role,
    RoleRule,
    WorkloadIdentities,
    WorkloadIdentity,
)
from providers.teleport.facts.tbot import OtherTbot, Tbot, Tbots
from providers.teleport.facts.tbot_config import KubernetesAttestor, TbotConfig, WorkloadApi
from providers.teleport.facts.tbot_log import LastAttempt, Obstacle
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

NODE = "node-1"
SOCKETS = "/run/spire/sockets"
DIRECTORIES = SocketDirectories(frozenset({SOCKETS}))
OTHER_SOCKETS = "/run/spire-b/sockets"
OF_POOLS = SocketDirectories(
    frozenset({SOCKETS, OTHER_SOCKETS}), {"node-1": frozenset({SOCKETS}), "node-2": frozenset({OTHER_SOCKETS})}
)
"""Two pools of nodes, each with a directory of its own."""
SOCKET_MOUNT = "/var/run/secrets/workload-spiffe-uds"
TBOT = "teleport-system:tbot"
ROLE = "istio-workload-identity-issuer"
CONTAINER_ID = "a" * 64

NODES_SOCKET = Volume("workload-socket", "hostPath", path=SOCKETS, type="Directory")
OTHER_NODES_SOCKET = replace(NODES_SOCKET, path=OTHER_SOCKETS)
EMPTY_DIR = Volume("workload-socket", "emptyDir")


# Pods and workloads.


def container(name: str, image: str = "registry.example/app:1.0.0", **changes: Any) -> Container:
    """A container that runs."""
    made = Container(
        name, image, container_id=f"containerd://{CONTAINER_ID}", ready=True, started=True, state="running", env={}
    )
    return replace(made, **changes)


def istio_proxy(**changes: Any) -> Container:
    """A native sidecar as Istio's template with the `spire` template on top writes it."""
    made = container(
        "istio-proxy",
        "registry.example/istio/proxyv2:1.31.0",
        is_init=True,
        restart_policy="Always",
        args=("proxy", "sidecar"),
        mounts=(VolumeMount("workload-socket", SOCKET_MOUNT, read_only=True),),
    )
    return replace(made, **changes)


def pod_spec(*containers: Container, **changes: Any) -> PodSpec:
    """A specification with those containers."""
    made = PodSpec(
        service_account="test-app",
        node=NODE,
        containers=containers,
        volumes=(),
        host_pid=False,
        host_network=False,
        node_selector={},
    )
    return replace(made, **changes)


def node(name: str = NODE, **labels: str) -> Node:
    """A Ready node without a taint; its labels are its name's and those given."""
    return Node(
        name=name,
        labels={"kubernetes.io/hostname": name, **labels},
        kubelet_version="v1.34.4",
        taints=(),
        unschedulable=False,
        ready=True,
        os="linux",
        evidence=(f"ev-{name}",),
    )


def pod(
    name: str = "app",
    *,
    namespace: str = "test-app",
    service_account: str = "test-app",
    node: str = NODE,
    socket: Volume | None = NODES_SOCKET,
    proxy: Container | None = None,
    injected: bool = True,
    **changes: Any,
) -> Pod:
    """A Ready pod of the test application, with a sidecar on the node's socket; its evidence is ``ev-pod-<name>``."""
    proxies = (proxy or istio_proxy(),) if injected else ()
    made = Pod(
        namespace=namespace,
        name=name,
        uid=f"uid-{name}",
        labels={"app": "test-app"},
        annotations={},
        spec=pod_spec(
            *proxies,
            container("app"),
            service_account=service_account,
            node=node,
            volumes=(socket,) if socket else (),
        ),
        phase="Running",
        ready=True,
        conditions=(),
        message="",
        owner="ReplicaSet/test-app",
        created_at="2026-03-01T10:00:00Z",
        terminating=False,
        ip="10.0.0.1",
        evidence=(f"ev-pod-{name}",),
    )
    return replace(made, **changes)


def deployment(name: str = "istiod", *containers: Container, **changes: Any) -> Deployment:
    """A Deployment of one replica, rolled out."""
    used = containers or (container("discovery", "registry.example/istio/pilot:1.31.0"),)
    made = Deployment(
        namespace="istio-system",
        name=name,
        uid=f"uid-{name}",
        labels={"app": name},
        selector={"app": name},
        generation=2,
        observed_generation=2,
        desired=1,
        updated=1,
        available=1,
        conditions=(
            Condition("Available", "True", "MinimumReplicasAvailable"),
            Condition("Progressing", "True", "NewReplicaSetAvailable"),
        ),
        template=PodTemplate({}, {}, pod_spec(*used, node="")),
        evidence=(f"ev-{name}",),
    )
    return replace(made, **changes)


# Istio.


ROUTER = ("proxy", "router")


def gateway(image: str = "registry.example/istio/proxyv2:1.31.0", **changes: Any) -> Deployment:
    """The ingress gateway."""
    return deployment("istio-ingressgateway", container("istio-proxy", image, args=ROUTER), **changes)


def ingress_gateway(**changes: Any) -> Gateway:
    """The ingress gateway, whatever runs it."""
    (made,) = gateways_of([gateway()], [])
    return replace(made, **changes)


def mesh_config(**changes: Any) -> MeshConfig:
    """Mesh configuration as the guide has it."""
    return replace(MeshConfig(TRUST_DOMAIN, "NONE", ("ev-mesh-config",)), **changes)


def injector(**changes: Any) -> Injector:
    """The injector with the template of the guide."""
    made = Injector({"sidecar": "…", "spire": "…"}, ("sidecar",), "registry.example/istio", "1.31.0", ("ev-injector",))
    return replace(made, **changes)


def mesh(**changes: Any) -> Mesh:
    """Istio with one istiod and one gateway."""
    made = Mesh(
        namespace="istio-system",
        revision="default",
        config=mesh_config(),
        injector=injector(),
        istiod=(deployment(),),
        gateways=(gateway(),),
        evidence=("ev-mesh",),
    )
    return replace(made, **changes)


def planes(*meshes: Mesh, **tags: str) -> ControlPlanes:
    """Istio's control planes; without any given, the one of `mesh`."""
    found = meshes or (mesh(),)
    return ControlPlanes(found, tags, readings(*found))


def canary(**changes: Any) -> Mesh:
    """A second revision beside the default one, newer, without a gateway of its own."""
    runs = container("discovery", "registry.example/istio/pilot:1.32.0")
    made = mesh(
        revision="canary",
        config=mesh_config(evidence=("ev-canary-config",)),
        injector=injector(tag="1.32.0", evidence=("ev-canary-injector",)),
        istiod=(deployment("istiod-canary", runs),),
        gateways=(),
        evidence=("ev-canary",),
    )
    return replace(made, **changes)


def injected_by(revision: str) -> dict[str, str]:
    """What the injector of a revision writes into the annotations of a pod."""
    return {"istio.io/rev": revision, "sidecar.istio.io/status": json.dumps({"revision": revision})}


def dry_run(**changes: Any) -> DryRun:
    """A pod that was injected and accepted."""
    made = DryRun(True, pod("", evidence=()), "", "a pod in test-app", ("ev-dry-run",))
    return replace(made, **changes)


def normalization(name: str = "app", *settings: HttpNormalization, is_gateway: bool = False) -> Normalization:
    """What a proxy does under the guide's NONE; other settings instead where they are given."""
    used = settings or (HttpNormalization(False, False, "KEEP_UNCHANGED"),)
    return Normalization(replace(PodRef.of(pod(name)), is_gateway=is_gateway), used, (f"ev-normalization-{name}",))


# Teleport.


def ping(**changes: Any) -> Ping:
    """Teleport's public answer."""
    return replace(Ping(TRUST_DOMAIN, Version(18, 6, 4), stand_in=False, evidence=("ev-ping",)), **changes)


def status(**changes: Any) -> ClusterStatus:
    """What an admin's tctl says."""
    return replace(ClusterStatus(TRUST_DOMAIN, "standby", ("ev-status",)), **changes)


def bundle(**changes: Any) -> TrustBundle:
    """Teleport's SPIFFE bundle."""
    return replace(TrustBundle(TRUST_DOMAIN, (authority(),), ("ev-bundle",)), **changes)


def public_key(kid: str, modulus: str = "modulus") -> Mapping[str, str]:
    """A public key of a JWKS; its modulus is what tells two clusters apart."""
    return {"kty": "RSA", "use": "sig", "kid": kid, "alg": "RS256", "n": modulus, "e": "AQAB"}


def jwks(*keys: Mapping[str, str]) -> Jwks:
    """The cluster's live keys."""
    used = keys or (public_key("live"),)
    return Jwks(tuple(k["kid"] for k in used), used, ("ev-jwks",))


def signature(**changes: Any) -> Signature:
    """A signature that verifies."""
    return replace(Signature(True, "live", ""), **changes)


def token(**changes: Any) -> JoinToken:
    """The join token of the guide, filled in with this cluster's key."""
    made = JoinToken(
        name="istio-tbot-k8s-join",
        roles=("Bot",),
        join_method="kubernetes",
        bot_name="istio-tbot",
        kubernetes_type="static_jwks",
        allow=(TBOT,),
        jwks_text='{"keys":[{"kty":"RSA","use":"sig","kid":"live","alg":"RS256","n":"modulus","e":"AQAB"}]}',
        evidence=("ev-token",),
    )
    return replace(made, **changes)


def bot(**changes: Any) -> Bot:
    """The bot that the guide's token names."""
    return replace(Bot("istio-tbot", (ROLE,), ("ev-bot",)), **changes)


def role(**changes: Any) -> Role:
    """The role of the guide."""
    made = Role(ROLE, {"env": ("dev",)}, "", (RoleRule(("workload_identity",), ("list", "read")),), ("ev-role",))
    return replace(made, **changes)


def identity(**changes: Any) -> WorkloadIdentity:
    """The workload identity of the guide."""
    made = WorkloadIdentity(
        name="istio-workloads",
        labels={"env": "dev"},
        spiffe_id="/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
        rules=(),
        maximum_ttl=None,
        evidence=("ev-identity",),
    )
    return replace(made, **changes)


def grants(role: Role | Absent, *selected: WorkloadIdentity | Absent, beside: Sequence[WorkloadIdentity] = ()) -> Grants:
    """One role of the bot, the workload identities that tbot selects, and others that Teleport has beside them."""
    there = tuple(i for i in selected if isinstance(i, WorkloadIdentity))
    return Grants((role,), WorkloadIdentities((*there, *beside), ("ev-identity",)), selected)


def issuing(*identities: WorkloadIdentity | Absent, service: WorkloadApi | None = None) -> Issuing:
    """A service of tbot with the workload identities that it selects."""
    return Issuing(service or workload_api(), identities or None, ("ev-identity",) if identities else ())


def absent(name: str) -> Absent:
    """A resource that Teleport does not have, such as ``token/istio-tbot-k8s-join``."""
    return Absent(ObjectRef("Teleport", name), (f"ev-absent-{name.partition('/')[0]}",))


def bot_instance(hostname: str = "tbot-1", version: str = "18.6.4", **changes: Any) -> BotInstance:
    """A running tbot, as its heartbeat tells."""
    made = BotInstance(
        f"instance-{hostname}", "istio-tbot", Version.parse(version), hostname, NOW,
        "teleport-system:tbot", hostname, (f"ev-heartbeat-{hostname}",),
    )  # fmt: skip
    return replace(made, **changes)


# tbot.


def attestor(**changes: Any) -> KubernetesAttestor:
    """The Kubernetes attestor of the guide."""
    return replace(KubernetesAttestor(enabled=True, secure_port=10250), **changes)


def workload_api(**changes: Any) -> WorkloadApi:
    """The service of the guide."""
    made = WorkloadApi(f"unix://{SOCKETS}/socket", "istio-workloads", {}, attestor(), 3600, 1200)
    return replace(made, **changes)


def tbot_config(**changes: Any) -> TbotConfig:
    """The agent's file as the guide has it."""
    made = TbotConfig(
        version="v2",
        proxy_server="teleport.example.com:443",
        token="istio-tbot-k8s-join",
        join_method="kubernetes",
        token_path="",
        insecure=False,
        services=(workload_api(),),
        unknown_keys=(),
        own_lifetimes=(),
        scoped=False,
        evidence=("ev-tbot-config",),
    )
    return replace(made, **changes)


def tbot_container(**changes: Any) -> Container:
    """The agent's container as the guide's DaemonSet has it, with the node's name under the name that tbot reads."""
    made = container(
        "tbot",
        "registry.example/tbot-distroless:18.6.4",
        env={
            "KUBERNETES_TOKEN_PATH": "/var/run/secrets/tokens/join-token",
            "TELEPORT_NODE_NAME": "fieldRef:spec.nodeName",
        },
        mounts=(VolumeMount("join-token", "/var/run/secrets/tokens"), VolumeMount("sockets", SOCKETS)),
    )
    return replace(made, **changes)


def tbot_volumes(*, audience: str = TRUST_DOMAIN, seconds: int = 600, sockets: str = "hostPath") -> tuple[Volume, ...]:
    """The volumes of tbot: its join token and the socket directory."""
    return (
        Volume("join-token", "projected", tokens=(ProjectedToken(audience, seconds, "join-token"),)),
        Volume("sockets", sockets, path=SOCKETS if sockets == "hostPath" else ""),
    )


def tbot_pod(name: str = "tbot-1", *, node: str = NODE, image: str = "", **changes: Any) -> Pod:
    """A Ready pod of tbot's DaemonSet."""
    made = pod(name, namespace="teleport-system", service_account="tbot", node=node, socket=None, injected=False)
    runs = tbot_container(image=image) if image else tbot_container()
    spec = replace(made.spec, containers=(runs,))
    return replace(made, spec=spec, owner="DaemonSet/tbot", **changes)


def last_attempt(obstacle: Obstacle | None = None, said: str = "", **changes: Any) -> LastAttempt:
    """The last attempt of a tbot that has joined, unless something else is said."""
    made = LastAttempt(obstacle, said, joined=obstacle is None, evidence=("ev-log",), opened=obstacle is None)
    if changes.get("opened", made.opened):
        made = replace(made, opened_at=NOW - timedelta(days=1))
    return replace(made, **changes)


def daemon_set(spec: PodSpec, **changes: Any) -> DaemonSet:
    """The agent's DaemonSet, complete on one node."""
    made = DaemonSet(
        namespace="teleport-system",
        name="tbot",
        uid="uid-tbot",
        selector={"app": "tbot"},
        generation=3,
        observed_generation=3,
        desired=1,
        updated=1,
        ready=1,
        available=1,
        template=PodTemplate({}, {}, spec),
        evidence=("ev-daemon-set",),
    )
    return replace(made, **changes)


def tbot(
    *pods: Pod,
    runs: Container | None = None,
    config: TbotConfig | None = None,
    volumes: Sequence[Volume] = (),
    host_pid: bool = True,
    host_network: bool = False,
    **status: Any,
) -> Tbot:
    """The agent on one node, as the guide installs it; `status` changes the DaemonSet."""
    runs = runs or tbot_container()
    spec = pod_spec(
        runs,
        service_account="tbot",
        node="",
        volumes=tuple(volumes) or tbot_volumes(),
        host_pid=host_pid,
        host_network=host_network,
    )
    return Tbot(
        daemon_set=daemon_set(spec, **status),
        pods={p.node: p for p in pods or (tbot_pod(),)},
        container=runs,
        config=config or tbot_config(),
        config_map="tbot-config",
        evidence=("ev-agent",),
    )


def pool(name: str, directory: str, *nodes: str, socket: str = "socket", **config: Any) -> Tbot:
    """A tbot for a pool of nodes with a directory of its own, in which the mesh's proxies look."""
    mounts = (VolumeMount("join-token", "/var/run/secrets/tokens"), VolumeMount("sockets", directory))
    config = {"services": (workload_api(listen=f"unix://{directory}/{socket}"),)} | config
    pods = [replace(tbot_pod(f"{name}-{node}", node=node), owner=f"DaemonSet/{name}") for node in nodes]
    volumes = (tbot_volumes()[0], Volume("sockets", "hostPath", path=directory))
    made = tbot(*pods, runs=tbot_container(mounts=mounts), volumes=volumes, config=tbot_config(**config))
    looked_for = frozenset({f"{directory}/{socket}"})
    return replace(made, daemon_set=replace(made.daemon_set, name=name), looked_for=looked_for)


def tbots(*each: Tbot, left_out: Sequence[OtherTbot] = ()) -> Tbots:
    """Every tbot that serves the mesh; the guide's where none is given."""
    return Tbots(each or (tbot(),), tuple(left_out))


def joining(of: Tbot | None = None, token: JoinToken | Absent | None = None, bot: Bot | Absent | None = None) -> Joining:
    """A tbot with what it joins with."""
    return Joining(of or tbot(), token, bot)


# Proxies and probes.


def proxy(of: Pod | None = None, **changes: Any) -> ProxyIdentity:
    """The identity of a pod's proxy, from Teleport over the node's socket; its evidence is ``ev-proxy-<name>``."""
    of = of or pod()
    made = ProxyIdentity(
        pod=PodRef.of(of),
        sds_mode=SdsMode.EXTERNAL,
        decided_by=("the agent found a socket at its start",),
        secret_state=SecretState.ACTIVE,
        chain=(svid(of.namespace, of.service_account),),
        version_info="2026-03-01T11:50:00.5Z",
        last_updated=NOW,
        validator=Validator.SPIFFE,
        root_authorities={TRUST_DOMAIN: (authority(),)},
        has_files_cluster=True,
        socket_path=f".{SOCKET_MOUNT}/socket",
        streams=streams(),
        csr_count=0,
        agent_certificate_held=False,
        envoy_version=Version(1, 40, 0),
        uptime=600,
        read_at=NOW,
        evidence=(f"ev-proxy-{of.name}",),
    )
    return replace(made, **changes)


def sent(calls: Mapping[str, int] | None = None, **changes: Any) -> SentRequests:
    """The requests of a proxy that counts, read when its identity was; its evidence is ``ev-sent``.

    Args:
        calls: Number of requests by the workload that they reached.
        changes: Other fields.
    """
    counted = {Called(workload, ""): number for workload, number in (calls or {}).items()}
    return replace(SentRequests(True, counted, frozenset(), NOW, ("ev-sent",)), **changes)


def istiod_proxy(of: Pod | None = None, **changes: Any) -> ProxyIdentity:
    """The proxy of a pod that fell back to Istio's own CA: 2/2, and mTLS with its like works."""
    of = of or pod()
    made = proxy(
        of,
        sds_mode=SdsMode.ISTIO_CA,
        decided_by=("the agent found no socket at its start",),
        chain=(svid(of.namespace, of.service_account, issuer="istiod"), authority("istiod", uri="")),
        version_info="2026-03-01T11:50:00Z/1",
        validator=Validator.TRUSTED_CA,
        root_authorities={"": (authority("istiod", uri=""),)},
        has_files_cluster=False,
        csr_count=1,
        agent_certificate_held=True,
    )
    return replace(made, **changes)


def streams(**changes: Any) -> SdsStreams:
    """A live connection to the SDS server, with one stream for each secret."""
    return replace(SdsStreams(1, 2, 1, 0), **changes)


def istiod(**changes: Any) -> IstioAuthorities:
    """Istiod's own authority."""
    return replace(IstioAuthorities((authority("istiod", uri=""),), ("ev-istiod",)), **changes)


def sidecars(*found: ProxyIdentity | Unread | LeftOut, pods: Sequence[Pod] = ()) -> ObservedProxies:
    """Those proxies with their pods, made up where they are not given; the list of all pods is ``ev-pods``."""
    known = {p.uid: p for p in pods}
    wanted = [known.get(f.pod.uid) or _pod_of(f.pod) for f in found if not isinstance(f, LeftOut)]
    return ObservedProxies(wanted, fleet(*found), ("ev-pods",))


def _pod_of(ref: PodRef) -> Pod:
    made = pod(ref.name, namespace=ref.namespace, service_account=ref.service_account, node=ref.node)
    return replace(made, uid=ref.uid)


def namespace(name: str = "test-app", **changes: Any) -> Labelled:
    """A namespace that injects."""
    labels = {"istio-injection": "enabled"}
    made = Labelled(name, labels, {}, ("ev-namespaces",))
    return replace(made, **changes)


def unread(of: Pod | None = None) -> Unread:
    """A proxy that could not be read."""
    why = CouldNotTell(expected="the proxy's port 15000", seen="forbidden", where="port-forward", remedy="grant the right")
    return Unread(PodRef.of(of or pod()), why, NOW)


GONE = "it was deleted while the suite read the fleet"


def left_out(name: str = "gone", of: Pod | None = None) -> LeftOut:
    """A pod that went away; its evidence is ``ev-gone-<name>``."""
    of = of or pod(name)
    return LeftOut(PodRef.of(of), GONE, (f"ev-gone-{of.name}",))


def fleet(*found: ProxyIdentity | Unread | LeftOut) -> Fleet:
    """Those proxies."""
    return Fleet.of(found)


def guide(*, healthy: bool = True) -> GuideAnswer:
    """What the guide's own command answered."""
    return GuideAnswer("kubectl get pods", "the guide is content" if healthy else "the guide is not", healthy, ("ev-guide",))


def seen_container(of: str = "uid-app", **changes: Any) -> SeenContainer:
    """A path in mountinfo that names the container of a pod."""
    return replace(SeenContainer(CONTAINER_ID, of, 1, f"/kubepods/pod{of}/{CONTAINER_ID}"), **changes)


def node_probe(node: str = NODE, **changes: Any) -> NodeProbe:
    """A probe that saw all that tbot needs."""
    made = NodeProbe(node, f"{node}:10250", 401, "", (seen_container(),), 0, (f"ev-probe-{node}",))
    return replace(made, **changes)


def seen_file(
    name: str = "sockets", mode: int = 0o755, *, uid: int = 0, gid: int = 0, is_socket: bool = False, listener: str = ""
) -> SeenFile:
    """A file of the node; root's directory if nothing else is said."""
    return SeenFile(name, uid, gid, mode, is_socket, listener)


def socket_directory_probe(node: str = NODE, **changes: Any) -> SocketDirectoryProbe:
    """A probe that may look at the directory of the socket and not write in it."""
    made = SocketDirectoryProbe(
        node=node,
        uid=1337,
        gid=1337,
        directory=seen_file(),
        writable=False,
        mount_read_only=False,
        entries=(seen_file("socket", 0o777, is_socket=True),),
        evidence=(f"ev-directory-{node}",),
        path=SOCKETS,
    )
    return replace(made, **changes)


def kept_out(node: str = NODE, reason: str = "ImagePullBackOff: Back-off pulling image") -> Refused:
    """A probe that did not run for a reason that says nothing about what it was to find out."""
    return Refused(node, reason, (f"ev-kept-out-{node}",), by_policy=False)


def refused(node: str = NODE, reason: str = "violates PodSecurity: hostPath volumes") -> Refused:
    """A probe that was not admitted."""
    return Refused(node, reason, (f"ev-refused-{node}",))


def sds_probe(node: str = NODE, **changes: Any) -> SdsProbe:
    """A probe that was given its own identity by the node's socket."""
    made = SdsProbe(node, "conformance-1", "probe", svid("conformance-1", "probe"), "", NOW, (f"ev-sds-{node}",))
    return replace(made, **changes)


def tool(name: str, version: str) -> Tool:
    """A command-line tool of that version."""
    return Tool(name, Version.parse(version), (f"ev-{name}",))


def right(verb: str = "list", resource: str = "pods", *, allowed: bool = True) -> Right:
    """A right that was asked for."""
    return Right(verb, resource, allowed, (f"ev-right-{verb}-{resource}",))


def rule(verbs: str, resources: str = "", *, group: str = "", names: str = "", paths: str = "") -> Rule:
    """A rule of RBAC; several words are separated by blanks."""
    return Rule(tuple(verbs.split()), (group,) if resources else (), *(tuple(t.split()) for t in (resources, names, paths)))


def grant(*rules: Rule, to: str = "Group developers", role: str = "role", within: str = "") -> Grant:
    """A role that a binding gives to a holder such as ``ServiceAccount ns/name``; `within` is the binding's namespace."""
    kind, _, named = to.partition(" ")
    namespace, _, name = named.rpartition("/") if kind == "ServiceAccount" else ("", "", named)
    binding = Binding(within, f"{role}-of", "ClusterRole", role, (RbacSubject(kind, name, namespace),), (f"ev-{role}-of",))
    return Grant(binding, RbacRole("", role, rules, False, (f"ev-{role}",)))


def rbac(*grants: Grant) -> Rbac:
    """Roles and bindings; each role by a name of its own, since one of two with the same name would hide the other."""
    assert len({(each.role.namespace, each.role.name) for each in grants}) == len(grants)
    return Rbac(tuple(each.role for each in grants), tuple(each.binding for each in grants))
