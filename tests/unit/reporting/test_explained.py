"""The report asks the explanation: which cause shows only because of others, by what is said of the install."""

from __future__ import annotations

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.explain.cause import CAUSES
from judge.explain.diagnosis import explained_by, explained_findings
from judge.explain.realms import Realms
from judge.findings import Claim
from reporting.features.reading import read_catalogue
from tests.unit.test_documents import ROOT

REQUIREMENTS = read_catalogue(ROOT / "features").requirements


def test_a_cause_that_another_one_reaches_is_told_by_it() -> None:
    root, effect = next((cause.id, cause.explains[0]) for cause in CAUSES.values() if cause.explains)
    there = ObjectRef("Pod", "app", "shop")
    one = Claim("INST-13", "it", "there", ["ev-1"]).judged([Problem(there, "it is so", root)])
    other = Claim("ID-01", "it", "there", ["ev-1"]).judged([Problem(there, "it shows", effect)])

    assert explained_by(explained_findings([one, other], REQUIREMENTS, realms=Realms())) == {effect: (root,)}
    elsewhere = Claim("ID-01", "it", "there", ["ev-1"]).judged(
        [Problem(ObjectRef("Pod", "app", "other"), "it shows", effect)]
    )
    assert explained_by(explained_findings([one, other, elsewhere], REQUIREMENTS, realms=Realms())) == {}
