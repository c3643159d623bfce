"""NEG-02, NEG-03 and NEG-06: a refusal counts only with its reason, and beside a caller that is accepted."""

from __future__ import annotations

import pytest

from facts.kubernetes.probes import Refused, SdsProbe
from facts.traffic.attempts import Candidate, JoinAttempt, NotRun, OutsideProbe
from facts.traffic.refusal import AttemptEnd
from facts.traffic.refusal import AttemptOutcome as Ending
from judge.explain.cause import CAUSES
from judge.identity.refusals import cannot_join, outside_is_refused, rules_are_enforced
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE
from providers.teleport.facts.resources import AllowRule, RuleCondition
from tests.unit.judge import attempts
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import svid

# NEG-02


def test_a_process_in_no_pod_is_refused_for_that_where_one_in_a_pod_is_given_its_identity() -> None:
    finding = outside_is_refused([attempts.outside()], [make.sds_probe()], make.bundle())
    holds(finding, "NEG-02", "ev-outside-node-1", "ev-sds-node-1", "ev-bundle")
    assert "workload.kubernetes is unset" in finding.seen


def test_rules_may_refuse_it_before_the_template_does() -> None:
    holds(outside_is_refused([attempts.outside(outcome=attempts.NO_RULE)], [make.sds_probe()], make.bundle()), "NEG-02")


def test_a_process_in_no_pod_with_an_identity() -> None:
    given = attempts.outside(leaf=svid(), outcome=attempts.GRANTED)
    words = "Node node-1: tbot gave a process outside of any pod spiffe://"
    finding = outside_is_refused([given], [make.sds_probe()], make.bundle())
    violated(finding, "NEG-02", words, causes=())
    assert finding.held == ()
    # Nor does it help that elsewhere nothing could be told.
    violated(outside_is_refused([given, attempts.not_run()], [make.refused()], make.bundle()), "NEG-02", words, causes=())


def test_where_no_caller_is_attested_a_refusal_is_none() -> None:
    alike = make.sds_probe(leaf=None, reason="refused by the SDS server: workload.kubernetes is unset")
    finding = outside_is_refused([attempts.outside()], [alike], make.bundle())
    violated(finding, "NEG-02", causes=())
    words = "tbot refuses a process in a pod as if it were outside: it attests no caller"
    assert finding.seen == f"Node node-1: {words} (refused by the SDS server: workload.kubernetes is unset)"
    assert finding.unclear == ()


@pytest.mark.parametrize(
    ("outside", "beside", "words"),
    [
        (
            attempts.outside(outcome=attempts.TIMEOUT),
            make.sds_probe(),
            "tbot did not refuse the process for being outside of any pod: no answer in time",
        ),
        (
            attempts.outside(outcome=Ending(AttemptEnd.NO_SOCKET)),
            make.sds_probe(),
            "tbot did not refuse the process for being outside of any pod: there is no socket to ask",
        ),
        (
            attempts.outside(outcome=Ending(AttemptEnd.SDS, "INTERNAL", "?")),
            make.sds_probe(),
            "tbot did not refuse the process for being outside of any pod: refused by the SDS server (INTERNAL)",
        ),
        (attempts.outside(in_the_nodes_mounts=False), make.sds_probe(), "the process did not leave its pod"),
        (attempts.outside(cgroup_root="/kubepods/pod12345678-aa"), make.sds_probe(), "the process did not leave its pod"),
        (attempts.outside(), make.refused(), "the probe pod did not run: violates PodSecurity"),
        (
            attempts.outside(),
            make.sds_probe(leaf=None, reason="no answer"),
            "the probe pod got no identity: no",
        ),
        (
            attempts.outside(),
            make.sds_probe(leaf=svid(attempts.RUN, "probe", issuer="istiod")),
            "the certificate of the probe pod does not come from Teleport: ",
        ),
        (
            attempts.outside(),
            make.sds_probe(leaf=svid("else", "where")),
            "the probe pod got spiffe://teleport.example.com/ns/else/sa/where, not spiffe://",
        ),
    ],
    ids=["timeout", "no socket", "other status", "not entered", "still a pod", "no pod", "no answer", "foreign", "misnamed"],
)
def test_what_shows_nothing_about_being_in_no_pod(outside: OutsideProbe, beside: SdsProbe | Refused, words: str) -> None:
    finding = outside_is_refused([outside], [beside], make.bundle())
    unknown(finding, "NEG-02")
    assert finding.seen.startswith(f"Node node-1: {words}")


def test_nodes_that_cannot_be_entered() -> None:
    finding = outside_is_refused([attempts.not_run()], [make.sds_probe()], make.bundle())
    inapplicable(finding, "NEG-02", "ev-not-run-outside-node-1")


def test_where_no_caller_is_attested_it_does_not_matter_that_no_node_can_be_entered() -> None:
    unattested = make.sds_probe(leaf=None, reason=attempts.outside().outcome.said)
    found = outside_is_refused([attempts.not_run()], [unattested], make.bundle())
    words = "Node node-1: tbot refuses a process in a pod as if it were outside: it attests no caller"
    violated(found, "NEG-02", words, "outside-node-1: it did not run: violates PodSecurity: privileged", causes=())


