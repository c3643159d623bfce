"""INST-14: what tbot gives to probe pods, and why it gives nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import ANSWERS, NOBODY, SILENT, Refused, SdsProbe
from judge.install.attested import Beside, probes_got_their_own_identity
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE
from providers.teleport.facts.resources import AllowRule, RuleCondition
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, authority, intermediate, svid


def test_each_probe_got_its_own_identity_from_teleport() -> None:
    finding = probes_got_their_own_identity(
        [make.sds_probe("node-1"), make.sds_probe("node-2")], make.bundle(), make.tbots()
    )
    holds(finding, "INST-14", "ev-sds-node-1", "ev-sds-node-2", "ev-bundle")
    own = f"spiffe://{TRUST_DOMAIN}/ns/conformance-1/sa/probe"
    assert finding.seen == f"Node node-1, Node node-2: {own}"


def test_a_probes_identity_may_come_over_an_intermediate() -> None:
    leaf = svid("conformance-1", "probe", issuer="between")
    given = make.sds_probe(leaf=leaf, intermediates=(intermediate("between"),))
    holds(probes_got_their_own_identity([given], make.bundle(), make.tbots()), "INST-14")
    alone = probes_got_their_own_identity([make.sds_probe(leaf=leaf)], make.bundle(), make.tbots())
    violated(alone, "INST-14", "its issuer is CN=between")


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (
            make.sds_probe("node-2", leaf=None, reason="unknown resource names: [default]"),
            "the probe pod got no identity: unknown resource",
        ),
        (
            make.sds_probe("node-2", leaf=svid("conformance-1", "probe", issuer="istiod")),
            "the certificate of the probe pod does not come from Teleport: none of",
        ),
        (make.sds_probe("node-2", leaf=svid("test-app", "first")), "/ns/test-app/sa/first, not spiffe://"),
        (
            make.sds_probe("node-2", leaf=svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/conformance-1/probe")),
            "/ns/conformance-1/probe, not spiffe://",
        ),
        (
            make.sds_probe("node-2", leaf=svid("conformance-1", "probe", minutes=5)),
            "the certificate of the probe pod does not come from Teleport: it expired",
        ),
    ],
    ids=["refused by tbot", "istiod's certificate", "another pod's identity", "without /sa/", "expired"],
)
def test_a_probe_that_got_something_else(probe: SdsProbe, words: str) -> None:
    finding = probes_got_their_own_identity([make.sds_probe("node-1"), probe], make.bundle(), make.tbots())
    violated(finding, "INST-14", words, evidence=("ev-sds-node-2", "ev-bundle"), causes=())
    assert finding.seen.startswith("Node node-2: ")
    assert {str(found.subject) for found in finding.problems} == {"Node node-2"}
    assert {str(found.subject) for found in finding.held} == {"Node node-1"}


def test_a_probe_that_never_ran_proves_nothing() -> None:
    probes: list[SdsProbe | Refused] = [make.sds_probe("node-1"), make.refused("node-2")]
    finding = probes_got_their_own_identity(probes, make.bundle(), make.tbots())
    violated(finding, "INST-14", evidence=("ev-refused-node-2",), causes=())
    assert finding.seen == "Node node-2: the probe pod did not run: violates PodSecurity: hostPath volumes"


def test_a_probe_that_was_kept_from_running_tells_nothing_of_its_socket() -> None:
    probes: list[SdsProbe | Refused] = [make.sds_probe("node-1"), make.kept_out("node-2")]
    finding = probes_got_their_own_identity(probes, make.bundle(), make.tbots())
    unknown(finding, "INST-14", evidence=("ev-kept-out-node-2",))
    assert finding.seen == "Node node-2: the probe pod did not run: ImagePullBackOff: Back-off pulling image"
    wrong = make.sds_probe("node-1", leaf=None, reason="denied")
    both = probes_got_their_own_identity([wrong, make.kept_out("node-2")], make.bundle(), make.tbots())
    violated(
        both,
        "INST-14",
        "the probe pod got no identity: denied",
        "Node node-2: the probe pod did not run: ImagePullBackOff",
    )


SOCKET = ("node-1", f"{make.SOCKETS}/socket")
UNANSWERED = make.sds_probe(leaf=None, reason="no answer", socket=SOCKET[1])
CLOSED = make.seen_file(mode=0o700)


def own_file(name: str = "socket", mode: int = 0o600, *, is_socket: bool = True, listener: str = "") -> Beside:
    """A directory with one file, which may be a socket that is closed to all but root."""
    entry = make.seen_file(name, mode, is_socket=is_socket, listener=listener)
    return Beside([make.socket_directory_probe(entries=(entry,))])


@pytest.mark.parametrize(
    ("beside", "words", "causes"),
    [
        (
            Beside([make.socket_directory_probe(directory=CLOSED, entries=None)]),
            "uid 1337 may not enter the directory (mode 0700, owner 0:0); no answer",
            ("socket-directory-closed",),
        ),
        (own_file(), "uid 1337 may not connect to socket (mode 0600, owner 0:0); no answer", ("socket-closed",)),
        (
            own_file(listener=SILENT),
            "uid 1337 may not connect to socket (mode 0600, owner 0:0); no answer",
            ("socket-closed",),
        ),
        (
            own_file(mode=0o777, listener=NOBODY),
            "a connection to socket is refused: no process listens there; no answer",
            ("socket-stale",),
        ),
        (
            own_file(mode=0o777, listener=SILENT),
            "a connection to socket gets no word: a process listens there and stands still; no answer",
            ("tbot-not-answering",),
        ),
        (own_file(mode=0o777, listener=ANSWERS), "got no identity: no answer", ()),
        (Beside([make.socket_directory_probe()], {SOCKET: [make.identity()]}), "got no identity: no answer", ()),
        (Beside([make.socket_directory_probe(entries=None)]), "got no identity: no answer", ()),
        (own_file(is_socket=False), "got no identity: no answer", ()),
        (own_file("old"), "got no identity: no answer", ()),
        (Beside([make.socket_directory_probe("node-2", directory=CLOSED)]), "got no identity: no answer", ()),
        (Beside([make.socket_directory_probe(path="/run/spire-a", directory=CLOSED)]), "got no identity: no answer", ()),
        (Beside([make.refused()], {SOCKET: [make.absent("workload_identity/x")]}), "got no identity: no answer", ()),
    ],
    ids=[
        "directory",
        "socket",
        "closed and silent",
        "stale",
        "frozen",
        "answering",
        "all well",
        "unlisted",
        "a file",
        "another socket",
        "another node",
        "another directory",
        "unknown",
    ],
)
def test_what_is_read_beside_a_socket_that_gave_nothing(beside: Beside, words: str, causes: tuple[str, ...]) -> None:
    finding = probes_got_their_own_identity([UNANSWERED], make.bundle(), make.tbots(), beside)
    violated(finding, "INST-14", words, causes=causes)


@pytest.mark.parametrize(
    ("beside", "cause"),
    [
        (own_file(), ""),
        (own_file(mode=0o777, listener=NOBODY), ""),
        (own_file(mode=0o777, listener=SILENT), ""),
        (Beside([make.socket_directory_probe(directory=CLOSED, entries=None)]), "socket-directory-closed"),
    ],
    ids=["closed", "stale", "silent", "directory"],
)
def test_what_lies_where_a_tbot_that_has_not_joined_will_open_its_socket_is_not_its_own(beside: Beside, cause: str) -> None:
    refusing = {SOCKET: [make.identity(rules=(among("kubernetes.namespace", "payments"),))]}
    waits = replace(beside, unjoined=frozenset({SOCKET}), identities=refusing)
    finding = probes_got_their_own_identity([UNANSWERED], make.bundle(), make.tbots(), waits)
    violated(finding, "INST-14", causes=(cause,) if cause else ())
    assert ("the tbot there has not joined since its start, so that it has opened no socket" in finding.seen) is not bool(
        cause
    )
    elsewhere = replace(beside, unjoined=frozenset({("node-2", SOCKET[1])}))
    assert probes_got_their_own_identity([UNANSWERED], make.bundle(), make.tbots(), elsewhere).causes


def test_each_of_two_sockets_of_a_node_is_held_against_its_own_directory_and_file_name() -> None:
    here, there = make.sds_probe(socket="/run/spire-a/one"), replace(UNANSWERED, socket="/run/spire-b/two")
    closed = make.socket_directory_probe(path="/run/spire-a", directory=CLOSED)
    names = tuple(make.seen_file(name, 0o600 if name == "one" else 0o777, is_socket=True) for name in ("one", "two"))
    beside = Beside([closed, make.socket_directory_probe(path="/run/spire-b", entries=names)])
    finding = probes_got_their_own_identity([here, there], make.bundle(), make.tbots(), beside)
    violated(finding, "INST-14", "the probe pod got no identity: no answer", causes=())


# INST-14, where rules refuse the probe


def among(attribute: str, *values: str) -> AllowRule:
    return AllowRule("", (RuleCondition(f"workload.{attribute}", "", "", values, ()),))


OF_OTHERS = among("kubernetes.namespace", "payments", "test-app")
NO_RULE = "workload identity failed evaluation: attributes did not pass rule evaluation: no matching rule found"


def by_rules(reason: str, *rules: AllowRule, workloads: Sequence[Pod] = (), known: bool = True) -> Finding:
    """The judgment on a probe that got nothing for a reason, where Teleport has an identity with these rules."""
    identities = {SOCKET: [make.identity(rules=rules)]} if known else {}
    beside = Beside(identities=identities, workloads=workloads)
    return probes_got_their_own_identity([replace(UNANSWERED, reason=reason)], make.bundle(), make.tbots(), beside)


@pytest.mark.parametrize("reason", ["no answer", NO_RULE])
def test_rules_for_the_owners_namespaces_leave_it_open_what_a_pod_there_gets(reason: str) -> None:
    admitted = make.pod(namespace="payments")
    finding = by_rules(reason, OF_OTHERS, workloads=[admitted, make.pod("b")])
    said = "the rules of workload_identity istio-workloads refuse the service account probe of conformance-1"
    unknown(finding, "INST-14", f"the probe pod got no identity: {said}")
    assert finding.settle == TO_ADMIT_THE_SUITE
    assert finding.causes == ()
    assert finding.unclear[0].evidence == ("ev-sds-node-1", "ev-identity")


def test_rules_that_refuse_a_pod_of_the_mesh_as_well_are_wrong() -> None:
    pods = [make.pod(), make.pod("b", namespace="elsewhere"), make.pod("c", namespace="elsewhere", node="node-2")]
    finding = by_rules(NO_RULE, OF_OTHERS, workloads=pods)
    words = (
        "Pod elsewhere/b: the rules of workload_identity istio-workloads refuse the service account test-app of elsewhere"
    )
    violated(finding, "INST-14", words, causes=("identity-rules-refuse",))
    assert [str(each.subject) for each in finding.problems] == ["Pod elsewhere/b"]


def test_teleports_own_words_tell_a_refusal_by_rules_that_the_suite_cannot_read_or_judge() -> None:
    said = "the rules of the workload identity let in no service account probe of conformance-1"
    unknown(by_rules(NO_RULE, known=False), "INST-14", said)
    unknown(by_rules(NO_RULE, AllowRule('workload.kubernetes.namespace == "payments"', ())), "INST-14", said)
    unknown(by_rules(NO_RULE, among("kubernetes.labels", "x")), "INST-14", said)
    violated(by_rules("no answer", known=False), "INST-14", "no answer", causes=())


def test_a_refusal_by_rules_that_let_the_probe_in_shows_that_tbot_attests_no_caller() -> None:
    violated(by_rules(NO_RULE, among("kubernetes.namespace", "conformance-1")), "INST-14", NO_RULE, causes=())
    violated(by_rules(NO_RULE), "INST-14", NO_RULE, causes=())


def test_a_probe_that_may_not_open_its_socket_was_refused_by_no_rule() -> None:
    beside = replace(own_file(), identities={SOCKET: [make.identity(rules=(OF_OTHERS,))]})
    finding = probes_got_their_own_identity([UNANSWERED], make.bundle(), make.tbots(), beside)
    violated(finding, "INST-14", "may not connect", causes=("socket-closed",))


def test_what_a_group_may_do_counts_for_its_members() -> None:
    own_group = make.seen_file("socket", 0o660, gid=1337, is_socket=True)
    beside = Beside([make.socket_directory_probe(entries=(own_group,))])
    violated(probes_got_their_own_identity([UNANSWERED], make.bundle(), make.tbots(), beside), "INST-14", causes=())


def test_without_a_probe_no_socket_was_asked() -> None:
    violated(probes_got_their_own_identity([], make.bundle(), make.tbots()), "INST-14", "the suite asked no socket")


def test_an_identity_of_an_authority_that_teleport_has_given_up() -> None:
    rotated = make.bundle(authorities=(authority("new"),))
    violated(
        probes_got_their_own_identity([make.sds_probe()], rotated, make.tbots()),
        "INST-14",
        "none of the 1 authorities signed it",
    )


def test_a_problem_names_the_node_the_tbot_and_the_socket() -> None:
    token, sockets = make.tbot_volumes()
    second = make.tbot(volumes=(token, replace(sockets, path=make.OTHER_SOCKETS)))
    second = replace(second, daemon_set=replace(second.daemon_set, name="tbot-b"))
    tbots = make.tbots(make.tbot(), second)
    for path, name in ((f"{make.SOCKETS}/socket", "tbot"), (f"{make.OTHER_SOCKETS}/socket", "tbot-b")):
        probe = make.sds_probe("node-1", leaf=None, reason="denied", socket=path)
        finding = probes_got_their_own_identity([probe], make.bundle(), tbots)
        said = f"the socket {path} of DaemonSet teleport-system/{name}: the probe pod got no identity: denied"
        assert finding.seen == f"Node node-1: {said}"
    both = "DaemonSet teleport-system/tbot, DaemonSet teleport-system/tbot-b"
    unknown_path = probes_got_their_own_identity([make.sds_probe(leaf=None, reason="x")], make.bundle(), tbots)
    assert unknown_path.seen.startswith(f"Node node-1: the socket of the mesh of {both}: ")
