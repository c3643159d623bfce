"""Answers to a dry run of a pod."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.istio.injection import parse_dry_run
from tests.data import document


def test_an_accepted_pod_is_read_with_its_proxy() -> None:
    answer = parse_dry_run(document("cluster/dry_run_accepted.json"), ("ev-1",), "a dry run")
    assert (answer.accepted, answer.message, answer.where, answer.evidence) == (True, "", "a dry run", ("ev-1",))
    assert answer.pod is not None
    assert answer.pod.is_injected
    assert answer.pod.evidence == ("ev-1",)


def test_a_refusal_holds_the_api_servers_words() -> None:
    answer = parse_dry_run(document("cluster/dry_run_refused.json"), ("ev-1",), "a dry run")
    assert (answer.accepted, answer.pod, answer.where, answer.evidence) == (False, None, "a dry run", ("ev-1",))
    assert answer.message == document("cluster/dry_run_refused.json")["message"] != ""
    assert parse_dry_run({"kind": "Status"}).message == ""


@pytest.mark.parametrize("answer", ["text", {"kind": 1}, {"kind": "Pod"}])
def test_another_answer_is_not_guessed_at(answer: object) -> None:
    with pytest.raises(CouldNotTell):
        parse_dry_run(answer)