def test_a_pod_that_something_else_kept_out_leaves_it_open() -> None:
    kept_out = attempts.not_run(reason="ImagePullBackOff", by_policy=False)
    finding = outside_is_refused([kept_out], [make.sds_probe()], make.bundle())
    unknown(finding, "NEG-02")
    assert finding.seen == "outside-node-1: it did not run: ImagePullBackOff"


def test_one_node_of_two_that_cannot_be_entered_leaves_it_open() -> None:
    finding = outside_is_refused([attempts.outside(), attempts.not_run()], [make.sds_probe()], make.bundle())
    unknown(finding, "NEG-02")
    assert finding.seen == "outside-node-1: it did not run: violates PodSecurity: privileged"


def test_no_node_is_no_proof() -> None:
    unknown(outside_is_refused([], [], make.bundle()), "NEG-02", "no node hosts an injected pod")


FURTHER = "/run/spire/sockets/second"


def test_a_further_socket_must_refuse_it_as_well() -> None:
    given = attempts.outside(leaf=svid(), outcome=attempts.GRANTED, further_socket=FURTHER)
    finding = outside_is_refused([attempts.outside(), given], [make.sds_probe()], make.bundle())
    words = f"at its further socket {FURTHER}"
    violated(finding, "NEG-02", "tbot gave a process outside of any pod", words, causes=("socket-without-attestor",))
    assert finding.unclear == ()


def test_any_refusal_of_a_further_socket_counts_and_no_silence() -> None:
    other = Ending(AttemptEnd.SDS, "INTERNAL", "unknown resource names: [default]")
    refused = attempts.outside(outcome=other, further_socket=FURTHER)
    finding = outside_is_refused([attempts.outside(), refused], [make.sds_probe()], make.bundle())
    holds(finding, "NEG-02")
    assert FURTHER in finding.seen
    silent = attempts.outside(outcome=attempts.TIMEOUT, further_socket=FURTHER)
    finding = outside_is_refused([attempts.outside(), silent], [make.sds_probe()], make.bundle())
    unknown(finding, "NEG-02", f"at its further socket {FURTHER}: no answer in time")


# NEG-03

REFUSED, ALLOWED = "Pod conformance-1/refused", "Pod conformance-1/allowed"


def test_rules_are_enforced_where_one_is_refused_and_another_served() -> None:
    finding = rules_are_enforced(attempts.refused(), attempts.allowed(), make.identity(), make.bundle())
    holds(finding, "NEG-03", "ev-refused", "ev-allowed", "ev-identity", "ev-bundle")
    assert "no matching rule found" in finding.seen
    assert "none of the install, which issues to every pod" in finding.seen


def test_an_install_with_rules_of_its_own_is_told_from_one_without() -> None:
    identity = make.identity(rules=(AllowRule("true"),))
    finding = rules_are_enforced(attempts.refused(), attempts.allowed(), identity, make.bundle())
    assert "other rules: 1 of the install" in finding.seen


@pytest.mark.parametrize(
    ("refused", "words", "causes"),
    [
        (
            attempts.refused(proxy=make.proxy(attempts.pod("refused")), outcome=attempts.GRANTED),
            "Pod conformance-1/refused: it holds spiffe://",
            ("second-identity-selected",),
        ),
        (
            attempts.refused(proxy=make.proxy(attempts.pod("refused")), pod=attempts.pod("refused")),
            "; it is Ready",
            ("second-identity-selected",),
        ),
        (attempts.refused(pod=attempts.pod("refused")), "Pod conformance-1/refused: it is Ready", ()),
    ],
    ids=["identity", "identity and Ready", "Ready without an identity"],
)
def test_rules_that_are_not_enforced(refused: Candidate, words: str, causes: tuple[str, ...]) -> None:
    finding = rules_are_enforced(refused, attempts.allowed(), make.identity(), make.bundle())
    violated(finding, "NEG-03", words, causes=causes)
    assert {found.cause for found in finding.problems} == (set(causes) or {""})
    assert "`selector.name`" in CAUSES["second-identity-selected"].remedy[0]


@pytest.mark.parametrize(
    ("refused", "allowed", "words"),
    [
        (attempts.not_run("refused", "Pending"), attempts.allowed(), "refused: it did not run: Pending"),
        (
            attempts.refused(outcome=attempts.TIMEOUT),
            attempts.allowed(),
            f"{REFUSED}: Teleport did not refuse it for its rules: no answer in time",
        ),
        (
            attempts.refused(outcome=attempts.NO_POD),
            attempts.allowed(),
            f"{REFUSED}: Teleport did not refuse it for its rules: refused by the SDS",
        ),
        (
            attempts.refused(),
            attempts.not_run("allowed", "Init:1/2"),
            "allowed: it did not start either, although the rules allow it: Init:1/2",
        ),
        (
            attempts.refused(),
            attempts.allowed(proxy=None),
            f"{ALLOWED}: it has no identity of its own from Teleport either, although the rules allow it",
        ),
        (
            attempts.refused(),
            attempts.allowed(proxy=make.istiod_proxy(attempts.pod("allowed"))),
            f"{ALLOWED}: it has no identity of its own from Teleport either, although the rules allow it",
        ),
        (
            attempts.refused(),
            attempts.allowed(proxy=make.proxy(attempts.pod("allowed"), chain=(svid("else", "where"),))),
            f"{ALLOWED}: it has no identity of its own from Teleport either, although the rules allow it",
        ),
    ],
    ids=["no pod", "timeout", "other reason", "none starts", "no Envoy", "istiod", "another's"],
)
def test_what_shows_nothing_about_rules(refused: Candidate | NotRun, allowed: Candidate | NotRun, words: str) -> None:
    finding = rules_are_enforced(refused, allowed, make.identity(), make.bundle())
    unknown(finding, "NEG-03")
    assert finding.seen.startswith(words)


@pytest.mark.parametrize("allowed", [attempts.not_run("allowed", "Pending"), attempts.allowed(proxy=None)])
def test_rules_of_the_owner_that_refuse_the_suites_own_namespace_prove_nothing(allowed: Candidate | NotRun) -> None:
    of_others = AllowRule("", (RuleCondition("workload.kubernetes.namespace", "payments", "", (), ()),))
    finding = rules_are_enforced(attempts.refused(), allowed, make.identity(rules=(of_others,)), make.bundle())
    unknown(finding, "NEG-03", "the rules of workload_identity istio-workloads refuse the service account")
    assert finding.settle == TO_ADMIT_THE_SUITE
    served = rules_are_enforced(attempts.refused(), attempts.allowed(), make.identity(rules=(of_others,)), make.bundle())
    holds(served, "NEG-03")


# NEG-06


def test_another_service_account_is_refused_by_the_allow_rules() -> None:
    finding = cannot_join(attempts.join_attempt(), make.tbot())
    holds(finding, "NEG-06", "ev-joiner", "ev-agent")
    assert "Teleport has no instance of it" in finding.seen


def test_one_ready_tbot_of_two_shows_that_the_right_account_joins() -> None:
    two = make.tbot(make.tbot_pod(), make.tbot_pod("tbot-2", node="node-2", ready=False))
    holds(cannot_join(attempts.join_attempt(), two), "NEG-06")


def test_without_an_admin_session_teleports_refusal_is_all_there_is() -> None:
    finding = cannot_join(attempts.join_attempt(instances=None), make.tbot())
    holds(finding, "NEG-06")
    assert "need an admin session" in finding.seen


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (
            attempts.join_attempt(outcome=Ending(AttemptEnd.GRANTED, "", "Listener opened")),
            "conformance-1:joiner joined as the bot: Listener opened",
        ),
        (
            attempts.join_attempt(instances=(make.bot_instance("joiner"),)),
            "Teleport has the bot instance instance-joiner of conformance-1:joiner",
        ),
    ],
    ids=["it says so", "Teleport says so"],
)
def test_another_service_account_that_joins(attempt: JoinAttempt, words: str) -> None:
    finding = cannot_join(attempt, make.tbot())
    violated(finding, "NEG-06", causes=("token-too-wide",))
    assert finding.seen.startswith(f"Teleport token/istio-tbot-k8s-join: {words}")
    assert "service_account: teleport-system:tbot" in CAUSES["token-too-wide"].remedy[0]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (
            attempts.join_attempt(outcome=Ending(AttemptEnd.OTHER, "", "validating jwt signature")),
            "Teleport did not judge the service account of the join: ended otherwise: validating jwt signature",
        ),
        (
            attempts.join_attempt(outcome=attempts.TIMEOUT),
            "Teleport did not judge the service account of the join: no answer in time",
        ),
        (attempts.not_run("joiner", "ImagePullBackOff"), "joiner: it did not run: ImagePullBackOff"),
    ],
    ids=["another reason", "timeout", "no pod"],
)
def test_a_join_that_failed_for_another_reason_shows_nothing(attempt: JoinAttempt | NotRun, words: str) -> None:
    finding = cannot_join(attempt, make.tbot())
    unknown(finding, "NEG-06")
    assert finding.seen == words


def test_where_no_tbot_joins_a_refusal_is_none() -> None:
    unready = make.tbot(make.tbot_pod(ready=False))
    finding = cannot_join(attempts.join_attempt(), unready)
    unknown(finding, "NEG-06")
    assert finding.seen == "no tbot with the right service account is Ready either"


def test_a_bot_that_joins_by_other_means() -> None:
    other = make.tbot(config=make.tbot_config(join_method="iam"))
    inapplicable(cannot_join(attempts.join_attempt(), other), "NEG-06", "ev-joiner")
