"""Audit events hold texts of whoever was issued a certificate: they change nothing about another's, and no secret stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import pytest
from hypothesis import HealthCheck, example, given, settings

from facts.recorder import KeptInMemory
from facts.secret_forms import Canary
from providers.teleport.facts.audit import AuditTrail, IssuedSvid, parse_issued
from providers.teleport.observe.audit import read_trail
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.observe.hostile import HOSTILE_TEXTS, MARKERS, WORST, outputs, quoting
from tests.unit.providers.teleport.observe.test_audit import line
from tests.unit.thoroughness import examples

OWN, OTHER, HOSTILE = "a29", "b30", "c31"
OTHERS = (line(OWN), line(OTHER, spiffe_id="spiffe://teleport.example.com/ns/shop/sa/till"))


@dataclass(frozen=True)
class Lines:
    """A source with these lines."""

    written: Sequence[str]
    name: str = "events"

    def lines(self) -> Iterator[str]:
        return iter(self.written)


def hostile(texts: Iterable[str]) -> str:
    """An event of the tenant's own certificate, with a text wherever its pod or its request has a say."""
    text = cycle(texts)
    pod = {"attested": True, "namespace": "h", "service_account": next(text), "pod_name": next(text), "pod_uid": next(text)}
    pod |= {"labels": {next(text): next(text)}, "annotations": {"serial_number": "0a:29", "a": next(text)}}
    own = {"hint": next(text), "user_agent": next(text), "dns_sans": [next(text)], "spiffe_id": f"spiffe://x/{next(text)}"}
    return line(HOSTILE, uid=next(text), attributes={"workload": {"kubernetes": pod}, next(text): next(text)}, **own)


def trail(written: Sequence[str], recorder: KeptInMemory) -> AuditTrail:
    return read_trail(Lines(written), [OWN, OTHER, HOSTILE], recorder)


def of_others(found: AuditTrail) -> list[IssuedSvid]:
    return [issued for issued in found.issued if issued.serial != HOSTILE]


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE_TEXTS)
@example([*MARKERS])
@example(["0a:29", '"serial_number":"0a:29"'])
def test_what_one_tenant_is_issued_changes_nothing_about_other_certificates(texts: list[str]) -> None:
    alone = trail(OTHERS, KeptInMemory())
    mixed = trail([hostile(texts), OTHERS[0], hostile(texts[::-1]), OTHERS[1], hostile(texts)], KeptInMemory())
    assert of_others(mixed) == of_others(alone) == list(alone.issued)
    assert len(mixed.issued) == len(alone.issued) + 3


def test_an_event_is_judged_as_it_is_stored() -> None:
    recorder = KeptInMemory()
    found = trail([hostile(WORST), *OTHERS], recorder)
    (kept,) = recorder.evidence.values()
    assert parse_issued(kept.body) == found.issued


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_comes_out_of_an_event(canary: Canary) -> None:
    recorder = KeptInMemory()
    found = trail([hostile([canary.text]), *OTHERS], recorder)
    (kept,) = recorder.evidence.values()
    own = found.issued[0]
    said = [own.spiffe_id, own.namespace, own.service_account, own.pod_name, own.pod_uid]
    written = list(outputs(kept, quoting(kept, *said), ValueError(canary.text)))
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []
