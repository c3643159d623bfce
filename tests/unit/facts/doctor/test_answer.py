"""The doctor's answer is read as far as the suite compares it, and anything else is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.doctor.answer import Answer, Class, NamedCause, Undetermined, parse_answer
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "causes": [
        {
            "id": "gateway-without-socket",
            "sentence": "The gateway does not mount the socket.",
            "subjects": [{"kind": "Deployment", "namespace": "istio-system", "name": "istio-ingressgateway"}],
            "said": ["its volume is an emptyDir"],
            "rests_on": ["the pod's specification"],
            "explains": ["requests through it end with 503"],
            "remedy": ["Mount it."],
            "check": "ask again",
            "references": [],
        }
    ],
    "classes": [{"ids": ["tbot-not-answering", "socket-stale"], "settled_by": "--allow namespaced"}],
    "undetermined": [{"said": "one pod was not read"}],
    "checks": [{"section": "proxies", "title": "identity", "requirement": "ID-01", "outcome": "fail", "said": "2 of 3"}],
    "requests": 41,
    "seconds": 7.25,
    "authority": "stand-in",
}


def test_causes_classes_and_costs_are_read() -> None:
    assert parse_answer(DOCUMENT, ("ev-1",)) == Answer(
        version=1,
        causes=(NamedCause("gateway-without-socket", "The gateway does not mount the socket."),),
        classes=(Class(("tbot-not-answering", "socket-stale"), "--allow namespaced"),),
        undetermined=(Undetermined("one pod was not read"),),
        requests=41,
        seconds=7.25,
        authority="stand-in",
        evidence=("ev-1",),
    )


def test_what_evidence_keeps_is_read_alike() -> None:
    kept = evidence_of(
        "conformance doctor",
        ObjectRef("Host", "doctor"),
        json.dumps(DOCUMENT),
        read_at=datetime.now(UTC),
        parser=parse_answer,
    )
    assert parse_answer(json.loads(kept.body)) == parse_answer(DOCUMENT)


def test_an_answer_without_classes_has_none() -> None:
    few = {key: DOCUMENT[key] for key in ("version", "causes", "requests", "seconds")}
    assert parse_answer(few).classes == ()
    assert parse_answer(few).undetermined == ()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "a mapping"),
        (DOCUMENT | {"version": 2}, "a document of version 1"),
        ({key: value for key, value in DOCUMENT.items() if key != "causes"}, "the field causes"),
        (DOCUMENT | {"causes": [{"sentence": "It has no id."}]}, r"the field causes\.0\.id"),
        (DOCUMENT | {"requests": "41"}, "the field requests to be a whole number"),
    ],
)
def test_another_document_is_refused(document: Any, words: str) -> None:
    with pytest.raises(CouldNotTell, match=words):
        parse_answer(document)
