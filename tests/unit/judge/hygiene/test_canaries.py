"""HYG-04: no canary is in an output."""

from __future__ import annotations

import pytest

from facts.secret_forms import Canary
from judge.hygiene.canaries import no_canary_in_outputs
from tests.unit.facts.canaries import CANARIES
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated

POD = make.pod("canaries")


def test_outputs_without_them() -> None:
    finding = no_canary_in_outputs(CANARIES, [POD], {"report.html": "<p>", "terminal": ""})
    holds(finding, "HYG-04", *POD.evidence)
    assert finding.seen == f"none of {len(CANARIES)} canaries in 2 outputs"


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_each_canary_is_found_where_redaction_fails(canary: Canary) -> None:
    finding = no_canary_in_outputs(
        CANARIES, [POD], {"report.json": "{}", "evidence/ev-1.txt": f"before {canary.text} after"}
    )
    violated(finding, "HYG-04", "Output evidence/ev-1.txt", repr(canary.form), causes=("canary-reached-an-output",))
    assert not canary.left_in(finding.seen)


def test_a_search_that_proves_nothing() -> None:
    unknown(no_canary_in_outputs(CANARIES, [], {"report.json": ""}), "HYG-04", "read no pod that holds a canary")
    unknown(no_canary_in_outputs([], [POD], {"report.json": ""}), "HYG-04", "read no pod that holds a canary")
    unknown(no_canary_in_outputs(CANARIES, [POD], {}), "HYG-04", "no output to search")
