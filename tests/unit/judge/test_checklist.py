"""CHK-1 to CHK-9: the truth decides, whatever the guide's own command says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding, Holds
from facts.istio.injection import DryRun
from facts.kubernetes.objects import Condition, Pod
from facts.proxies.envoy import Validator
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.checklist import (
    identity_created,
    istio_installed,
    proxy_detects_socket,
    role_created,
    socket_exists,
    tbot_issues,
    tbot_running,
    token_created,
)
from judge.checklist import (
    test_app_running as app_running,
)
from judge.explain.cause import CAUSES
from judge.identity.proxies import ObservedProxies
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import DIRECTORIES, ROLE
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

GUIDE = make.guide()
HOSTS = {"node-1": [make.pod()]}
PODS = ("ev-pods",)


# CHK-1

UPGRADED = make.deployment(
    "istiod",
    make.container("discovery", "registry.example/istio/pilot:1.31.0-x"),
    conditions=(Condition("Available", "True"), Condition("Progressing", "True", "ReplicaSetUpdated")),
)


def test_istio_is_installed_for_teleport() -> None:
    finding = installed()
    holds(finding, "CHK-1", "ev-guide", "ev-mesh", "ev-ping", "ev-dry-run")


TWO_PROXIES = 'spec.initContainers[1].name: Duplicate value: "istio-proxy"'
NOT_FOUND = 'failed to run injection template: requested template "spire" not found; have sidecar'


def installed(
    *, template: str = "spire", dry_run: DryRun | None = None, control: DryRun | None = None, **changes: Any
) -> Finding:
    mesh = make.mesh(**changes)
    answer, planes = dry_run or make.dry_run(), make.planes(mesh)
    (finding,) = istio_installed(GUIDE, planes, mesh, make.ping(), dry_run=answer, named=template, control=control)
    return finding


def refusing(message: str) -> DryRun:
    return make.dry_run(accepted=False, pod=None, message=message)


def test_chk1_a_policy_that_refuses_the_pod_also_without_injection() -> None:
    control = replace(refusing("no such registry"), evidence=("ev-control",))
    finding = installed(dry_run=refusing("no"), control=control)
    unknown(finding, "CHK-1", "it refuses the pod also without injection: no such registry", evidence=("ev-control",))
    missing = installed(template="spiffe", dry_run=refusing("no"), control=control)
    violated(missing, "CHK-1", "there is no injection template spiffe", causes=("template-missing",))


@pytest.mark.parametrize(
    ("finding", "words", "causes"),
    [
        (installed(istiod=()), "there is no istiod", ()),
        (
            installed(istiod=(make.deployment(desired=0),)),
            "Deployment istio-system/istiod: it is scaled to 0",
            ("istiod-scaled-to-zero",),
        ),
        (
            installed(istiod=(UPGRADED,)),
            "Deployment istio-system/istiod: the replica of the current template is not available yet (ReplicaSetUpdated)",
            ("istiod-image-unavailable",),
        ),
        (
            installed(config=make.mesh_config(trust_domain="cluster.local")),
            "ConfigMap istio-system/istio: Istio's trust domain is cluster.local,"
            f" Teleport's cluster name is {TRUST_DOMAIN}",
            ("trust-domain-differs",),
        ),
        (
            installed(template="spiffe"),
            "there is no injection template spiffe, only sidecar, spire",
            ("template-missing",),
        ),
        (
            installed(dry_run=refusing(TWO_PROXIES)),
            f"a pod in test-app: the API server refuses the injected pod: {TWO_PROXIES}",
            ("template-builds-invalid-pod",),
        ),
        (
            installed(dry_run=refusing(NOT_FOUND)),
            f"a pod in test-app: the API server refuses the injected pod: {NOT_FOUND}",
            ("template-missing",),
        ),
        (
            installed(dry_run=refusing("no endpoints available")),
            "a pod in test-app: the API server refuses the injected pod: no endpoints available",
            (),
        ),
    ],
    ids=[
        "no istiod",
        "scaled to 0",
        "image not there",
        "trust domain",
        "template missing",
        "template builds no pod",
        "template not found",
        "no webhook",
    ],
)
def test_istio_running_and_still_not_installed_for_teleport(finding: Finding, words: str, causes: tuple[str, ...]) -> None:
    violated(finding, "CHK-1", evidence=("ev-guide", "ev-mesh", "ev-ping", "ev-dry-run"), causes=causes)
    assert finding.seen == words
    assert finding.where == "Istio in istio-system"
    assert finding.guide_says == "the guide is content"


# CHK-2 to CHK-4


def test_the_resources_of_the_guide_do_what_they_are_for() -> None:
    token = token_created(GUIDE, make.joining(None, make.token(), make.bot()), make.jwks(), ROLE)
    holds(token, "CHK-2", "ev-guide", "ev-token", "ev-jwks", "ev-bot")
    holds(role_created(GUIDE, make.grants(make.role(), make.identity())), "CHK-3", "ev-guide", "ev-role", "ev-identity")
    holds(identity_created(GUIDE, [make.identity()]), "CHK-4", "ev-guide", "ev-identity")


def test_a_token_that_can_be_fetched_and_lets_no_tbot_join() -> None:
    unfilled = make.token(jwks_text="PASTE_JWKS_HERE")
    finding = token_created(GUIDE, make.joining(None, unfilled, make.absent("bot/istio-tbot")), make.jwks(), ROLE)
    violated(finding, "CHK-2", evidence=("ev-absent-bot",), causes=("bot-missing", "jwks-placeholder"))
    assert finding.seen == (
        "Teleport token/istio-tbot-k8s-join: it is for the bot istio-tbot, which does not exist;"
        " its JWKS is still the placeholder text of the template"
    )
    assert finding.guide_says == "the guide is content"


def test_a_role_that_can_be_fetched_and_grants_nothing() -> None:
    finding = role_created(GUIDE, make.grants(make.role(labels={"env": ("prod",)}, rules=()), make.identity()))
    causes = ("role-matches-nothing", "role-rules-wrong")
    violated(finding, "CHK-3", "nothing is issued", "it lacks list, read", evidence=("ev-guide", "ev-role"), causes=causes)


def test_an_identity_that_can_be_fetched_and_builds_no_id_of_istios() -> None:
    finding = identity_created(GUIDE, [make.identity(spiffe_id="/ns/{{ workload.kubernetes.namespace }}")])
    violated(finding, "CHK-4", "lacks /sa/", evidence=("ev-guide", "ev-identity"), causes=("identity-template-without-sa",))


def test_resources_that_do_not_exist() -> None:
    guide = make.guide(healthy=False)
    token, role = make.absent("token/t"), make.absent("role/r")
    identity = make.absent("workload_identity/w")
    missing = token_created(guide, make.joining(None, token, make.bot()), make.jwks(), ROLE)
    violated(missing, "CHK-2", evidence=("ev-absent-token",), causes=("token-missing",))
    assert missing.seen == "Teleport token/t: it does not exist"
    without_role = role_created(guide, make.grants(role, identity))
    violated(without_role, "CHK-3", evidence=("ev-absent-role",), causes=("role-missing",))
    assert without_role.seen == "Teleport role/r: it does not exist"
    for finding, item in (
        (role_created(guide, make.grants(make.role(), identity)), "CHK-3"),
        (identity_created(guide, [identity]), "CHK-4"),
    ):
        violated(finding, item, evidence=("ev-absent-workload_identity",), causes=("identity-missing",))
        assert finding.seen == "Teleport workload_identity/w: it does not exist"
        assert finding.guide_says == "the guide is not"


# CHK-5


def test_tbot_runs_where_injected_pods_run() -> None:
    holds(tbot_running(GUIDE, make.tbots(make.tbot()), HOSTS, NOW, PODS), "CHK-5", "ev-guide", "ev-agent", "ev-pods")


def test_a_node_without_tbot_does_not_show_in_the_guides_list() -> None:
    finding = tbot_running(GUIDE, make.tbots(make.tbot()), {**HOSTS, "node-2": [make.pod("b", node="node-2")]}, NOW, PODS)
    violated(finding, "CHK-5", evidence=("ev-guide", "ev-agent", "ev-pods"), causes=("tbot-not-on-node",))
    assert finding.seen == "Node node-2: it hosts 1 injected pods and no tbot"
    assert finding.guide_says == "the guide is content"


def test_a_node_that_is_not_listed_leaves_it_open_whether_tbot_runs_there() -> None:
    hosts = {"gone": [make.pod(node="gone")]}
    unknown(tbot_running(GUIDE, make.tbots(), hosts, NOW, PODS, unlisted={"gone"}), "CHK-5", "Node gone")


def test_no_injected_pod_does_not_make_a_tbot_that_is_down_run() -> None:
    down = tbot_running(GUIDE, make.tbots(make.tbot(ready=0)), {}, NOW, PODS)
    violated(down, "CHK-5", causes=())
    assert down.seen == "tbot is Ready on 0 of 1 nodes; no node hosts an injected pod"


def test_a_tbot_that_does_not_answer_is_told_from_one_that_is_not_there() -> None:
    silent = tbot_running(GUIDE, make.tbots(make.tbot(make.tbot_pod(ready=False))), HOSTS, NOW, PODS)
    violated(silent, "CHK-5", "tbot on node node-1 is not Ready", causes=("tbot-not-answering",))


# CHK-6 to CHK-9: each is judged over the same kinds of proxies.


def issues(*pods: Pod, fleet: Fleet) -> Finding:
    return tbot_issues(GUIDE, ObservedProxies(pods, fleet, PODS), make.bundle())


def runs(*pods: Pod, fleet: Fleet) -> Finding:
    return app_running(GUIDE, pods, make.deployment("test-app", desired=len(pods)), fleet, make.bundle(), silent=())


def test_chk7_fewer_pods_than_the_deployment_wants() -> None:
    wants = make.deployment("test-app", namespace="test-app", desired=2)
    finding = app_running(GUIDE, [make.pod()], wants, make.fleet(make.proxy()), make.bundle(), silent=())
    words = "Deployment test-app/test-app: it wants 2 pods and has 1; the events of its ReplicaSet give the reason"
    violated(finding, "CHK-7", evidence=("ev-test-app",), causes=())
    assert finding.seen == words
    silent = [make.pod("silent", node="down")]
    holds(app_running(GUIDE, [make.pod()], wants, make.fleet(make.proxy()), make.bundle(), silent=silent), "CHK-7")


def on_socket(*pods: Pod, fleet: Fleet) -> Finding:
    return socket_exists(GUIDE, pods, fleet, DIRECTORIES, silent=())


def external(*pods: Pod, fleet: Fleet) -> Finding:
    return proxy_detects_socket(GUIDE, pods, fleet, silent=())


def test_an_application_whose_pods_are_all_on_silent_nodes_is_an_open_point() -> None:
    silent, fleet = [make.pod("app", node="node-9")], make.fleet()

    def runs_on_one(desired: int) -> Finding:
        wants = make.deployment("test-app", desired=desired)
        return app_running(GUIDE, [], wants, fleet, make.bundle(), silent=silent)

    found = {
        "CHK-7": runs_on_one(1),
        "CHK-8": socket_exists(GUIDE, [], fleet, DIRECTORIES, silent=silent),
        "CHK-9": proxy_detects_socket(GUIDE, [], fleet, silent=silent),
    }
    for item, finding in found.items():
        unknown(finding, item, evidence=("ev-guide", "ev-pod-app"))
        said = "its node node-9 is not Ready, so nothing of it is judged"
        assert (finding.where, finding.seen) == ("Pod test-app/app", said)
        assert finding.settle.startswith("see why those nodes are not Ready")
    violated(runs_on_one(3), "CHK-7", "it wants 3 pods and has 1", causes=())


Judgment = Callable[..., Finding]
ITEMS: list[tuple[str, Judgment]] = [("CHK-6", issues), ("CHK-7", runs), ("CHK-8", on_socket), ("CHK-9", external)]
OF_THE_APP = ITEMS[1:]


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_healthy_sidecars(item: str, judge: Judgment) -> None:
    a, b = make.pod("a"), make.pod("b", service_account="other", node="node-2")
    finding = judge(a, b, fleet=make.fleet(make.proxy(a), make.proxy(b)))
    holds(finding, item, "ev-guide", "ev-pod-a", "ev-pod-b", "ev-proxy-a", "ev-proxy-b")
    assert finding.guide_says == "the guide is content"


def test_findings_about_issuers_stand_on_teleports_bundle() -> None:
    fleet = make.fleet(make.proxy())
    assert "ev-bundle" in issues(make.pod(), fleet=fleet).evidence
    assert "ev-bundle" in runs(make.pod(), fleet=fleet).evidence


@pytest.mark.parametrize(("item", "judge"), OF_THE_APP)
def test_no_pod_is_a_violation(item: str, judge: Judgment) -> None:
    finding = judge(fleet=make.fleet())
    violated(finding, item, evidence=("ev-guide",), causes=())
    assert (finding.where, finding.seen) == ("no pod", "there is no pod")


@pytest.mark.parametrize(("item", "judge"), OF_THE_APP)
def test_a_ready_pod_without_a_sidecar_is_a_violation(item: str, judge: Judgment) -> None:
    plain = make.pod("plain", injected=False)
    finding = judge(make.pod(), plain, fleet=make.fleet(make.proxy()))
    violated(finding, item, "Pod test-app/plain: it has no istio-proxy to read", evidence=("ev-pod-plain",))


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_running_proxy_that_cannot_be_read_leaves_it_open(item: str, judge: Judgment) -> None:
    """A missing right is no defect of the mesh."""
    a, b = make.pod("a"), make.pod("b")
    finding = judge(a, b, fleet=make.fleet(make.proxy(a), make.unread(b)))
    unknown(finding, item, evidence=("ev-guide", "ev-proxy-a", "ev-pod-b"))
    assert finding.seen == "Pod test-app/b: the suite could not read it: forbidden"
    assert finding.settle == "grant the right"
    assert finding.guide_says == "the guide is content"


@pytest.mark.parametrize(("ready", "started"), [(True, False), (False, True)])
@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_the_api_server_calls_ready_or_started_is_up(
    item: str, judge: Judgment, ready: bool, started: bool
) -> None:
    up = make.pod(proxy=make.istio_proxy(ready=ready, started=started))
    unknown(judge(up, fleet=make.fleet(make.unread(up))), item, "the suite could not read it")


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_is_down_is_told_from_one_that_could_not_be_read(item: str, judge: Judgment) -> None:
    up, down = make.pod("up"), make.pod("down", proxy=make.istio_proxy(ready=False, started=False))
    finding = judge(up, down, fleet=make.fleet(make.unread(up), make.unread(down)))
    violated(finding, item, causes=())
    assert finding.seen == (
        "Pod test-app/down: it holds no identity: its istio-proxy is not up; Pod test-app/up: the suite could"
        " not read it: forbidden"
    )


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_is_not_up_holds_no_identity(item: str, judge: Judgment) -> None:
    crashing = make.pod(
        "b", proxy=make.istio_proxy(ready=False, started=False, state="waiting"), phase="Pending", ready=False
    )
    finding = judge(crashing, fleet=make.fleet(make.unread(crashing)))
    violated(finding, item, "it holds no identity: its istio-proxy is not up", evidence=("ev-pod-b",), causes=())
    assert {str(found.subject) for found in finding.problems} == {"Pod test-app/b"}


def test_one_violation_is_not_hidden_by_another_proxy_that_cannot_be_read() -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = external(a, b, fleet=make.fleet(make.istiod_proxy(a), make.unread(b)))
    violated(finding, "CHK-9", causes=())
    assert finding.seen == (
        "Pod test-app/a: its Istio agent supplies its certificate, which istiod issued (mode istio-ca): the"
        " agent found no socket at its start;"
        " Pod test-app/b: the suite could not read it: forbidden"
    )


def test_chk6_where_every_pod_went_away_nothing_is_proved() -> None:
    finding = issues(fleet=make.fleet(make.left_out()))
    unknown(finding, "CHK-6", "every proxy went away while the suite read it", evidence=("ev-gone-gone",))
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]


# What each item sees that its neighbours need not.


def test_without_any_injected_workload_issuing_does_not_apply() -> None:
    finding = issues(fleet=make.fleet())
    inapplicable(finding, "CHK-6", "ev-guide", "ev-pods")
    assert finding.guide_says == "the guide is content"


def test_chk6_names_a_proxy_that_nothing_asks_for_a_certificate() -> None:
    pod = make.pod("gateway", proxy=make.istio_proxy(is_init=False, args=("proxy", "router")))
    bare = make.proxy(pod, sds_mode=SdsMode.UNASKED, chain=(), decided_by=("nothing asks for it",))
    violated(issues(pod, fleet=make.fleet(bare)), "CHK-6", "it holds no certificate", causes=("no-certificate-asked-for",))
    starting = replace(pod, ready=False)
    violated(issues(starting, fleet=make.fleet(bare)), "CHK-6", "it holds no certificate", causes=())
    silent = replace(bare, sds_mode=SdsMode.SILENT)
    violated(issues(pod, fleet=make.fleet(silent)), "CHK-6", "it holds no certificate", causes=())


def test_a_mesh_in_which_no_pod_uses_the_socket_is_not_a_mesh_without_workloads() -> None:
    finding = issues(make.pod("a", socket=make.EMPTY_DIR), make.pod("b", socket=None), fleet=make.fleet())
    violated(finding, "CHK-6", evidence=("ev-pods",), causes=())
    assert finding.seen == "none of 2 injected pods mounts the directory of tbot's socket"


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (make.istiod_proxy(), "its certificate does not come from Teleport: none of the 1 authorities signed it"),
        (make.proxy(chain=()), "it holds no certificate: the agent found a socket at its start"),
        (
            make.proxy(chain=(svid("test-app", "first"),)),
            f"its own SPIFFE ID is spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app",
        ),
        (
            make.proxy(chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app"),)),
            "/ns/test-app/test-app, its own SPIFFE ID is",
        ),
        (make.proxy(chain=(svid(uri="spiffe://cluster.local/ns/test-app/sa/test-app"),)), "spiffe://cluster.local/ns"),
        (make.proxy(chain=(svid(minutes=5),)), "it expired at 2026-03-01 11:55:00 UTC"),
        (make.proxy(chain=(svid(issuer="rogue"), authority("rogue"))), "none of the 1 authorities signed it"),
    ],
    ids=["istiod's", "none", "another pod's", "without /sa/", "another trust domain", "expired", "brings its own authority"],
)
@pytest.mark.parametrize(("item", "judge"), ITEMS[:2])
def test_a_certificate_that_is_not_the_pods_own_from_teleport(
    item: str, judge: Judgment, proxy: ProxyIdentity, words: str
) -> None:
    other = make.pod("other")
    finding = judge(other, make.pod(), fleet=make.fleet(make.proxy(other), proxy))
    violated(finding, item, words, evidence=("ev-proxy-app", "ev-bundle"), causes=())
    assert finding.seen.startswith("Pod test-app/app: ")
    assert {str(found.subject) for found in finding.problems} == {"Pod test-app/app"}
    assert [str(each.subject) for each in finding.held] == ["Pod test-app/other"]


def test_an_application_that_is_not_ready() -> None:
    ready, pending = make.pod("ready"), make.pod(phase="Pending", ready=False)
    finding = runs(ready, pending, fleet=make.fleet(make.proxy(ready), make.proxy(pending)))
    violated(finding, "CHK-7", causes=())
    assert finding.seen == "Pod test-app/app: it is Pending and not Ready"


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        (
            make.streams(cx_active=0, rq_active=0, cx_connect_fail=66),
            "it has 0 of 2 live streams on its socket: 0 connected, 66 failed",
        ),
        (make.streams(cx_active=0), "0 connected"),
        (make.streams(rq_active=1), "it has 1 of 2 live streams"),
    ],
    ids=["dead directory", "not connected", "one stream lost"],
)
def test_a_socket_that_is_listed_and_dead(streams: object, words: str) -> None:
    finding = on_socket(make.pod(), fleet=make.fleet(make.proxy(streams=streams)))
    violated(finding, "CHK-8", words, evidence=("ev-proxy-app",), causes=())
    assert finding.where == "Pod test-app/app"


def test_a_socket_of_the_pods_own_is_not_the_nodes() -> None:
    """The agent of a pod that fell back makes a file of that name itself, with live streams on it."""
    for asked, cause in (
        ({}, "template-not-requested"),
        ({"inject.istio.io/templates": "sidecar,spire"}, "template-without-node-socket"),
    ):
        own = make.pod(socket=make.EMPTY_DIR, annotations=asked)
        finding = on_socket(own, fleet=make.fleet(make.istiod_proxy(own)))
        violated(finding, "CHK-8", causes=(cause,))
        assert finding.seen == "it has an emptyDir as workload-socket: Istio silently falls back to its own CA"
    assert "Put the annotation `inject.istio.io/templates" in CAUSES["template-not-requested"].remedy[0]
    assert "with a hostPath of tbot's directory" in CAUSES["template-without-node-socket"].remedy[0]


@pytest.mark.parametrize("mode", [m for m in SdsMode if m is not SdsMode.EXTERNAL])
def test_every_mode_but_the_external_socket_is_a_violation(mode: SdsMode) -> None:
    finding = external(make.pod(), fleet=make.fleet(make.proxy(sds_mode=mode, decided_by=("one reason", "another"))))
    causes = {SdsMode.RACE: ("pod-started-before-tbot",), SdsMode.TAKEOVER: ("socket-taken-over",)}.get(mode, ())
    violated(finding, "CHK-9", evidence=("ev-proxy-app",), causes=causes)
    assert finding.seen == f"{mode.told}: one reason; another"


def test_a_request_to_istiod_is_a_violation_in_any_mode() -> None:
    finding = external(make.pod(), fleet=make.fleet(make.proxy(csr_count=2)))
    violated(finding, "CHK-9", causes=())
    assert finding.seen == "its Istio agent sent 2 certificate requests to istiod"


def test_a_right_looking_identity_after_a_late_start_passes_item_7_and_not_item_9() -> None:
    raced = make.proxy(sds_mode=SdsMode.RACE, csr_count=1, agent_certificate_held=True, has_files_cluster=False)
    holds(runs(make.pod(), fleet=make.fleet(raced)), "CHK-7")
    violated(
        external(make.pod(), fleet=make.fleet(raced)),
        "CHK-9",
        "its certificate comes from the node's socket, which its Istio agent found too late (mode race)",
        causes=("pod-started-before-tbot",),
    )


def test_the_guides_complaint_does_not_make_a_healthy_mesh_fail() -> None:
    finding = proxy_detects_socket(make.guide(healthy=False), [make.pod()], make.fleet(make.proxy()), silent=())
    holds(finding, "CHK-9")
    assert finding.guide_says == "the guide is not"


def test_the_proxy_of_another_pod_does_not_speak_for_this_one() -> None:
    other = make.pod("other")
    fleet = make.fleet(make.proxy(other))
    assert [j(make.pod(), fleet=fleet).holds for _, j in OF_THE_APP] == [Holds.NO] * 3


def test_a_broken_mesh_passes_none_of_the_items_that_look_at_proxies() -> None:
    """What the guide calls healthy: 2/2, a socket in the pod, the two log lines; the identity is istiod's."""
    fallen = make.pod(socket=make.EMPTY_DIR)
    fleet = make.fleet(make.istiod_proxy(fallen))
    assert [j(fallen, fleet=fleet).holds for _, j in ITEMS] == [Holds.NO] * 4


