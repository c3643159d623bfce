"""The layouts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from observe.command import must_run
from observe.wait import NotYet, eventually
from provision.faults import FAULTS, Scene
from provision.faults.changes import Document, applied, edited, patched, pod_template
from provision.installing import istio
from provision.installing.repairs import REPAIRS
from provision.names import APP, ISTIO_NAMESPACE, TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE
from tests.installs import by_helm, chart, fleet, in_cluster
from tests.installs.layout import Layout
from tests.installs.teams import idle, namespace

WATCHED = {"installs.test/mesh": "yes"}
"""Label of the namespaces that istiod watches, where it does not watch all."""
SECOND_TBOT, GATEWAYS = "tbot-of-the-second-pool", "istio-gateways"
HOSTNAME = "kubernetes.io/hostname"
CANARY, TAG = "canary", "next"
CANARY_APP = "canary-app"
ENFORCE = "pod-security.kubernetes.io/enforce"
OF_ITS_OWN = {"kind_name": "by-hand", "keep": False, "reuse": False}
"""Settings of a cluster that is made for one layout: a kept one is installed otherwise, and stays as it is."""


@contextmanager
def as_installed(_scene: Scene) -> Iterator[None]:
    """Leave everything as the suite installed it."""
    yield


# Namespaces of other teams.


@contextmanager
def _restricted_beside(scene: Scene) -> Iterator[None]:
    where = "restricted-team"
    with applied(scene, namespace(where, **{ENFORCE: "restricted"}), idle(scene, where)):
        scene.await_rollout("Deployment", "idle", where)
        yield


@contextmanager
def _labelled(scene: Scene, name: str, labels: Mapping[str, str]) -> Iterator[None]:
    """Label a namespace, and take the labels away afterwards."""
    objects = scene.installation.objects
    objects.patch("v1", "Namespace", name, {"metadata": {"labels": dict(labels)}})
    try:
        yield
    finally:
        objects.patch("v1", "Namespace", name, {"metadata": {"labels": dict.fromkeys(labels)}})


@contextmanager
def _app_restricted(scene: Scene) -> Iterator[None]:
    """No new pod of the test application is admitted: the template's volume is a hostPath."""
    with _labelled(scene, APP, {ENFORCE: "restricted"}):
        scene.await_refusal()
        yield


@contextmanager
def _ambient_beside(scene: Scene) -> Iterator[None]:
    where = "ambient-team"
    marks = {"annotations": {"ambient.istio.io/redirection": "enabled"}}
    with applied(scene, namespace(where, **{"istio.io/dataplane-mode": "ambient"}), idle(scene, where, **marks)):
        scene.await_rollout("Deployment", "idle", where)
        yield


# What istiod watches.


@contextmanager
def _few_namespaces_watched(scene: Scene) -> Iterator[None]:
    selectors = [{"matchLabels": WATCHED}]
    sidecar = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "default", "namespace": ISTIO_NAMESPACE},
        "spec": {"egress": [{"hosts": ["./*", f"{ISTIO_NAMESPACE}/*"]}]},
    }
    with ExitStack() as stack:
        for name in (ISTIO_NAMESPACE, APP, TBOT_NAMESPACE, "kube-system"):
            stack.enter_context(_labelled(scene, name, WATCHED))
        stack.enter_context(
            edited(scene, ISTIO_NAMESPACE, "istio", "mesh", lambda mesh: {**mesh, "discoverySelectors": selectors})
        )
        stack.enter_context(applied(scene, sidecar))
        yield


# A second control plane.


def app_in(scene: Scene, where: str, labels: Mapping[str, str]) -> list[Document]:
    """The test application in another namespace, with that namespace."""
    made = []
    for document in scene.installation.variant.documents("test-app-deployment.yaml", scene.installation.variables):
        moved = copy.deepcopy(document)
        if moved["kind"] == "Namespace":
            moved["metadata"] |= {"name": where, "labels": dict(labels)}
        else:
            moved["metadata"]["namespace"] = where
        made.append(moved)
    return made


