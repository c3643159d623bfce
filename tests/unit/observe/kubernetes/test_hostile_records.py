"""Services, events and logs that a tenant writes: they change nothing about another's, and no secret comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from facts.document import decoded, parse_items
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.istio.gateways import Gateway
from facts.istio.services import Service, ingress_of, parse_service
from facts.kubernetes.objects import Event, list_of, parse_event
from facts.masks import kept_for
from facts.secret_forms import Canary
from facts.traffic.refusal import of_agents_log, of_tbots_log, parse_ended_streams
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.observe.hostile import HOSTILE_TEXTS, MARKERS, WORST, outputs, quoting
from tests.unit.thoroughness import examples

AT = datetime(2026, 3, 1, tzinfo=UTC)
RANDOM = "abcdef.0123456789abcdef"
"""A label that has the form of a secret."""


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        parser: Of one of them.
        others: Those of other tenants.
        hostile: Makes one of a number, with the texts in every field that Kubernetes leaves to its owner.
        judged: What is concluded from a list of them about the others.
        texts: The texts of one, which a sentence may quote.
    """

    parser: Callable[..., Any]
    others: Sequence[dict[str, Any]]
    hostile: Callable[[int, Sequence[str]], dict[str, Any]]
    judged: Callable[[Sequence[Any]], object]
    texts: Callable[[Any], Sequence[str]]


def service(name: str, namespace: str, selector: dict[str, str]) -> dict[str, Any]:
    ports = [{"name": "http2", "port": 80}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector, "ports": ports}}


def hostile_service(number: int, texts: Sequence[str]) -> dict[str, Any]:
    text = cycle(texts)
    made = service(f"hostile-{number}", "edge", {"app": RANDOM})
    made["metadata"] |= {
        "annotations": {"a": next(text), "kubectl.kubernetes.io/last-applied-configuration": next(text)},
        "labels": {"app": RANDOM},
        "managedFields": [{"manager": next(text)}],
    }
    made["spec"] |= {"externalName": next(text), "ports": [{"name": "http-x", "port": 80, "appProtocol": next(text)}]}
    return made | {"status": {"conditions": [{"type": "x", "message": next(text)}]}}


GATEWAYS = tuple(
    Gateway(ObjectRef("Deployment", name, "edge"), labels, labels, "default", ())
    for name, labels in (("east", {"app": "east"}), ("west", {"app": "[redacted]"}))
)


def ingresses(services: Sequence[Service]) -> object:
    """The way into each gateway; the label of one was taken for a secret, as the selector of the hostile Services is."""
    return [ingress_of(gateway, tuple(services)) for gateway in GATEWAYS]


def event(pod: str, message: str) -> dict[str, Any]:
    involved = {"kind": "Pod", "name": pod}
    return {"metadata": {"name": pod}, "type": "Warning", "reason": "Failed", "message": message, "involvedObject": involved}


def hostile_event(number: int, texts: Sequence[str]) -> dict[str, Any]:
    text = cycle(texts)
    return {
        "metadata": {"name": f"hostile-{number}", "annotations": {"a": next(text)}, "labels": {"a": RANDOM}},
        "type": next(text),
        "reason": next(text),
        "message": next(text),
        "involvedObject": {"kind": next(text), "name": f"hostile-{number}", "fieldPath": next(text)},
        "source": {"component": next(text)},
        "reportingComponent": next(text),
    }


def warnings(events: Sequence[Event]) -> object:
    """What events say of the pods that are waited for."""
    return [e for e in events if e.type == "Warning" and e.about in ("Pod/server", "Pod/client")]


KINDS = {
    "services": Kind(
        parse_service,
        (service("east", "edge", {"app": "east"}), service("shop", "shop", {"app": "shop"})),
        hostile_service,
        ingresses,
        lambda found: [found.name, *found.selector.values(), *found.ports],
    ),
    "events": Kind(
        parse_event,
        (event("server", "0/2 nodes are available"), event("client", 'secret "x" not found')),
        hostile_event,
        warnings,
        lambda found: [found.type, found.reason, found.message, found.about],
    ),
}