def test_a_takeover_is_seen_although_socket_and_streams_are_the_nodes() -> None:
    """Another pod's agent answers on the node's socket: its identity, its key, its istiod certificate."""
    taken = make.istiod_proxy(
        make.pod(),
        sds_mode=SdsMode.TAKEOVER,
        chain=(svid("test-app", "first", issuer="istiod"),),
        csr_count=0,
        has_files_cluster=True,
    )
    by_item = {item: judge(make.pod(), fleet=make.fleet(taken)).holds for item, judge in ITEMS}
    assert by_item == {"CHK-6": Holds.NO, "CHK-7": Holds.NO, "CHK-8": Holds.YES, "CHK-9": Holds.NO}


def test_two_bad_certificates_at_once_are_both_told() -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = runs(a, b, fleet=make.fleet(make.istiod_proxy(a), replace(make.proxy(b), chain=())))
    violated(finding, "CHK-7", "Pod test-app/a: its certificate", "Pod test-app/b: it holds no certificate", causes=())


def test_chk9_a_dead_stream_or_a_plain_bundle_is_no_live_socket() -> None:
    """What is seen after the socket's directory was re-created: the mode is still external, and nothing arrives any more."""
    dead = make.proxy(streams=make.streams(rq_active=0, cx_active=0, cx_connect_fail=66))
    finding = external(make.pod(), fleet=make.fleet(dead))
    violated(finding, "CHK-9", causes=())
    assert finding.seen == "it has 0 of 2 live streams on its socket: 0 connected, 66 failed attempts to connect"
    plain = external(make.pod(), fleet=make.fleet(make.proxy(validator=Validator.TRUSTED_CA)))
    violated(plain, "CHK-9", causes=())
    assert plain.seen == "it validates its peers by trusted_ca, which tbot never supplies"


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_pod_that_went_away_is_left_out_and_alone_proves_nothing(item: str, judge: Judgment) -> None:
    stays, gone = make.pod("stays"), make.pod("gone")
    finding = judge(stays, gone, fleet=make.fleet(make.proxy(stays), make.left_out(of=gone)))
    holds(finding, item, "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
    unknown(judge(gone, fleet=make.fleet(make.left_out(of=gone))), item, "every proxy went away")
