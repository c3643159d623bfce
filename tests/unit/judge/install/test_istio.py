"""INST-05 to INST-08: Istio's control plane, trust domain, injection and path normalization."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding, Remark
from facts.istio.injection import DryRun
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.envoy import HttpNormalization
from judge.explain.cause import CAUSES
from judge.install.admission import SECOND_PROXY
from judge.install.istio import (
    NORMALIZED,
    control_plane_is_available,
    images_are_of_istiods_version,
    injected_pod_is_accepted,
    injected_socket_is_the_nodes,
    normalization_is_in_force,
    trust_domain_is_teleports,
)
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import DIRECTORIES
from tests.unit.judge.certificates import TRUST_DOMAIN

UNAVAILABLE = Condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
ROLLING = Condition("Progressing", "True", "ReplicaSetUpdated", 'ReplicaSet "istiod-2" is progressing.')
AVAILABLE = Condition("Available", "True")
FINE = Condition("Progressing", "True", "NewReplicaSetAvailable", "it has successfully progressed")
UNSAID = Condition("Available", "False")
EXPIRED = Condition("Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "istiod-2" has timed out progressing.')


def test_istiod_and_gateway_are_available() -> None:
    finding = control_plane_is_available(make.mesh())
    holds(finding, "INST-05", "ev-mesh")
    assert finding.seen == "istio-ingressgateway 1/1, istiod 1/1"


@pytest.mark.parametrize(
    ("istiod", "words", "causes"),
    [
        (make.deployment(observed_generation=1), "its controller has not seen generation 2 yet", ()),
        (
            make.deployment(conditions=(UNAVAILABLE,), available=0),
            "0 of 1 replicas are available (Deployment does not have minimum availability.)",
            (),
        ),
        (
            make.deployment(conditions=(UNAVAILABLE, FINE), available=0),
            "0 of 1 replicas are available (Deployment does not have minimum availability.)",
            (),
        ),
        (make.deployment(conditions=(UNSAID,), available=0), "0 of 1 replicas are available (no reason given)", ()),
        (make.deployment(conditions=(), available=0), "0 of 1 replicas are available (no reason given)", ()),
        (make.deployment(desired=0, updated=0, available=0), "it is scaled to 0", ("istiod-scaled-to-zero",)),
        (make.deployment(desired=3, updated=1, available=3), "2 of 3 replicas have an older template", ()),
        (
            make.deployment(conditions=(AVAILABLE, ROLLING)),
            "the replica of the current template is not available yet"
            ' (ReplicaSetUpdated: ReplicaSet "istiod-2" is progressing.)',
            (),
        ),
    ],
    ids=[
        "unseen change",
        "unavailable",
        "only what is not so",
        "without a message",
        "no condition",
        "scaled to 0",
        "older template",
        "old replica hides the new one",
    ],
)
def test_istiod_that_is_not_available_as_configured(istiod: Deployment, words: str, causes: tuple[str, ...]) -> None:
    finding = control_plane_is_available(make.mesh(istiod=(istiod,)))
    violated(finding, "INST-05", evidence=("ev-mesh",), causes=causes)
    assert finding.seen == f"Deployment istio-system/istiod: {words}"


AT_ZERO = make.gateway(desired=0, updated=0, available=0)


def test_a_gateway_that_is_scaled_to_0_is_left_out() -> None:
    finding = control_plane_is_available(make.mesh(gateways=(AT_ZERO,)))
    holds(finding, "INST-05", "ev-mesh")
    assert [(str(each.subject), each.said) for each in finding.left_out] == [
        ("Deployment istio-system/istio-ingressgateway", "it is scaled to 0")
    ]
    unseen = control_plane_is_available(make.mesh(gateways=(replace(AT_ZERO, observed_generation=1),)))
    violated(unseen, "INST-05", "its controller has not seen generation 2 yet", causes=())
    assert unseen.left_out == ()
    assert control_plane_is_available(make.mesh()).left_out == ()


# A new istiod whose image cannot be pulled: its Deployment names another version than the one that injects.

NOT_THERE = "registry.example/istio/pilot:1.31.0-x"
UNPULLED = "istiod-image-unavailable"


def upgraded(**changes: Any) -> Mesh:
    return make.mesh(istiod=(make.deployment("istiod", make.container("discovery", NOT_THERE), **changes),))


@pytest.mark.parametrize(
    "mesh",
    [
        upgraded(conditions=(AVAILABLE, ROLLING)),
        upgraded(conditions=(AVAILABLE, EXPIRED)),
        upgraded(conditions=(UNAVAILABLE, ROLLING), available=0),
        upgraded(conditions=(AVAILABLE, ROLLING), desired=2, updated=1, available=2),
    ],
    ids=["the old replica is 1/1", "given up", "no old replica", "the second of two"],
)
def test_an_istiod_that_waits_for_its_image_is_the_cause_and_mixed_versions_are_not(mesh: Mesh) -> None:
    violated(control_plane_is_available(mesh), "INST-05", causes=(UNPULLED,))
    finding = images_are_of_istiods_version(mesh, [make.pod()])
    violated(finding, "INST-05", causes=(UNPULLED,))
    assert finding.seen == f"Deployment istio-system/istiod: it runs {NOT_THERE}"
    assert "rollout undo deployment/istiod" in " ".join(CAUSES[UNPULLED].remedy)


def test_a_sound_istiod_that_is_slow_to_start_waits_for_no_image() -> None:
    slow = make.mesh(istiod=(make.deployment(conditions=(UNAVAILABLE, ROLLING), available=0),))
    violated(control_plane_is_available(slow), "INST-05", "0 of 1 replicas are available", causes=())


def test_an_istiod_of_another_version_that_runs_waits_for_no_image() -> None:
    holds(control_plane_is_available(upgraded()), "INST-05", "ev-mesh")
    finding = images_are_of_istiods_version(upgraded(), [make.pod()])
    violated(finding, "INST-05", causes=("istio-versions-mixed",))


def test_a_gateway_whose_image_is_not_there_is_no_istiod() -> None:
    mesh = make.mesh(gateways=(make.gateway("proxyv2:1.31.0-x", conditions=(AVAILABLE, ROLLING)),))
    violated(control_plane_is_available(mesh), "INST-05", "istio-ingressgateway", causes=())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed_generation": 2}, "its controller has not seen generation 3 yet"),
        ({"desired": 0, "updated": 0, "ready": 0}, "it is wanted on no node"),
        ({"desired": 2, "updated": 2}, "it is Ready on 1 of 2 nodes, with its current template on 2"),
        ({"desired": 2, "ready": 2}, "it is Ready on 2 of 2 nodes, with its current template on 1"),
    ],
)
def test_a_gateway_on_every_node_is_a_gateway_too(changes: dict[str, Any], words: str) -> None:
    gate = make.daemon_set(make.gateway().template.spec, namespace="edge", name="gate")
    holds(control_plane_is_available(make.mesh(gateways=(gate,))), "INST-05", "ev-mesh")
    finding = control_plane_is_available(make.mesh(gateways=(replace(gate, **changes),)))
    violated(finding, "INST-05", causes=())
    assert finding.seen == f"DaemonSet edge/gate: {words}"


def test_a_gateway_on_every_node_lacks_nothing_on_nodes_that_are_not_ready() -> None:
    gate = make.daemon_set(make.gateway().template.spec, namespace="edge", name="gate", desired=3, updated=3, ready=2)

    def found(*silent: Pod, **changes: Any) -> Finding:
        return control_plane_is_available(make.mesh(gateways=(replace(gate, **changes),)), silent)

    lost = make.pod("gate-9", namespace="edge", owner="DaemonSet/gate", node="node-9", ready=False)
    finding = found(lost)
    holds(finding, "INST-05", "ev-mesh", "ev-pod-gate-9")
    assert finding.left_out == (Remark(lost.ref, "its node node-9 is not Ready"),)
    holds(found(lost, updated=2), "INST-05")  # the controller cannot update a pod there
    for silent, changes in (
        ([], {}),
        ([replace(lost, owner="DaemonSet/other")], {}),
        ([replace(lost, namespace="other")], {}),
        ([replace(lost, ready=True)], {}),  # as the status of the DaemonSet counts it
        ([lost], {"ready": 1}),
        ([lost], {"updated": 1}),
    ):
        violated(found(*silent, **changes), "INST-05", "it is Ready on", causes=())
    alone = found(lost, desired=1, updated=1, ready=0)
    unknown(alone, "INST-05", "DaemonSet edge/gate: all its pods are on nodes that are not Ready")


def test_a_gateway_that_is_not_available_is_named() -> None:
    broken = make.gateway(conditions=(UNAVAILABLE,), available=0)
    finding = control_plane_is_available(make.mesh(gateways=(broken,)))
    violated(finding, "INST-05", "Deployment istio-system/istio-ingressgateway: 0 of 1 replicas are available", causes=())


def test_a_deployment_without_a_deadline_has_no_progress_to_tell() -> None:
    holds(control_plane_is_available(make.mesh(istiod=(make.deployment(conditions=(AVAILABLE,)),))), "INST-05")


def test_without_istiod_a_gateway_proves_nothing() -> None:
    without = control_plane_is_available(make.mesh(istiod=()))
    violated(without, "INST-05", causes=())
    assert without.seen == "Istio in istio-system: there is no istiod"
    finding = images_are_of_istiods_version(make.mesh(istiod=(), gateways=()), [])
    violated(finding, "INST-05", causes=())
    assert finding.seen == "no workload runs an image of Istio"


VARIANTS = ["1.31.0", "1.31.0-distroless", "1.31.0-debug", "1.31.0-fips", "1.31.0-fips-distroless", "1.31.0-distroless-fips"]


@pytest.mark.parametrize("tag", VARIANTS)
@pytest.mark.parametrize("others", ["1.31.0", "1.31.0-distroless"])
def test_images_of_istiods_version_in_any_variant(tag: str, others: str) -> None:
    mesh = make.mesh(
        istiod=(make.deployment("istiod", make.container("discovery", f"host:5000/istio/pilot:{tag}@sha256:abc")),),
        gateways=(make.gateway("auto"), make.gateway(f"proxyv2:{others}")),
        injector=make.injector(tag=others),
    )
    holds(images_are_of_istiods_version(mesh, []), "INST-05", "ev-mesh")


def test_a_container_that_is_not_istios_may_have_any_image() -> None:
    waits = make.container("wait-for-socket", "busybox:1.36", is_init=True)
    mesh = make.mesh(gateways=(make.deployment("gateway", waits, make.container("istio-proxy", "proxyv2:1.31.0")),))
    holds(images_are_of_istiods_version(mesh, []), "INST-05")


def test_each_image_of_another_version_is_named() -> None:
    mesh = make.mesh(gateways=(make.gateway("proxyv2:1.30.3"),), injector=make.injector(tag="1.30.2"))
    finding = images_are_of_istiods_version(mesh, [])
    violated(finding, "INST-05", causes=("istio-versions-mixed",))
    assert finding.seen == (
        "Deployment istio-system/istio-ingressgateway: it runs proxyv2:1.30.3;"
        " Istio in istio-system: the injector puts 1.30.2 into pods"
    )
    assert finding.expected == "every Istio image to carry istiod's version 1.31.0"
    assert "with istioctl of one version: `istioctl install -f FILE`" in " ".join(CAUSES["istio-versions-mixed"].remedy)


def test_where_istiod_alone_is_of_another_version_all_others_are_named() -> None:
    newer = make.mesh(istiod=(make.deployment("istiod", make.container("discovery", "pilot:1.32.0")),))
    finding = images_are_of_istiods_version(newer, [make.pod()])
    violated(finding, "INST-05", "the injector puts 1.31.0 into pods", causes=("istio-versions-mixed",))
    assert [p.subject.name for p in finding.problems] == ["istio-ingressgateway", "app", "Istio in istio-system"]


def test_where_istiods_differ_the_injector_decides() -> None:
    both = tuple(
        make.deployment(f"istiod-{tag[2:4]}", make.container("discovery", f"pilot:{tag}")) for tag in ("1.30.3", "1.31.0")
    )
    finding = images_are_of_istiods_version(make.mesh(istiod=both), [make.pod()])
    violated(finding, "INST-05", "it runs pilot:1.30.3", causes=("istio-versions-mixed",))
    assert finding.expected.endswith("istiod's version 1.31.0")


def test_an_image_by_digest_alone_tells_no_version() -> None:
    pinned = make.mesh(gateways=(make.gateway("proxyv2@sha256:abc"),))
    finding = images_are_of_istiods_version(pinned, [])
    unknown(finding, "INST-05", evidence=("ev-mesh",))
    assert finding.seen == "Deployment istio-system/istio-ingressgateway: it runs proxyv2@sha256:abc"
    assert finding.settle == "write the version as a tag before the digest: HUB/NAME:VERSION@sha256:…"
    wrong = replace(pinned, injector=make.injector(tag="1.30.2"))
    violated(images_are_of_istiods_version(wrong, []), "INST-05", "1.30.2")


def test_the_trust_domain_is_teleports_cluster_name() -> None:
    holds(trust_domain_is_teleports(make.mesh(), make.ping()), "INST-06", "ev-mesh-config", "ev-ping")


@pytest.mark.parametrize("other", ["cluster.local", "Teleport.example.com", "teleport.example.com.", "example.com"])
def test_any_other_trust_domain_is_a_violation(other: str) -> None:
    finding = trust_domain_is_teleports(make.mesh(config=make.mesh_config(trust_domain=other)), make.ping())
    violated(finding, "INST-06", evidence=("ev-mesh-config", "ev-ping"), causes=("trust-domain-differs",))
    assert finding.seen == f"Istio's trust domain is {other}, Teleport's cluster name is {TRUST_DOMAIN}"
    assert finding.where == "ConfigMap istio-system/istio"
    remedy = CAUSES["trust-domain-differs"].remedy
    assert "Set `meshConfig.trustDomain` to the Teleport cluster name" in remedy[0]
    assert "install again" in remedy[0]
    assert "Restart every injected workload" in remedy[1]


def test_an_injected_pod_is_accepted() -> None:
    finding = injected_pod_is_accepted(make.dry_run())
    holds(finding, "INST-07", "ev-dry-run")
    assert finding.seen.endswith("as a native sidecar")
    classic = make.pod(proxy=make.istio_proxy(is_init=False, restart_policy=""))
    finding = injected_pod_is_accepted(make.dry_run(pod=classic))
    holds(finding, "INST-07", "ev-dry-run")
    assert finding.seen == "accepted, with one istio-proxy"


def test_the_api_servers_words_are_kept_when_it_refuses_the_pod() -> None:
    words = 'spec.initContainers[1].name: Duplicate value: "istio-proxy"'
    refused = make.dry_run(accepted=False, pod=None, message=words)
    finding = injected_pod_is_accepted(refused)
    violated(finding, "INST-07", evidence=("ev-dry-run",), causes=("template-builds-invalid-pod",))
    assert finding.seen == f"the API server refuses the injected pod: {words}"
    violated(injected_socket_is_the_nodes(refused, DIRECTORIES), "INST-07", "there is no injected pod", causes=())


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        (document("cluster/dry_run_second_proxy.json")["message"], ("template-builds-invalid-pod",)),
        (document("cluster/dry_run_refused.json")["message"], ("template-missing",)),
        ('failed to run injection template: requested template "spire" not found; have sidecar', ("template-missing",)),
        ('spec.containers[1].name: Duplicate value: "app"', ()),
        ("failed to run injection template: template: inject:1: unexpected EOF", ()),
        ('failed calling webhook "namespace.sidecar-injector.istio.io": no endpoints available', ("injector-unreachable",)),
        ('pods "x" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes', ("pod-refused-by-policy",)),
        ('pods "x" is forbidden: exceeded quota: small', ()),
    ],
    ids=[
        "second proxy",
        "template not found",
        "the guide's",
        "another name twice",
        "broken template",
        "no webhook",
        "policy",
        "quota",
    ],
)
def test_the_refusal_tells_its_cause(message: str, causes: tuple[str, ...]) -> None:
    finding = injected_pod_is_accepted(make.dry_run(accepted=False, pod=None, message=message))
    violated(finding, "INST-07", message, causes=causes)
    for cause in ("template-builds-invalid-pod", "template-missing"):
        assert bool(finding.showing(cause)) is (cause in causes)


POLICY = 'admission webhook "validate.kyverno.svc-fail" denied the request: the image is from another registry'


def control(message: str = POLICY, *, accepted: bool = False) -> DryRun:
    return make.dry_run(accepted=accepted, pod=None, message=message, evidence=("ev-control",))


def test_a_pod_that_is_refused_also_without_injection_proves_nothing() -> None:
    refused = make.dry_run(accepted=False, pod=None, message=POLICY)
    finding = injected_pod_is_accepted(refused, control=control("another reason"))
    unknown(finding, "INST-07", POLICY, "also without injection: another reason", evidence=("ev-dry-run", "ev-control"))
    assert "names.app_namespace" in finding.settle


def test_a_pod_that_is_refused_only_with_injection_is_a_violation() -> None:
    refused = make.dry_run(accepted=False, pod=None, message='violates PodSecurity "baseline:latest": hostPath volumes')
    violated(
        injected_pod_is_accepted(refused, control=control(accepted=True)),
        "INST-07",
        "hostPath volumes",
        causes=("pod-refused-by-policy",),
    )


@pytest.mark.parametrize(
    "message",
    [
        f"x: {SECOND_PROXY}",
        'requested template "spire" not found',
        'failed calling webhook "namespace.sidecar-injector.istio.io": no endpoints available',
        "failed to run injection template: template: inject:1: unexpected EOF",
        'Pod "x" is invalid: spec.containers[1].image: Required value',
    ],
)
def test_what_injection_broke_stays_a_violation_whatever_a_policy_says_of_the_control(message: str) -> None:
    broken = make.dry_run(accepted=False, pod=None, message=message)
    violated(injected_pod_is_accepted(broken, control=control()), "INST-07", message)


@pytest.mark.parametrize("half", [{"accepted": False}, {"pod": None}])
def test_half_an_acceptance_is_none(half: dict[str, Any]) -> None:
    violated(injected_pod_is_accepted(make.dry_run(**half)), "INST-07", "refuses the injected pod", causes=())


def test_a_pod_that_was_not_injected_is_accepted_and_still_a_violation() -> None:
    plain = make.dry_run(pod=make.pod(injected=False))
    finding = injected_pod_is_accepted(plain)
    violated(finding, "INST-07", causes=())
    assert finding.seen == "it has no istio-proxy: istiod injected nothing"
    without = injected_socket_is_the_nodes(make.dry_run(pod=make.pod(injected=False, socket=None)), DIRECTORIES)
    violated(without, "INST-07", "it has no volume workload-socket", causes=("template-not-requested",))


def test_two_proxies_in_one_pod() -> None:
    twice = make.pod()
    twice = replace(twice, spec=replace(twice.spec, containers=(*twice.containers, make.container("istio-proxy"))))
    violated(injected_pod_is_accepted(make.dry_run(pod=twice)), "INST-07", "2 containers called istio-proxy", causes=())


@pytest.mark.parametrize(("native", "asked"), [(True, "classic"), (False, "native")])
def test_a_sidecar_of_another_kind_than_was_asked_for(native: bool, asked: str) -> None:
    proxy = make.istio_proxy() if native else make.istio_proxy(is_init=False, restart_policy="")
    answer = make.dry_run(pod=make.pod(proxy=proxy))
    holds(injected_pod_is_accepted(answer, native), "INST-07", "ev-dry-run")
    violated(injected_pod_is_accepted(answer, not native), "INST-07", f"asked for a {asked} sidecar", causes=())


def test_the_injected_pod_mounts_the_nodes_socket() -> None:
    holds(injected_socket_is_the_nodes(make.dry_run(), DIRECTORIES), "INST-07", "ev-dry-run")


def test_an_injected_pod_with_an_empty_directory() -> None:
    asks = {"inject.istio.io/templates": "sidecar,spire"}
    for asked, cause in ((asks, "template-without-node-socket"), ({}, "template-not-requested")):
        pod = make.pod(socket=make.EMPTY_DIR, annotations=asked)
        finding = injected_socket_is_the_nodes(make.dry_run(pod=pod), DIRECTORIES)
        violated(finding, "INST-07", "emptyDir as workload-socket", evidence=("ev-dry-run",), causes=(cause,))


@pytest.mark.parametrize("configured", sorted(NORMALIZED))
def test_every_normalization_is_told_from_every_other_that_acts_differently(configured: str) -> None:
    mesh = make.mesh(config=make.mesh_config(normalization=configured))
    for acting, settings in NORMALIZED.items():
        finding = normalization_is_in_force(mesh, [make.normalization("a", HttpNormalization(*settings))], ["ev-pods"])
        if settings == NORMALIZED[configured]:
            holds(finding, "INST-08", "ev-mesh-config", "ev-normalization-a", "ev-pods")
        else:
            words = f"Pod test-app/a: it has normalize_path {settings[0]}, merge_slashes {settings[1]}, {settings[2]}"
            violated(finding, "INST-08", evidence=("ev-normalization-a",), causes=("proxy-older-than-mesh-config",))
            assert finding.seen == words
            assert configured in finding.expected, acting


def test_what_each_normalization_sets_in_envoy() -> None:
    keep = "KEEP_UNCHANGED"
    assert {
        "NONE": (False, False, keep),
        "BASE": (True, False, keep),
        "DEFAULT": (True, False, keep),
        "MERGE_SLASHES": (True, True, keep),
        "DECODE_AND_MERGE_SLASHES": (True, True, "UNESCAPE_AND_FORWARD"),
    } == NORMALIZED


def test_envoys_own_default_is_not_what_istio_sets() -> None:
    by_default = HttpNormalization(False, False, "IMPLEMENTATION_SPECIFIC_DEFAULT")
    finding = normalization_is_in_force(make.mesh(), [make.normalization("a", by_default)], ["ev-pods"])
    violated(finding, "INST-08", "IMPLEMENTATION_SPECIFIC_DEFAULT")


def test_one_old_listener_beside_a_current_one_is_named() -> None:
    current, old = HttpNormalization(False, False, "KEEP_UNCHANGED"), HttpNormalization(True, False, "KEEP_UNCHANGED")
    proxies = [make.normalization("a"), make.normalization("b", current, old)]
    finding = normalization_is_in_force(make.mesh(), proxies, ["ev-pods"])
    violated(finding, "INST-08", "Pod test-app/b: it has normalize_path True")
    assert "test-app/a" not in finding.seen


def test_without_any_workload_normalization_does_not_apply() -> None:
    inapplicable(normalization_is_in_force(make.mesh(), [], ["ev-pods"]), "INST-08", "ev-pods", "ev-mesh-config")


def test_a_gateway_that_serves_no_host_is_no_workload() -> None:
    idle = replace(make.normalization("gateway", is_gateway=True), settings=())
    finding = normalization_is_in_force(make.mesh(), [idle], ["ev-pods"])
    inapplicable(finding, "INST-08", "ev-normalization-gateway")
    assert finding.condition == "only gateways that take no HTTP run in the mesh"


def test_a_sidecar_without_http_listeners_is_not_taken_for_no_workload() -> None:
    silent = replace(make.normalization("b"), settings=())
    finding = normalization_is_in_force(make.mesh(), [make.normalization("a"), silent], ["ev-pods"])
    unknown(finding, "INST-08", evidence=("ev-normalization-b",))
    assert finding.seen == "Pod test-app/b: it has no inbound HTTP connection manager"
    unknown(normalization_is_in_force(make.mesh(), [silent], ["ev-pods"]), "INST-08", "Pod test-app/b")
    differs = make.normalization("a", HttpNormalization(True, False, "KEEP_UNCHANGED"))
    violated(normalization_is_in_force(make.mesh(), [differs, silent], ["ev-pods"]), "INST-08", "test-app/a")


def test_a_normalization_that_istio_does_not_have() -> None:
    mesh = make.mesh(config=make.mesh_config(normalization="none"))
    finding = normalization_is_in_force(mesh, [make.normalization("a")], ["ev-pods"])
    unknown(finding, "INST-08", evidence=("ev-mesh-config",))
    assert finding.seen == "ConfigMap istio-system/istio: pathNormalization.normalization is none"


def test_a_pod_that_was_not_restarted_after_an_upgrade_runs_the_old_proxy() -> None:
    old = make.pod("old", proxy=make.istio_proxy(image="registry.example/istio/proxyv2:1.28.0"))
    finding = images_are_of_istiods_version(make.mesh(), [make.pod(), old])
    violated(finding, "INST-05", evidence=("ev-pod-old",), causes=("istio-versions-mixed",))
    assert finding.seen == "Pod test-app/old: it runs registry.example/istio/proxyv2:1.28.0"
    holds(images_are_of_istiods_version(make.mesh(), [make.pod()]), "INST-05")


def test_a_proxy_that_cannot_be_read_hides_no_violation_and_is_no_pass() -> None:
    normal, differs = make.normalization("a"), make.normalization("b", HttpNormalization(True, False, "KEEP_UNCHANGED"))
    gone = make.unread(make.pod("gone"))
    unread = normalization_is_in_force(make.mesh(), [normal, gone], ["ev-pods"])
    unknown(unread, "INST-08")
    assert unread.seen == "Pod test-app/gone: the suite could not read it: forbidden"
    assert unread.settle == "grant the right"
    finding = normalization_is_in_force(make.mesh(), [normal, gone, differs], ["ev-pods"])
    violated(
        finding, "INST-08", "Pod test-app/b: it has normalize_path True", "Pod test-app/gone: the suite could not read it"
    )


def test_a_proxy_that_went_away_has_no_normalization_and_alone_proves_nothing() -> None:
    finding = normalization_is_in_force(make.mesh(), [make.normalization("a"), make.left_out()], ["ev-pods"])
    holds(finding, "INST-08", "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
    none = normalization_is_in_force(make.mesh(), [make.left_out()], ["ev-pods"])
    unknown(none, "INST-08", "every proxy went away while the suite read it")
    assert none.settle == "run again when the workloads are not being rolled out"
    assert none.left_out == finding.left_out