@contextmanager
def _canary(scene: Scene) -> Iterator[None]:
    installation = scene.installation
    (document,) = installation.variant.documents(istio.CONFIG, installation.variables)
    spec = document["spec"]
    spec["revision"] = CANARY
    spec["meshConfig"]["pathNormalization"]["normalization"] = "DECODE_AND_MERGE_SLASHES"
    spec["components"] = {"ingressGateways": [{"name": "istio-ingressgateway", "enabled": False}]}
    istioctl = [str(installation.sources.istioctl)]
    there = ["--kubeconfig", str(installation.kubeconfig), "--context", installation.context]
    run = partial(must_run, timeout=scene.patience.istio_install)
    with ExitStack() as stack:
        stack.callback(run, [*istioctl, "uninstall", "-y", "--revision", CANARY, *there])
        istio.install(
            installation.sources, [document], scene.recorder, installation.directory,
            kubeconfig=installation.kubeconfig, context=installation.context,
            timeout=scene.patience.istio_install, stop=lambda: False,
        )  # fmt: skip
        stack.callback(run, [*istioctl, "tag", "remove", TAG, "-y", *there])
        run([*istioctl, "tag", "set", TAG, "--revision", CANARY, "--overwrite", *there])
        stack.enter_context(applied(scene, *app_in(scene, CANARY_APP, {"istio.io/rev": TAG})))
        scene.await_rollout("Deployment", APP, CANARY_APP)
        yield


@contextmanager
def _canary_with_another_trust_domain(scene: Scene) -> Iterator[None]:
    name = f"istio-{CANARY}"
    with edited(scene, ISTIO_NAMESPACE, name, "mesh", lambda mesh: {**mesh, "trustDomain": "cluster.local"}):
        yield


# Node pools.


def only_from(where: str, *, not_from: bool = False) -> Document:
    """A rule of a workload identity: for pods of one namespace, or for those of all others."""
    condition = {"attribute": "workload.kubernetes.namespace", "not_eq" if not_from else "eq": {"value": where}}
    return {"rules": {"allow": [{"conditions": [condition]}]}}


@contextmanager
def _two_identities(scene: Scene) -> Iterator[None]:
    """Two workload identities with the same labels, told apart by their rules; tbot selects by the labels."""
    (sound,) = scene.installation.variant.documents("teleport-workload-identity.yaml", {})
    of_gateways = {**sound, "metadata": {**sound["metadata"], "name": GATEWAYS}}
    labels = {key: [value] for key, value in sound["metadata"]["labels"].items()}
    second = scene.teleport

    def by_labels(config: Document) -> Document:
        (service,) = config["services"]
        return {**config, "services": [{**service, "selector": {"labels": labels}}]}

    with ExitStack() as stack:
        stack.callback(scene.restart_tbot)
        stack.callback(scene.teleport.create, sound)
        scene.teleport.create({**sound, "spec": {**sound["spec"], **only_from(ISTIO_NAMESPACE, not_from=True)}})
        stack.callback(second.remove)
        second.create({**of_gateways, "spec": {**sound["spec"], **only_from(ISTIO_NAMESPACE)}})
        stack.enter_context(edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, by_labels))
        scene.restart_tbot()
        yield


@contextmanager
def _a_tbot_for_each_pool(scene: Scene) -> Iterator[None]:
    """A DaemonSet of tbot on the worker, and another on the control plane."""
    objects = scene.installation.objects
    workers, control_plane = scene.nodes()[0], scene.nodes()[-1]
    found = objects.must_get("apps/v1", "DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
    spec = copy.deepcopy(found["spec"])
    spec["selector"] = {"matchLabels": {"app": SECOND_TBOT}}
    spec["template"]["metadata"] = {"labels": {"app": SECOND_TBOT}}
    spec["template"]["spec"]["nodeSelector"] = {HOSTNAME: control_plane}
    second = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": SECOND_TBOT, "namespace": TBOT_NAMESPACE},
        "spec": {"selector": spec["selector"], "template": spec["template"]},
    }
    on_workers, on_all = pod_template(nodeSelector={HOSTNAME: workers}), pod_template(nodeSelector=None)
    with ExitStack() as stack:
        stack.enter_context(_two_identities(scene))
        stack.enter_context(
            patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=on_workers, undo=on_all, then=scene.await_tbot)
        )
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        stack.callback(_await_no_pod, scene, TBOT_NAMESPACE, f"app={SECOND_TBOT}")
        stack.enter_context(applied(scene, second))
        scene.await_rollout("DaemonSet", SECOND_TBOT, TBOT_NAMESPACE)
        scene.await_tbot()
        yield


