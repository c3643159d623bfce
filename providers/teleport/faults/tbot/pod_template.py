"""Faults in the pod template of tbot's DaemonSet. They show when tbot's pods have been replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from facts.kubernetes.pod_spec import NODE_NAME, TOKEN_PATH
from providers.teleport.faults.tbot.daemon_set import DAEMON_SET, await_cut_off, await_exit, pods_of_tbot
from provision.faults import reach
from provision.faults.changes import Document, patched, pod_template
from provision.faults.fault import Fault, Scene
from provision.names import TBOT, TBOT_NAMESPACE

TWO_HOURS = 7200
"""Seconds; Teleport accepts tokens of at most 30 minutes."""
HOSTNAME = "kubernetes.io/hostname"
CERTIFICATES = "SSL_CERT_FILE"
"""Variable in which the lab gives tbot the authority of its Teleport's certificate, which no image has."""


@contextmanager
def _cannot_join(scene: Scene, broken: Document, sound: Document) -> Iterator[None]:
    """Patch the template until a pod of tbot has been replaced, could not join, and has exited."""
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=sound, then=scene.await_tbot):
        await_cut_off(scene)
        await_exit(scene)
        yield


def _with_token(scene: Scene, **changed: object) -> AbstractContextManager[None]:
    """Change the projected token that tbot joins with."""
    volumes = pods_of_tbot(scene)["volumes"]
    (sound,) = (v["projected"]["sources"][0]["serviceAccountToken"] for v in volumes if v["name"] == "join-token")
    broken, former = (
        pod_template(volumes=[{"name": "join-token", "projected": {"sources": [{"serviceAccountToken": token}]}}])
        for token in ({**sound, **changed}, sound)
    )
    return _cannot_join(scene, broken, former)


def _audience_of_the_proxy(scene: Scene) -> AbstractContextManager[None]:
    return _with_token(scene, audience=scene.installation.variables["PROXY_SERVER"])


@contextmanager
def serves_nobody(scene: Scene, broken: Document, sound: Document) -> Iterator[None]:
    """Patch the template until every pod of tbot has been replaced, is Ready, and supplies no proxy."""
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=sound, then=scene.await_tbot):
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        await_cut_off(scene, every=True)
        yield


def _without_host_pid(scene: Scene) -> AbstractContextManager[None]:
    return serves_nobody(scene, pod_template(hostPID=None), pod_template(hostPID=True))


def _without_node_name(scene: Scene) -> AbstractContextManager[None]:
    return serves_nobody(scene, *_without_variable(scene, NODE_NAME))


def _with_the_pods_token(scene: Scene) -> AbstractContextManager[None]:
    return _cannot_join(scene, *_without_variable(scene, TOKEN_PATH))


def _without_variable(scene: Scene, name: str) -> tuple[Document, Document]:
    """Return the patch that takes a variable from tbot's container, and the one that gives it back."""
    (container,) = (c for c in pods_of_tbot(scene)["containers"] if c["name"] == TBOT)
    (sound,) = (variable for variable in container["env"] if variable["name"] == name)
    broken, former = (
        pod_template(containers=[{"name": TBOT, "env": [variable]}])
        for variable in ({"name": name, "$patch": "delete"}, sound)
    )
    return broken, former


def _without_teleports_authority(scene: Scene) -> AbstractContextManager[None]:
    return _cannot_join(scene, *_without_variable(scene, CERTIFICATES))


@contextmanager
def first_left_out(scene: Scene, then: Callable[[], object]) -> Iterator[None]:
    """Let tbot select all nodes but the first one; `then` waits until it is back there."""
    node, *others = scene.nodes()
    broken, sound = pod_template(nodeSelector={HOSTNAME: others[0]}), pod_template(nodeSelector=None)
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=sound, then=then):
        await_cut_off(scene, node)
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        yield


_template_fault = partial(
    Fault,
    touches=DAEMON_SET,
    undo="The suite restores the template and waits until every Envoy has its streams again.",
    reach=reach.TBOT | reach.INJECTED_PODS,
)
CUT_OFF = frozenset({"CHK-8", "CHK-9", "ID-01", "ID-11"})
"""Failed where no new secret reaches proxies, which still have the certificates that they got before."""

FAULTS = (
    _template_fault(
        name="audience-of-the-proxy",
        description="tbot's token is for the address of Teleport's proxy, not for the cluster's name, so the first"
        " tbot pod that is replaced cannot join.",
        cause="token-audience-wrong",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
        inject=_audience_of_the_proxy,
    ),
    _template_fault(
        name="token-of-two-hours",
        description="tbot's token lives two hours, longer than Teleport accepts, so the first tbot pod that is replaced"
        " cannot join.",
        cause="token-lifetime-too-long",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
        inject=partial(_with_token, expirationSeconds=TWO_HOURS),
    ),
    _template_fault(
        name="token-of-the-pod",
        description="tbot's pods lack KUBERNETES_TOKEN_PATH, so tbot joins with the usual token of its pod, which is for the"
        " API server: the first tbot pod that is replaced cannot join.",
        cause="token-not-projected",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
        inject=_with_the_pods_token,
    ),
    _template_fault(
        name="tbot-without-teleports-authority",
        description="tbot's pods lack SSL_CERT_FILE, as after its manifests were applied without it. tbot does not trust the"
        " private authority of Teleport's certificate: the first tbot pod that is replaced cannot join.",
        cause="teleport-certificate-untrusted",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
        by_doctor_alone=True,
        inject=_without_teleports_authority,
    ),
    _template_fault(
        name="tbot-without-host-pid",
        description="tbot's pods do not share the process ids of their node, so tbot is Ready and attests no caller.",
        cause="tbot-host-pid-missing",
        breaks=frozenset({"INST-13", "INST-14"}) | CUT_OFF,
        inject=_without_host_pid,
    ),
    _template_fault(
        name="tbot-without-node-name",
        description="tbot's pods lack TELEPORT_NODE_NAME, so tbot is Ready and asks no kubelet about a caller.",
        cause="tbot-node-name-missing",
        breaks=frozenset({"INST-13", "INST-14"}) | CUT_OFF,
        inject=_without_node_name,
    ),
    _template_fault(
        name="tbot-for-other-nodes",
        description="tbot's DaemonSet selects nodes, and leaves out one that runs workloads.",
        cause="tbot-not-on-node",
        breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
        inject=lambda scene: first_left_out(scene, scene.await_tbot),
    ),
)