def listed(kind: Kind, items: Sequence[dict[str, Any]]) -> tuple[Evidence, tuple[Any, ...]]:
    """The reading of a list as it is stored, and the facts that are made from that."""
    subject, raw = ObjectRef("List", "x"), json.dumps({"items": [*items]})
    kept = evidence_of("GET", subject, raw, read_at=AT, parser=kind.parser, mask=list_of(kept_for(kind.parser)))
    return kept, parse_items(decoded(kept.body), kind.parser, (), "list")


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
@given(texts=HOSTILE_TEXTS)
@example(texts=[MARKERS[0]])
@example(texts=[*MARKERS])
@example(texts=["Warning", "Failed", "server", "Pod/server", "Pod"])
def test_what_one_tenant_writes_changes_nothing_about_other_objects(name: str, texts: list[str]) -> None:
    kind = KINDS[name]
    _kept, alone = listed(kind, kind.others)
    first, last = kind.hostile(0, texts), kind.hostile(1, texts[::-1])
    _kept, found = listed(kind, [first, *kind.others, last])
    assert found[1:-1] == alone
    assert kind.judged(found) == kind.judged(alone)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_comes_out_of_an_object(name: str, canary: Canary) -> None:
    kind = KINDS[name]
    kept, (found, *_others) = listed(kind, [kind.hostile(0, [canary.text]), *kind.others])
    written = list(outputs(kept, quoting(kept, *kind.texts(found)), ValueError(canary.text)))
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []


# Logs: what a tenant makes a program write is in lines of their own, or quoted in a line.

REFUSED = "2026-03-01T12:00:0{}.1Z\twarning\tenvoy config\tStreamSecrets gRPC config stream to sds-grpc closed: 2, {}"
ENTRIES = (
    REFUSED.format(1, "workload.kubernetes.attested is unset"),
    REFUSED.format(2, "no matching rule found"),
    "2026-03-01T12:00:03.1Z\terror\tagent configured for non-default SDS socket path: ./x/other but no socket found",
)


def logged(entries: Sequence[str]) -> Evidence:
    return evidence_of("GET", ObjectRef("Pod", "p"), "".join(f"{e}\n" for e in entries), read_at=AT, text=True)


def entry(number: int, text: str) -> str:
    return f"2026-03-01T12:00:0{number}.5Z\tinfo\tsaw {' '.join(text.split())}"


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE_TEXTS)
@example([MARKERS[0], MARKERS[1]])
@example(["Bearer", "Authorization: Basic"])
@example(["--token", "password:", "db_password="])
@example(["a\u2028b", "a\x85b", "a\rb"])
def test_what_a_tenant_makes_a_program_log_changes_no_other_entry(texts: list[str]) -> None:
    between = [entry(number % 10, text) for number, text in enumerate(cycle_of(texts, len(ENTRIES) + 1))]
    mixed = [between[0], *(each for pair in zip(ENTRIES, between[1:], strict=True) for each in pair)]
    log, alone = logged(mixed).body, logged(ENTRIES).body
    assert parse_ended_streams(log) == parse_ended_streams(alone)
    assert of_agents_log(log) == of_agents_log(alone)


def cycle_of(texts: Sequence[str], number: int) -> list[str]:
    endless = cycle(texts)
    return [next(endless) for _ in range(number)]


@pytest.mark.parametrize("text", WORST, ids=lambda text: ascii(text[:20]))
def test_a_log_is_stored_as_it_is_judged(text: str) -> None:
    stored = logged([text, *ENTRIES, text])
    again = evidence_of("GET", ObjectRef("Pod", "p"), stored.body, read_at=AT, text=True)
    assert (again.body, again.redactions) == (stored.body, 0)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_comes_out_of_a_log(canary: Canary) -> None:
    stored = logged([canary.text, f"ERROR {canary.text}", REFUSED.format(1, canary.text)])
    said = [str(each.outcome) for each in parse_ended_streams(stored.body)]
    said += [str(of_agents_log(stored.body)), str(of_tbots_log(stored.body))]
    written = list(outputs(stored, quoting(stored, *said), ValueError(canary.text)))
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_percent_signs_hide_no_secret(canary: Canary) -> None:
    """As gRPC spells what is not printable in a message; the suite decodes it after redaction."""
    spelt = "".join(f"%{byte:02x}" for byte in canary.text.encode())
    stored = logged([REFUSED.format(1, spelt)])
    (stream,) = parse_ended_streams(stored.body)
    written = list(outputs(stored, quoting(stored, str(stream.outcome)), ValueError("x")))
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []


def test_a_status_code_of_any_length_is_none() -> None:
    assert parse_ended_streams(ENTRIES[0].replace("closed: 2", f"closed: {'9' * 5000}")) == ()
