"""Waivers come from the settings, count to the end of their last day, and are for requirements that exist."""

from __future__ import annotations

from datetime import date

import pytest

from facts.catalogue import About, Catalogue
from facts.errors import BadInput
from judge.waivers import Waiver
from reporting.waivers import waivers
from settings import Waived
from tests.unit.reporting.sample import requirement

CATALOGUE = Catalogue(
    {"A-1": requirement("A-1"), "S-1": requirement("S-1", about=About.SUITE), "I-1": requirement("I-1", about=About.ISTIO)}
)
DECIDED = Waived(
    owner="platform team",
    justification="until the upgrade",
    last_day=date(2026, 12, 31),
    approver="A. Person",
    ticket="OPS-42",
)
NARROW = Waived(owner="shop", justification="one", last_day=date(2026, 12, 31), subjects=("Pod shop/*",))


@pytest.mark.parametrize(("today", "expired"), [(date(2026, 12, 31), False), (date(2027, 1, 1), True)])
def test_a_waiver_counts_to_the_end_of_its_last_day(today: date, *, expired: bool) -> None:
    made = waivers({"A-1": (DECIDED, NARROW)}, CATALOGUE, today)
    assert made == {
        "A-1": (
            Waiver("A-1", "platform team", "until the upgrade", expired, DECIDED.last_day, "A. Person", "OPS-42"),
            Waiver("A-1", "shop", "one", expired, DECIDED.last_day, subjects=("Pod shop/*",)),
        )
    }


@pytest.mark.parametrize("proof", ["S-1", "I-1"])
def test_a_waiver_for_a_self_test_or_a_re_proof_is_refused(proof: str) -> None:
    with pytest.raises(BadInput, match=rf"saw {proof}, by which the suite tests itself"):
        waivers({"A-1": (DECIDED,), proof: (DECIDED,)}, CATALOGUE, date(2026, 1, 1))


def test_a_waiver_for_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match=r"saw A-9 .*conformance plan"):
        waivers({"A-1": (DECIDED,), "A-9": (DECIDED,)}, CATALOGUE, date(2026, 1, 1))
