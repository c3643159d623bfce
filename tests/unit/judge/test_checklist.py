"""CHK-1 to CHK-9: the truth decides, whatever the guide's own command says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from facts.finding import Finding, Holds
from facts.kubernetes.objects import Pod
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
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.builders import ROLE, SOCKETS, TBOT
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

GUIDE = make.guide()
HOSTS = {"node-1": [make.pod()]}
PODS = ("ev-pods",)


# CHK-1


def test_istio_is_installed_for_teleport() -> None:
    finding = istio_installed(GUIDE, make.mesh(), make.ping(), make.dry_run(), "spire")
    holds(finding, "CHK-1", "ev-guide", "ev-mesh", "ev-ping", "ev-dry-run")


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (
            istio_installed(GUIDE, make.mesh(istiod=()), make.ping(), make.dry_run(), "spire"),
            "there is no istiod in istio-system",
        ),
        (
            istio_installed(GUIDE, make.mesh(istiod=(make.deployment(desired=0),)), make.ping(), make.dry_run(), "spire"),
            "scaled to 0",
        ),
        (
            istio_installed(
                GUIDE, make.mesh(config=make.mesh_config(trust_domain="cluster.local")), make.ping(), make.dry_run(), "spire"
            ),
            "Istio's trust domain is cluster.local",
        ),
        (
            istio_installed(GUIDE, make.mesh(), make.ping(), make.dry_run(), "spiffe"),
            "no injection template spiffe, only sidecar, spire",
        ),
        (
            istio_installed(
                GUIDE, make.mesh(), make.ping(), make.dry_run(accepted=False, pod=None, message="Duplicate value"), "spire"
            ),
            "refuses the injected pod: Duplicate value",
        ),
    ],
    ids=["no istiod", "scaled to 0", "trust domain", "template missing", "template builds no pod"],
)
def test_istio_running_and_still_not_installed_for_teleport(finding: Finding, words: str) -> None:
    violated(finding, "CHK-1", words, evidence=("ev-guide", "ev-mesh", "ev-ping", "ev-dry-run"))
    assert finding.guide_says == "the guide is content"


# CHK-2 to CHK-4


def test_the_resources_of_the_guide_do_what_they_are_for() -> None:
    token = token_created(GUIDE, make.token(), make.jwks(), service_account=TBOT, bot=make.bot(), role=ROLE)
    holds(token, "CHK-2", "ev-guide", "ev-token", "ev-jwks", "ev-bot")
    holds(role_created(GUIDE, make.role(), make.identity()), "CHK-3", "ev-guide", "ev-role", "ev-identity")
    holds(identity_created(GUIDE, make.identity()), "CHK-4", "ev-guide", "ev-identity")


def test_a_token_that_can_be_fetched_and_lets_nobody_in() -> None:
    unfilled = make.token(jwks_text="PASTE_JWKS_HERE")
    finding = token_created(GUIDE, unfilled, make.jwks(), service_account=TBOT, bot=make.absent("bot/istio-tbot"), role=ROLE)
    violated(finding, "CHK-2", "literal placeholder", "bot istio-tbot, which does not exist", evidence=("ev-absent-bot",))
    assert finding.guide_says == "the guide is content"


def test_a_role_that_can_be_fetched_and_grants_nothing() -> None:
    finding = role_created(GUIDE, make.role(labels={"env": ("prod",)}, rules=()), make.identity())
    violated(finding, "CHK-3", "nothing is issued", "it lacks list, read", evidence=("ev-guide", "ev-role"))


def test_an_identity_that_can_be_fetched_and_builds_no_id_of_istios() -> None:
    finding = identity_created(GUIDE, make.identity(spiffe_id="/ns/{{ workload.kubernetes.namespace }}"))
    violated(finding, "CHK-4", "lacks /sa/", evidence=("ev-guide", "ev-identity"))


def test_resources_that_do_not_exist() -> None:
    guide = make.guide(healthy=False)
    token, role = make.absent("token/t"), make.absent("role/r")
    identity = make.absent("workload_identity/w")
    missing = token_created(guide, token, make.jwks(), service_account=TBOT, bot=make.bot(), role=ROLE)
    violated(missing, "CHK-2", "Teleport token/t does not exist", evidence=("ev-absent-token",))
    violated(role_created(guide, role, identity), "CHK-3", "Teleport role/r does not exist", evidence=("ev-absent-role",))
    finding = identity_created(guide, identity)
    violated(finding, "CHK-4", "does not exist", evidence=("ev-absent-workload_identity",))
    assert finding.guide_says == "the guide is not"


# CHK-5


def test_tbot_runs_where_injected_pods_run() -> None:
    holds(tbot_running(GUIDE, make.tbot(), HOSTS, NOW, PODS), "CHK-5", "ev-guide", "ev-agent", "ev-pods")


def test_a_node_without_tbot_does_not_show_in_the_guides_list() -> None:
    finding = tbot_running(GUIDE, make.tbot(), {**HOSTS, "node-2": [make.pod("b", node="node-2")]}, NOW, PODS)
    violated(finding, "CHK-5", "no tbot on node node-2", evidence=("ev-guide", "ev-agent", "ev-pods"))
    assert finding.guide_says == "the guide is content"


def test_no_injected_pod_does_not_make_a_tbot_that_is_down_run() -> None:
    violated(tbot_running(GUIDE, make.tbot(ready=0), {}, NOW, PODS), "CHK-5", "tbot is Ready on 0 of 1 nodes")


# CHK-6 to CHK-9: each is judged over the same kinds of proxies.


def issues(*pods: Pod, fleet: Fleet) -> Finding:
    return tbot_issues(GUIDE, fleet, make.bundle(), injected=pods, evidence=PODS)


def runs(*pods: Pod, fleet: Fleet) -> Finding:
    return app_running(GUIDE, pods, make.deployment("test-app", desired=len(pods)), fleet, make.bundle())


def test_chk7_fewer_pods_than_the_deployment_wants() -> None:
    wants = make.deployment("test-app", namespace="test-app", desired=2)
    finding = app_running(GUIDE, [make.pod()], wants, make.fleet(make.proxy()), make.bundle())
    violated(finding, "CHK-7", "Deployment test-app/test-app: wants 2 pods and has 1", evidence=("ev-test-app",))


def on_socket(*pods: Pod, fleet: Fleet) -> Finding:
    return socket_exists(GUIDE, pods, fleet, SOCKETS)


def external(*pods: Pod, fleet: Fleet) -> Finding:
    return proxy_detects_socket(GUIDE, pods, fleet)


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
    violated(judge(fleet=make.fleet()), item, "there is no pod", evidence=("ev-guide",))


@pytest.mark.parametrize(("item", "judge"), OF_THE_APP)
def test_a_ready_pod_without_a_sidecar_is_a_violation(item: str, judge: Judgment) -> None:
    plain = make.pod("plain", injected=False)
    finding = judge(make.pod(), plain, fleet=make.fleet(make.proxy()))
    violated(finding, item, "Pod test-app/plain: has no istio-proxy that could be asked", evidence=("ev-pod-plain",))


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_running_proxy_that_cannot_be_read_leaves_it_open(item: str, judge: Judgment) -> None:
    """A missing right is no defect of the mesh."""
    a, b = make.pod("a"), make.pod("b")
    finding = judge(a, b, fleet=make.fleet(make.proxy(a), make.unread(b)))
    unknown(finding, item, "Pod test-app/b: could not be read: forbidden", evidence=("ev-guide", "ev-proxy-a", "ev-pod-b"))
    assert finding.remedy == "grant the right"
    assert finding.guide_says == "the guide is content"


@pytest.mark.parametrize(("ready", "started"), [(True, False), (False, True)])
@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_the_api_server_calls_ready_or_started_is_up(
    item: str, judge: Judgment, ready: bool, started: bool
) -> None:
    up = make.pod(proxy=make.istio_proxy(ready=ready, started=started))
    unknown(judge(up, fleet=make.fleet(make.unread(up))), item, "could not be read")


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_is_down_is_told_from_one_that_could_not_be_read(item: str, judge: Judgment) -> None:
    up, down = make.pod("up"), make.pod("down", proxy=make.istio_proxy(ready=False, started=False))
    finding = judge(up, down, fleet=make.fleet(make.unread(up), make.unread(down)))
    violated(finding, item, "Pod test-app/down: holds no identity", "Pod test-app/up: could not be read")
    assert "test-app/up holds" not in finding.seen
    assert "test-app/down could not be read" not in finding.seen


@pytest.mark.parametrize(("item", "judge"), ITEMS)
def test_a_proxy_that_is_not_up_holds_no_identity(item: str, judge: Judgment) -> None:
    crashing = make.pod(
        "b", proxy=make.istio_proxy(ready=False, started=False, state="waiting"), phase="Pending", ready=False
    )
    finding = judge(crashing, fleet=make.fleet(make.unread(crashing)))
    violated(finding, item, "Pod test-app/b: holds no identity: its istio-proxy is not up", evidence=("ev-pod-b",))


def test_one_violation_is_not_hidden_by_another_proxy_that_cannot_be_read() -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = external(a, b, fleet=make.fleet(make.istiod_proxy(a), make.unread(b)))
    violated(finding, "CHK-9", "test-app/a is in mode istio-ca", "test-app/b could not be read")


# What each item sees that its neighbours need not.


def test_without_any_injected_workload_issuing_does_not_apply() -> None:
    finding = issues(fleet=make.fleet())
    inapplicable(finding, "CHK-6", "ev-guide", "ev-pods")
    assert finding.guide_says == "the guide is content"


def test_a_mesh_in_which_no_pod_uses_the_socket_is_not_a_mesh_without_workloads() -> None:
    finding = issues(make.pod("a", socket=make.EMPTY_DIR), make.pod("b", socket=None), fleet=make.fleet())
    violated(finding, "CHK-6", "none of 2 injected pods mounts the directory of tbot's socket", evidence=("ev-pods",))


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (make.istiod_proxy(), "its certificate is not Teleport's: none of the 1 authorities signed it"),
        (make.proxy(chain=()), "holds no certificate: the agent found a socket at its start"),
        (make.proxy(chain=(svid("test-app", "first"),)), f"its own is spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app"),
        (
            make.proxy(chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app"),)),
            "/ns/test-app/test-app, its own is",
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
    finding = judge(make.pod(), fleet=make.fleet(proxy))
    violated(finding, item, "Pod test-app/app", words, evidence=("ev-proxy-app", "ev-bundle"))


def test_an_application_that_is_not_ready() -> None:
    pending = make.pod(phase="Pending", ready=False)
    violated(runs(pending, fleet=make.fleet(make.proxy(pending))), "CHK-7", "Pod test-app/app: is Pending and not Ready")


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        (
            make.streams(cx_active=0, rq_active=0, cx_connect_fail=66),
            "0 of 2 live streams on its socket: 0 connected, 66 failed",
        ),
        (make.streams(cx_active=0), "0 connected"),
        (make.streams(rq_active=1), "1 of 2 live streams"),
    ],
    ids=["dead directory", "not connected", "one stream lost"],
)
def test_a_socket_that_is_listed_and_dead(streams: object, words: str) -> None:
    dead = make.proxy(streams=streams)
    violated(on_socket(make.pod(), fleet=make.fleet(dead)), "CHK-8", "Pod test-app/app", words, evidence=("ev-proxy-app",))


def test_a_socket_of_the_pods_own_is_not_the_nodes() -> None:
    """The agent of a pod that fell back makes a file of that name itself, with live streams on it."""
    own = make.pod(socket=make.EMPTY_DIR)
    violated(on_socket(own, fleet=make.fleet(make.istiod_proxy(own))), "CHK-8", "emptyDir as workload-socket")


@pytest.mark.parametrize("mode", [m for m in SdsMode if m is not SdsMode.EXTERNAL])
def test_every_mode_but_the_external_socket_is_a_violation(mode: SdsMode) -> None:
    finding = external(make.pod(), fleet=make.fleet(make.proxy(sds_mode=mode, decided_by=("one reason", "another"))))
    violated(finding, "CHK-9", f"is in mode {mode.value}: one reason; another", evidence=("ev-proxy-app",))


def test_a_request_to_istiod_is_a_violation_in_any_mode() -> None:
    violated(external(make.pod(), fleet=make.fleet(make.proxy(csr_count=2))), "CHK-9", "sent 2 certificate requests")


def test_a_right_looking_identity_after_a_late_start_passes_item_7_and_not_item_9() -> None:
    raced = make.proxy(sds_mode=SdsMode.RACE, csr_count=1, agent_certificate_held=True, has_files_cluster=False)
    holds(runs(make.pod(), fleet=make.fleet(raced)), "CHK-7")
    violated(external(make.pod(), fleet=make.fleet(raced)), "CHK-9", "race")


def test_the_guides_complaint_does_not_make_a_healthy_mesh_fail() -> None:
    finding = proxy_detects_socket(make.guide(healthy=False), [make.pod()], make.fleet(make.proxy()))
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
        file_credential=True,
    )
    by_item = {item: judge(make.pod(), fleet=make.fleet(taken)).holds for item, judge in ITEMS}
    assert by_item == {"CHK-6": Holds.NO, "CHK-7": Holds.NO, "CHK-8": Holds.YES, "CHK-9": Holds.NO}


def test_two_bad_certificates_at_once_are_both_told() -> None:
    a, b = make.pod("a"), make.pod("b")
    finding = runs(a, b, fleet=make.fleet(make.istiod_proxy(a), replace(make.proxy(b), chain=())))
    violated(finding, "CHK-7", "Pod test-app/a: its certificate", "Pod test-app/b: holds no certificate")


def test_chk9_a_dead_stream_or_a_plain_bundle_is_no_live_socket() -> None:
    """What is seen after the socket's directory was re-created: the mode is still external, and nothing arrives any more."""
    dead = make.proxy(streams=make.streams(rq_active=0, cx_active=0, cx_connect_fail=66))
    violated(external(make.pod(), fleet=make.fleet(dead)), "CHK-9", "has 0 of 2 live streams on its socket")
    plain = make.proxy(validator=Validator.TRUSTED_CA)
    violated(external(make.pod(), fleet=make.fleet(plain)), "CHK-9", "validates its peers by trusted_ca")
