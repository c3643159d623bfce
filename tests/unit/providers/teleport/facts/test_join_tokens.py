"""The list of all join tokens: what is kept of it, and what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.secret_forms import MARK
from providers.teleport.facts.join_tokens import JoinTokens, listing, parse_join_tokens
from tests.data import document

OWN = "istio-tbot-k8s-join"


def token(name: str, method: str = "", bot: str = "istio-tbot", **metadata: Any) -> dict[str, Any]:
    spec = {"roles": ["Bot"], "bot_name": bot, **({"join_method": method} if method else {})}
    return {"kind": "token", "version": "v2", "metadata": {"name": name, **metadata}, "spec": spec}


def kept(tokens: list[Any], known: tuple[str, ...] = (OWN,), secrets: tuple[str, ...] = ()) -> Evidence:
    subject, at = ObjectRef("Teleport", "token"), datetime.now(UTC)
    return evidence_of(
        "q", subject, json.dumps(tokens), read_at=at, parser=parse_join_tokens, mask=listing(known), named_secrets=secrets
    )


def read(tokens: list[Any], known: tuple[str, ...] = (OWN,), secrets: tuple[str, ...] = ()) -> JoinTokens:
    return parse_join_tokens(json.loads(kept(tokens, known, secrets).body), ("ev-tokens",))


def test_a_captured_token() -> None:
    found = read(document("teleport/token.json"))
    (own,) = found.tokens
    assert (own.name, own.join_method, own.bot_name, own.expires) == (OWN, "kubernetes", "istio-tbot", None)
    assert own.allow == ("teleport-system:tbot",)
    assert found.evidence == ("ev-tokens",)


@pytest.mark.parametrize("method", ["", "kubernetes", "iam", "bound_keypair"])
def test_no_name_is_kept_but_the_known_one(method: str) -> None:
    other = token("other-people", method)
    body = kept([token(OWN, "kubernetes"), other]).body
    assert OWN in body
    assert "other-people" not in body
    assert [t.name for t in read([token(OWN, "kubernetes"), other]).tokens] == [OWN, MARK]


def test_a_known_name_that_is_a_secret_is_hidden_as_well() -> None:
    assert [t.name for t in read([token(OWN)], secrets=(OWN,)).tokens] == [MARK]


def test_a_name_that_holds_another_secret_stays_whole() -> None:
    found = read([token(OWN, "kubernetes"), token("istio-tbot")], secrets=("istio-tbot",))
    assert [t.name for t in found.tokens] == [OWN, MARK]
    assert MARK in found.tokens[0].bot_name


def test_labels_and_keys_of_others_leave_no_trace() -> None:
    body = kept([token("x", "kubernetes", labels={"team": "payments"})]).body
    assert "payments" not in body


def test_a_name_that_is_no_text_is_hidden() -> None:
    assert MARK in kept([token(7)]).body  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expires", "end"),
    [
        ("2026-05-01T00:00:00Z", datetime(2026, 5, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_the_end_of_a_token(expires: str | None, end: datetime | None) -> None:
    assert read([token(OWN, expires=expires)]).tokens[0].expires == end


def test_the_default_method_is_token() -> None:
    assert read([token("x")]).tokens[0].join_method == "token"


def test_tokens_of_other_systems_have_no_bot() -> None:
    node = {"kind": "token", "metadata": {"name": "n"}, "spec": {"roles": ["Node"], "join_method": "iam"}}
    assert read([node]).tokens[0].bot_name == ""
    assert read([]).tokens == ()


@pytest.mark.parametrize("answer", [{}, "text", None, [{"metadata": {}}], [token(OWN, expires="tomorrow")], ["x"]])
def test_what_is_no_list_of_tokens_is_not_guessed_at(answer: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_join_tokens(answer)
