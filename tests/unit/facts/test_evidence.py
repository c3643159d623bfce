"""Evidence: what is asked, of what, and the digest of what is kept."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.document import Absent
from facts.evidence import Evidence, ObjectRef, evidence_of, hidden, readings
from facts.kubernetes.jwks import parse_jwks
from facts.secret_forms import MARK

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
POD = ObjectRef("Pod", "alpha", "shop", "uid-1", "42")


def reading(body: str = "{}", question: str = "GET /x") -> Evidence:
    return evidence_of(question, POD, body, read_at=AT)


@pytest.mark.parametrize(
    ("ref", "shown"),
    [
        (POD, "Pod shop/alpha"),
        (ObjectRef("Node", "n1"), "Node n1"),
        (ObjectRef("", "the node's socket"), "the node's socket"),
        (ObjectRef("", "alpha", "shop"), "shop/alpha"),
    ],
)
def test_an_object_is_named_by_what_is_known_of_it(ref: ObjectRef, shown: str) -> None:
    assert str(ref) == shown


def test_evidence_holds_question_subject_time_and_parser() -> None:
    made = evidence_of("kubectl get x", POD, '{"keys": []}', read_at=AT, parser=parse_jwks, exit_code=3)
    assert (made.question, made.subject, made.read_at, made.body) == ("kubectl get x", POD, AT, '{"keys":[]}')
    assert (made.parser, made.exit_code, made.redactions) == ("facts.kubernetes.jwks.parse_jwks", 3, 0)
    assert made.id.startswith("ev-")
    assert len(made.id) == len("ev-") + 16
    assert (reading().parser, reading().exit_code) == ("", None)


def test_evidence_that_is_made_by_hand_has_no_redactions() -> None:
    made = Evidence("ev-1", "q", POD, AT, "b", "digest")
    assert (made.redactions, made.parser, made.exit_code) == (0, "", None)


def test_a_named_secret_is_hidden_in_question_subject_and_body() -> None:
    secret = "the-name-of-a-token"
    made = evidence_of(
        f"get {secret}", ObjectRef("Teleport", f"token/{secret}"), f"{secret} {secret}", read_at=AT, named_secrets=[secret]
    )
    assert secret not in repr(made)
    assert (made.body, made.redactions) == (f"{MARK} {MARK}", 2)


def test_hiding_keeps_the_id_and_adds_to_the_redactions() -> None:
    before = reading("password: abc def-secret", "GET /def-secret")
    assert before.redactions == 1
    after = hidden(before, ["def-secret"])
    assert (after.id, after.question, after.redactions) == (before.id, f"GET /{MARK}", 2)
    assert after.sha256 == hashlib.sha256(after.body.encode()).hexdigest()


def test_hiding_nothing_is_the_same_evidence() -> None:
    before = reading()
    assert hidden(before, []) is before


@given(st.text(max_size=60))
def test_the_digest_is_that_of_the_kept_body(body: str) -> None:
    made = reading(body)
    assert made.sha256 == hashlib.sha256(made.body.encode()).hexdigest()


def test_the_readings_of_facts_are_those_of_each_once() -> None:
    assert readings(Absent(POD, ("ev-2", "ev-1")), None, Absent(POD, ("ev-1", "ev-3"))) == ("ev-2", "ev-1", "ev-3")
    assert readings() == readings(None) == ()