def _await_no_pod(scene: Scene, where: str, selector: str) -> None:
    """Wait for the end of pods. A tbot that ends removes the socket at its path, even one that another has made since."""
    with scene.looking() as cluster:

        def look() -> None:
            if left := cluster.pods(where, selector):
                raise NotYet(f"{len(left)} pods with {selector} are still there")

        eventually(f"no pod with {selector} is left in {where}", look, scene.rollout)


@contextmanager
def _second_pool_affected(scene: Scene) -> Iterator[None]:
    """The second pool's tbot is of a release that pushes certificates without renewing them."""
    affected, sound = (
        pod_template(containers=[{"name": TBOT, "image": image}])
        for image in (scene.installation.sources.tbot_affected_image, scene.installation.sources.tbot_image)
    )
    with patched(scene, "DaemonSet", SECOND_TBOT, TBOT_NAMESPACE, spec=affected, undo=sound, then=scene.await_tbot):
        scene.await_rollout("DaemonSet", SECOND_TBOT, TBOT_NAMESPACE)
        scene.await_tbot()
        yield


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="restricted-namespace",
            sentence="A team's namespace admits only pods that PodSecurity calls restricted.",
            lay_out=_restricted_beside,
            flaw="The test application's own namespace does, where the template's volume is forbidden.",
            fault=_app_restricted,
            in_ci=True,
        ),
        Layout(
            name="discovery-selectors",
            sentence="istiod watches labelled namespaces only, and a Sidecar limits what every proxy knows.",
            lay_out=_few_namespaces_watched,
            flaw="Istio has its default trust domain.",
            fault=FAULTS["trust-domain-cluster-local"].inject,
            in_ci=True,
        ),
        Layout(
            name="ambient-beside",
            sentence="Another namespace is enrolled in ambient.",
            lay_out=_ambient_beside,
            flaw="The test application does not ask for the template.",
            fault=FAULTS["pod-without-spire-template"].inject,
        ),
        Layout(
            name="canary-revision",
            sentence="A second revision, behind a tag, has a normalization of its own.",
            lay_out=_canary,
            flaw="The second revision has Istio's default trust domain.",
            fault=_canary_with_another_trust_domain,
        ),
        Layout(
            name="node-pools",
            sentence="Each of two node pools has a tbot of its own, and rules tell two identities apart.",
            lay_out=_a_tbot_for_each_pool,
            flaw="The second pool runs a release of tbot that pushes certificates without renewing them.",
            fault=_second_pool_affected,
        ),
        Layout(
            name="teleports-chart",
            sentence="tbot is laid out as by Teleport's Helm chart: other names, namespace and socket; proxies fail closed.",
            lay_out=chart.laid_out,
            flaw="The identity has the path of the chart's documentation, which is not Istio's.",
            fault=chart.with_the_charts_path,
        ),
        Layout(
            name="istio-by-helm",
            sentence="Istio comes from its Helm charts, istiod and the gateway in namespaces of other names.",
            lay_out=by_helm.laid_out,
            flaw="The gateway asks for the chart's own injection template alone.",
            fault=by_helm.gateway_by_its_own_template,
        ),
        Layout(
            name="join-in-cluster",
            sentence="Teleport has the cluster review tbot's usual token, and no keys of the cluster.",
            lay_out=in_cluster.laid_out,
            flaw="The join token allows another service account.",
            fault=in_cluster.token_for_another_account,
        ),
        Layout(
            name="rolling-fleet",
            sentence=f"{fleet.SIZE} more pods are restarted while they are read.",
            lay_out=fleet.rolling,
            flaw="One pod among them does not ask for the template.",
            fault=fleet.one_on_istiod,
        ),
        Layout(
            name="guide-by-hand",
            sentence="The guide's own files, with every repair of its defects.",
            lay_out=as_installed,
            flaw="The JWKS that was pasted into the join token is another cluster's.",
            fault=FAULTS["jwks-of-another-cluster"].inject,
            installed={**OF_ITS_OWN, "install": "as-guide", "repairs": tuple(REPAIRS)},
        ),
    )
}
"""Every layout by its name; those that CI takes come first."""
