"""NEG-02 to NEG-07: a refusal counts only with its reason, and with somebody who is let in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe
from facts.envoy import Validator
from facts.finding import Finding
from facts.guide import Defect, GuideAnswer
from facts.ledger import Outcome
from facts.probe import Refused, SdsProbe
from facts.proxy import Fleet
from facts.refusal import Kind
from facts.refusal import Outcome as Ending
from facts.sds_mode import SdsMode
from facts.teleport import AllowRule
from judge.identity import Sidecars
from judge.refusals import (
    cannot_join,
    fallback_is_recognised,
    install_fails_closed,
    lets_in_its_like,
    other_name_fails_closed,
    outside_is_refused,
    peer_is_refused,
    right_peer_is_let_in,
    rules_are_enforced,
    usual_name_falls_back,
)
from tests.unit.judge import attempts
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, authority, svid

# NEG-01


def recognised(fallback: Sidecars, *guide: GuideAnswer) -> Finding:
    """The judgment on that workload, with a guide that is content unless another is given."""
    return fallback_is_recognised(fallback, guide or (make.guide(), make.guide()), make.bundle(), attempts.istiod())


def test_a_pod_of_istiods_is_recognised_although_the_guide_is_content() -> None:
    finding = recognised(attempts.fallback())
    holds(finding, "NEG-01", "ev-guide", "ev-proxy-fallback")
    assert [r for r in ("ID-01", "ID-03", "ID-06", "ID-07") if f"{r}: " not in finding.seen] == []
    assert finding.guide_says


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"sds_mode": SdsMode.EXTERNAL, "csr_count": 0, "agent_certificate_held": False}, "ID-01 holds for it"),
        ({"chain": (svid("conformance-1", "fallback"),)}, "ID-03 holds for it"),
        ({"validator": Validator.SPIFFE, "root_authorities": {TRUST_DOMAIN: (authority(),)}}, "ID-06 holds for it"),
        ({"csr_count": 0, "agent_certificate_held": False}, "ID-07 holds for it"),
    ],
    ids=["ID-01", "ID-03", "ID-06", "ID-07"],
)
def test_a_judgment_that_is_deceived(changes: dict[str, Any], requirement: str) -> None:
    violated(recognised(attempts.fallback(**changes)), "NEG-01", requirement)


def test_a_pod_that_is_broken_otherwise_shows_nothing() -> None:
    unknown(recognised(attempts.fallback(), make.guide(healthy=False)), "NEG-01", "the guide finds something")
    unread = Sidecars((attempts.pod("fallback"),), make.fleet(make.unread(attempts.pod("fallback"))), ("ev-pods",))
    unknown(recognised(unread), "NEG-01", "ID-01 cannot be told")


def test_a_judgment_that_is_deceived_is_told_even_where_the_guide_finds_something() -> None:
    its = attempts.pod("fallback")
    deceived = Sidecars((its,), make.fleet(make.proxy(its)), ("ev-pods",))
    violated(recognised(deceived, make.guide(healthy=False)), "NEG-01", "ID-01 holds for it")


def test_workloads_of_istiods_shake_hands() -> None:
    holds(lets_in_its_like(attempts.handshake(outcome=attempts.GRANTED)), "NEG-01", "ev-handshake")
    unknown(lets_in_its_like(attempts.handshake()), "NEG-01", "does not let in its like")


# NEG-02


def test_a_process_in_no_pod_is_refused_for_that_where_one_in_a_pod_is_given_its_identity() -> None:
    finding = outside_is_refused([attempts.outside()], [make.sds_probe()], make.bundle())
    holds(finding, "NEG-02", "ev-outside-node-1", "ev-sds-node-1", "ev-bundle")
    assert "workload.kubernetes is unset" in finding.seen


def test_rules_may_refuse_it_before_the_template_does() -> None:
    holds(outside_is_refused([attempts.outside(outcome=attempts.NO_RULE)], [make.sds_probe()], make.bundle()), "NEG-02")


def test_a_process_in_no_pod_with_an_identity() -> None:
    given = attempts.outside(leaf=svid(), outcome=attempts.GRANTED)
    words = "node-1: a process in no pod was given spiffe://"
    violated(outside_is_refused([given], [make.sds_probe()], make.bundle()), "NEG-02", words)
    # Nor does it help that elsewhere nothing could be told.
    violated(outside_is_refused([given, attempts.not_run()], [make.refused()], make.bundle()), "NEG-02", words)


def test_where_nobody_is_attested_a_refusal_is_none() -> None:
    alike = make.sds_probe(leaf=None, reason="refused by the SDS server: workload.kubernetes is unset")
    finding = outside_is_refused([attempts.outside()], [alike], make.bundle())
    violated(finding, "NEG-02", "node-1: a process in a pod is refused as one in no pod: nobody is attested")


@pytest.mark.parametrize(
    ("outside", "beside", "words"),
    [
        (
            attempts.outside(outcome=attempts.TIMEOUT),
            make.sds_probe(),
            "was not refused for being in no pod: no answer in time",
        ),
        (attempts.outside(outcome=Ending(Kind.NO_SOCKET)), make.sds_probe(), "there is no socket to ask"),
        (
            attempts.outside(outcome=Ending(Kind.SDS, "INTERNAL", "?")),
            make.sds_probe(),
            "refused by the SDS server (INTERNAL)",
        ),
        (attempts.outside(in_the_nodes_mounts=False), make.sds_probe(), "still in a pod"),
        (attempts.outside(cgroup_root="/kubepods/pod12345678-aa"), make.sds_probe(), "still in a pod"),
        (attempts.outside(), make.refused(), "a process in a pod got nothing either: violates PodSecurity"),
        (attempts.outside(), make.sds_probe(leaf=None, reason="no answer"), "got nothing either: no answer"),
        (attempts.outside(), make.sds_probe(leaf=svid(issuer="istiod")), "a certificate that is not Teleport's"),
    ],
    ids=["timeout", "no socket", "other status", "not entered", "still a pod", "no pod", "no answer", "foreign"],
)
def test_what_shows_nothing_about_being_in_no_pod(outside: OutsideProbe, beside: SdsProbe | Refused, words: str) -> None:
    unknown(outside_is_refused([outside], [beside], make.bundle()), "NEG-02", words)


def test_nodes_that_cannot_be_entered() -> None:
    finding = outside_is_refused([attempts.not_run()], [make.sds_probe()], make.bundle())
    inapplicable(finding, "NEG-02", "ev-not-run-outside-node-1")


def test_where_nobody_is_attested_it_does_not_matter_that_no_node_can_be_entered() -> None:
    nobody = make.sds_probe(leaf=None, reason=attempts.outside().outcome.said)
    found = outside_is_refused([attempts.not_run()], [nobody], make.bundle())
    violated(found, "NEG-02", "nobody is attested")


def test_a_pod_that_something_else_kept_out_leaves_it_open() -> None:
    kept_out = attempts.not_run(reason="ImagePullBackOff", by_policy=False)
    unknown(outside_is_refused([kept_out], [make.sds_probe()], make.bundle()), "NEG-02", "ImagePullBackOff")


def test_one_node_of_two_that_cannot_be_entered_leaves_it_open() -> None:
    finding = outside_is_refused([attempts.outside(), attempts.not_run()], [make.sds_probe()], make.bundle())
    unknown(finding, "NEG-02", "outside-node-1 did not run")


def test_no_node_is_no_proof() -> None:
    unknown(outside_is_refused([], [], make.bundle()), "NEG-02", "no node hosts an injected pod")


# NEG-03


def test_rules_are_enforced_where_one_is_refused_and_another_served() -> None:
    finding = rules_are_enforced(attempts.refused(), attempts.allowed(), make.identity(), make.bundle())
    holds(finding, "NEG-03", "ev-refused", "ev-allowed", "ev-identity", "ev-bundle")
    assert "no matching rule found" in finding.seen
    assert "the install's own has none: it issues to all" in finding.seen


def test_an_install_with_rules_of_its_own_is_told_from_one_without() -> None:
    identity = make.identity(rules=(AllowRule("true", ()),))
    finding = rules_are_enforced(attempts.refused(), attempts.allowed(), identity, make.bundle())
    assert "the install's own has 1" in finding.seen


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            attempts.refused(proxy=make.proxy(attempts.pod("refused")), outcome=attempts.GRANTED),
            "Pod conformance-1/refused holds spiffe://",
        ),
        (attempts.refused(pod=attempts.pod("refused")), "Pod conformance-1/refused is Ready"),
    ],
    ids=["identity", "Ready"],
)
def test_rules_that_are_not_enforced(refused: Candidate, words: str) -> None:
    violated(rules_are_enforced(refused, attempts.allowed(), make.identity(), make.bundle()), "NEG-03", words)


@pytest.mark.parametrize(
    ("refused", "allowed", "words"),
    [
        (attempts.not_run("refused", "Pending"), attempts.allowed(), "refused: Pending"),
        (attempts.refused(outcome=attempts.TIMEOUT), attempts.allowed(), "was not refused: no answer in time"),
        (attempts.refused(outcome=attempts.NO_POD), attempts.allowed(), "workload.kubernetes is unset"),
        (attempts.refused(), attempts.not_run("allowed", "Init:1/2"), "did not start either: Init:1/2"),
        (attempts.refused(), attempts.allowed(proxy=None), "has no identity of its own"),
        (
            attempts.refused(),
            attempts.allowed(proxy=make.istiod_proxy(attempts.pod("allowed"))),
            "has no identity of its own",
        ),
    ],
    ids=["no pod", "timeout", "other reason", "nobody starts", "no Envoy", "istiod"],
)
def test_what_shows_nothing_about_rules(refused: Candidate | NotRun, allowed: Candidate | NotRun, words: str) -> None:
    finding = rules_are_enforced(refused, allowed, make.identity(), make.bundle())
    unknown(finding, "NEG-03", words)


# NEG-04


def test_another_name_without_a_socket_ends_the_agent() -> None:
    holds(other_name_fails_closed(attempts.closed()), "NEG-04", "ev-closed")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pod": attempts.pod("fail-closed", socket=make.EMPTY_DIR)}, "the pod is Ready"),
        ({"proxy": make.istiod_proxy()}, "its Envoy runs, in mode istio-ca"),
        ({"pod": attempts.pod("fail-closed", ready=False)}, "its workload-socket is hostPath"),
        ({"pod": attempts.pod("fail-closed", ready=False, socket=None)}, "its workload-socket is missing"),
    ],
    ids=["ready", "Envoy", "the node's socket", "no volume"],
)
def test_another_name_that_does_not_fail_closed(changes: dict[str, Any], words: str) -> None:
    violated(other_name_fails_closed(attempts.closed(**changes)), "NEG-04", words)


def test_an_agent_that_ended_for_another_reason_shows_nothing() -> None:
    ended = attempts.closed(outcome=Ending(Kind.OTHER, "", "cannot reach istiod"))
    unknown(other_name_fails_closed(ended), "NEG-04", "cannot reach istiod")
    unknown(other_name_fails_closed(attempts.not_run("fail-closed", "Pending")), "NEG-04", "Pending")


def test_the_usual_name_falls_back_to_istiod() -> None:
    finding = usual_name_falls_back(attempts.fallen_back())
    holds(finding, "NEG-04", "ev-stranger")
    assert "istio-ca" in finding.seen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"proxy": make.proxy(attempts.pod("stranger"))}, "it is in mode external"),
        ({"proxy": None}, "its Envoy does not run"),
        ({"pod": attempts.pod("stranger", ready=False, socket=make.EMPTY_DIR)}, "it is not Ready"),
        ({"pod": attempts.pod("stranger")}, "its workload-socket is hostPath"),
    ],
    ids=["external", "no Envoy", "not Ready", "the node's socket"],
)
def test_the_usual_name_that_does_not_fall_back(changes: dict[str, Any], words: str) -> None:
    violated(usual_name_falls_back(attempts.fallen_back(**changes)), "NEG-04", words)


def test_a_fall_back_that_did_not_run_shows_nothing() -> None:
    unknown(usual_name_falls_back(attempts.not_run("stranger", "Pending")), "NEG-04", "Pending")


# NEG-05


@pytest.mark.parametrize("counter", ["fail_verify_error", "fail_verify_san"])
def test_a_foreign_certificate_is_refused_by_both_ends_word(counter: str) -> None:
    refused = attempts.handshake(counted=attempts.counted(**{counter: 1}))
    holds(peer_is_refused(refused, make.bundle()), "NEG-05", "ev-handshake", "ev-bundle")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": attempts.GRANTED}, "the server took spiffe://"),
        ({"counted": attempts.counted(handshake=1)}, "counts 1 completed handshakes"),
    ],
    ids=["answered", "completed"],
)
def test_a_foreign_certificate_that_is_taken(changes: dict[str, Any], words: str) -> None:
    violated(peer_is_refused(attempts.handshake(**changes), make.bundle()), "NEG-05", words)


@pytest.mark.parametrize(
    ("handshake", "words"),
    [
        (attempts.handshake(outcome=attempts.TIMEOUT), "no alert on its certificate: no answer in time"),
        (attempts.handshake(outcome=Ending(Kind.CLOSED)), "closed the connection without a word"),
        (attempts.handshake(outcome=Ending(Kind.TLS_ALERT, "protocol_version")), "TLS alert (protocol_version)"),
        (attempts.handshake(counted=attempts.counted()), "counts no certificate that it could not verify"),
    ],
    ids=["timeout", "closed", "another alert", "not counted"],
)
def test_a_refusal_by_chance_shows_nothing(handshake: Handshake, words: str) -> None:
    unknown(peer_is_refused(handshake, make.bundle()), "NEG-05", words)


def test_the_right_certificate_is_taken() -> None:
    holds(
        right_peer_is_let_in(attempts.exchange(handshake=1), "Pod conformance-1/beta"), "NEG-05", "ev-ledger", "ev-counted"
    )


def test_a_server_that_takes_nobody() -> None:
    nobody = attempts.exchange(Outcome.TLS_ERROR)
    violated(right_peer_is_let_in(nobody, "Pod conformance-1/beta"), "NEG-05", "TLS error", "no completed handshake")


# NEG-06


def test_another_service_account_is_refused_by_the_allow_rules() -> None:
    finding = cannot_join(attempts.join_attempt(), make.agent())
    holds(finding, "NEG-06", "ev-joiner", "ev-agent")
    assert "no bot instance of it" in finding.seen


def test_without_an_admin_session_teleports_refusal_is_all_there_is() -> None:
    finding = cannot_join(attempts.join_attempt(instances=None), make.agent())
    holds(finding, "NEG-06")
    assert "no admin session" in finding.seen


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (attempts.join_attempt(outcome=Ending(Kind.GRANTED, "", "Listener opened")), "joined as the bot: Listener opened"),
        (attempts.join_attempt(instances=(make.bot_instance("joiner"),)), "Teleport has the bot instance instance-joiner"),
    ],
    ids=["it says so", "Teleport says so"],
)
def test_another_service_account_that_joins(attempt: JoinAttempt, words: str) -> None:
    violated(cannot_join(attempt, make.agent()), "NEG-06", words)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (attempts.join_attempt(outcome=Ending(Kind.OTHER, "", "validating jwt signature")), "validating jwt signature"),
        (attempts.join_attempt(outcome=attempts.TIMEOUT), "no answer in time"),
        (attempts.not_run("joiner", "ImagePullBackOff"), "joiner did not run: ImagePullBackOff"),
    ],
    ids=["another reason", "timeout", "no pod"],
)
def test_a_join_that_failed_for_another_reason_shows_nothing(attempt: JoinAttempt | NotRun, words: str) -> None:
    unknown(cannot_join(attempt, make.agent()), "NEG-06", words)


def test_where_nobody_joins_a_refusal_is_none() -> None:
    nobody = make.agent(make.tbot_pod(ready=False))
    unknown(cannot_join(attempts.join_attempt(), nobody), "NEG-06", "no tbot with the right service account is Ready")


def test_a_bot_that_joins_by_other_means() -> None:
    other = make.agent(config=make.tbot_config(join_method="iam"))
    inapplicable(cannot_join(attempts.join_attempt(), other), "NEG-06", "ev-joiner")


# NEG-07

OTHER = "workload.sock"


def agent_on(name: str) -> Any:
    """Tbot with a socket of that name."""
    return make.agent(config=make.tbot_config(services=(make.workload_api(listen=f"unix://{make.SOCKETS}/{name}"),)))


def proxies_on(*names: str) -> Fleet:
    """Proxies that look for sockets of those names."""
    return make.fleet(
        *(make.proxy(make.pod(f"app-{n}"), socket_path=f".{make.SOCKET_MOUNT}/{name}") for n, name in enumerate(names))
    )


def test_a_socket_of_another_name_fails_closed() -> None:
    finding = install_fails_closed(agent_on(OTHER), proxies_on(OTHER, OTHER))
    holds(finding, "NEG-07", "ev-agent", "ev-proxy-app-0", "ev-proxy-app-1")
    assert finding.guide_says


@pytest.mark.parametrize(
    ("name", "proxies", "words"),
    [
        ("socket", proxies_on("socket"), "tbot's socket is called `socket`: a proxy that starts without it falls back"),
        ("socket", proxies_on(), "tbot's socket is called `socket`"),
        (OTHER, proxies_on(OTHER, "socket"), "Pod test-app/app-1 looks for `socket`"),
    ],
    ids=["the guide's", "no proxy", "one proxy"],
)
def test_a_name_that_fails_open(name: str, proxies: Fleet, words: str) -> None:
    finding = install_fails_closed(agent_on(name), proxies)
    violated(finding, "NEG-07", words)
    assert finding.guide_defect is (Defect.SOCKET_NAME if name == "socket" else None)


def test_a_tbot_that_listens_on_no_socket_of_the_node() -> None:
    elsewhere = replace(agent_on(OTHER), container=make.tbot_container(mounts=()))
    violated(install_fails_closed(elsewhere, proxies_on(OTHER)), "NEG-07", "listens on no socket of the node")


def test_proxies_that_cannot_be_read_leave_it_open() -> None:
    partly = make.fleet(make.proxy(socket_path=f".{make.SOCKET_MOUNT}/{OTHER}"), make.unread())
    unknown(install_fails_closed(agent_on(OTHER), partly), "NEG-07", "forbidden")
    unknown(install_fails_closed(agent_on(OTHER), make.fleet()), "NEG-07", "no proxy mounts")
