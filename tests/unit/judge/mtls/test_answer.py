"""Answers about two pods, one, or all: yes, no with side and reason, or not determined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from judge.mtls.answer import Answer, Says, answered
from judge.mtls.pairs import ALL, Asked, table_of
from judge.mtls.table import Meant
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import svid
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, Workload, ends

A, B = Workload("a"), Workload("b")
ON_ISTIOD = replace(B, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})
A_TO_B = Asked(frozenset({"uid-a"}), frozenset({"uid-b"}))


def asked(*workloads: Workload, of: Asked = ALL, meant: Meant | None = None) -> Answer:
    made = ends(*workloads)
    return answered(made, table_of(made, meant or Meant(), asked=of))


def test_they_can() -> None:
    answer = asked(A, B, Workload("c"), of=A_TO_B)
    assert (answer.says, answer.exit_code, answer.completed, answer.plain) == (Says.YES, 0, 1, 0)
    assert (answer.refused, answer.unread, answer.causes) == ((), (), ())
    assert [(pair.ways, pair.port) for pair in answer.handshakes.pairs] == [(1, 8080)]
    whole = asked(A, B, Workload("c"))
    assert (whole.says, whole.completed) == (Says.YES, 9)


def test_plain_text_is_a_way_to_talk_and_counted_apart() -> None:
    answer = asked(A, replace(B, inbound=PERMISSIVE, marked=False), of=A_TO_B)
    assert (answer.says, answer.completed, answer.plain) == (Says.YES, 0, 1)


@pytest.mark.parametrize(
    ("client", "server", "subject", "words", "cause"),
    [
        (A, ON_ISTIOD, "Pod shop/a", "as the client it refuses: the certificate leads", "template-not-requested"),
        (
            replace(A, clusters={"b": built.cluster(B.host, 80)}),
            B,
            "Pod shop/b",
            "as the server it refuses: it takes TLS only",
            "client-sends-plain-text",
        ),
        (A, replace(B, inbound=DISABLED), "Pod shop/b", "as the server it refuses: it does not", "mutual-tls-disabled"),
    ],
)
def test_they_cannot_and_the_side_that_refuses_says_why(
    client: Workload, server: Workload, subject: str, words: str, cause: str
) -> None:
    answer = asked(client, server, of=A_TO_B)
    assert (answer.says, answer.exit_code) == (Says.NO, 1)
    (problem,) = answer.refused
    assert (str(problem.subject), problem.cause) == (subject, cause)
    assert problem.said.startswith(words)
    assert [each.id for each in answer.causes] == [cause]


def test_a_refusal_whose_cause_nothing_tells() -> None:
    expired = replace(B, identity=lambda pod: make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, minutes=5),)))
    answer = asked(A, expired, of=A_TO_B)
    assert (answer.says, answer.causes) == (Says.NO, ())
    assert answer.refused[0].said.startswith("as the client it refuses: the certificate, or the authority that signed it,")


def test_the_way_back_is_another_question() -> None:
    clusters = {"b": built.cluster(B.host, 80)}
    assert asked(replace(A, clusters=clusters), B, of=Asked(frozenset({"uid-b"}), frozenset({"uid-a"}))).says is Says.YES
    assert asked(replace(A, clusters=clusters), B, of=Asked(servers=frozenset({"uid-a"}))).completed == 2
    assert asked(replace(A, clusters=clusters), B, of=Asked(clients=frozenset({"uid-a"}))).says is Says.NO


def test_ways_that_are_declared_closed_are_no_answer() -> None:
    far = replace(ON_ISTIOD, namespace="far")
    answer = asked(A, far, of=A_TO_B, meant=Meant(closed=frozenset({("shop", "far")})))
    assert (answer.says, answer.refused) == (Says.UNKNOWN, ())


@pytest.mark.parametrize("server", [replace(B, identity=None), replace(B, configured=False)])
def test_a_proxy_that_was_not_read_leaves_it_open(server: Workload) -> None:
    answer = asked(A, server, of=A_TO_B)
    assert (answer.says, answer.exit_code) == (Says.UNKNOWN, 6)
    assert [str(each.subject) for each in answer.unread] == ["Pod shop/b"]
    # What is refused elsewhere is an answer all the same.
    assert asked(replace(A, clusters={"a": built.cluster(A.host, 80)}), server).says is Says.NO


def test_ways_to_others_do_not_count_where_one_server_is_asked_for() -> None:
    more = [built.passthrough()]
    plain = Workload("plain", pod={"injected": False}, marked=False)
    to_b = asked(replace(A, more=more), B, plain, of=A_TO_B)
    assert (to_b.says, to_b.handshakes.not_predictable) == (Says.YES, {})
    to_plain = asked(replace(A, more=more), B, plain, of=Asked(frozenset({"uid-a"}), frozenset({"uid-plain"})))
    assert (to_plain.says, to_plain.handshakes.not_predictable) == (Says.UNKNOWN, {"a pod without a proxy": 1})
