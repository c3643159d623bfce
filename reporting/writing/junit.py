"""``junit.xml`` for CI systems: one case per requirement, because the requirement is what passes or fails."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from facts.measure import amount
from judge.verdict import Judged, Result, Verdict
from reporting.model import Report, ScenarioRecord
from reporting.writing.measured import measured
from reporting.writing.printable import printable
from reporting.writing.words import FINDING, LOOKS, first_line, hints_of, reasons_of, why_inconclusive, word_of

_ELEMENTS = {"bad": "failure", "unsure": "error", "quiet": "skipped"}
"""By the tone of a verdict."""


def to_junit(report: Report) -> str:
    """The report as JUnit XML.

    One suite per profile, one case per requirement. *not-evaluated* is an error and no skip: most readers show a skip green.
    What went wrong outside any requirement, failed provisioning above all, is an error case in a suite of its own. It never
    denies the exit code: what does not count for the result, a recommendation that is not met above all, is a property of a
    case that passes, a run that exits with 0 has no failure and no error, and one that is inconclusive has at least one.
    """
    root = ET.Element("testsuites", name="conformance")
    profiles = dict.fromkeys(j.requirement.profile for j in report.judged)
    if report.run_errors:
        suite = _suite(root, "run", report)
        for number, error in enumerate(report.run_errors, 1):
            case = ET.SubElement(suite, "testcase", classname="run", name=f"run error {number}", time="0")
            _result(case, "error", "run-error", error)
        _count(suite)
    for profile in profiles:
        suite = _suite(root, profile, report)
        for judged in report.judged:
            if judged.requirement.profile == profile:
                _case(suite, report, judged)
        _count(suite)
    if report.result is Result.INCONCLUSIVE and root.find(".//error") is None and root.find(".//failure") is None:
        suite = _suite(root, "run", report)
        case = ET.SubElement(suite, "testcase", classname="run", name="result", time="0")
        _result(case, "error", "inconclusive", why_inconclusive(report))
        _count(suite)
    _count(root)
    root.set("time", f"{(report.ended - report.started).total_seconds():.3f}")
    _make_printable(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, report: Report) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=name, timestamp=report.started.isoformat(timespec="seconds"))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("result", report.result.value),
        ("authority", report.authority.value),
        ("headline", report.headline),
        ("run_id", report.run_id),
        ("suite_version", report.suite_version),
        ("cluster", report.scope.cluster),
        ("context", report.scope.context),
        ("safety", ",".join(report.scope.safety)),
        ("unverified", "; ".join(report.scope.unverified)),
        ("not judged", "; ".join(report.scope.not_judged)),
        ("claimed", report.scope.claimed),
        ("left_out", "; ".join(report.scope.left_out)),
    ):
        ET.SubElement(properties, "property", name=key, value=value)
    return suite


def _case(suite: ET.Element, report: Report, judged: Judged) -> None:
    requirement = judged.requirement
    scenarios = report.scenarios_of(requirement.id)
    case = ET.SubElement(
        suite,
        "testcase",
        classname=requirement.profile,
        name=f"{requirement.id} {requirement.sentence}",
        time=f"{sum(s.seconds for s in scenarios):.3f}",
    )
    properties, told = dict(_measures(report, judged)), [_told(scenario) for scenario in scenarios]
    if judged.verdict is not Verdict.PASS:
        word, text = word_of(report, judged), "\n".join((*reasons_of(report, judged), *hints_of(report, judged)))
        element = "skipped" if judged.premise else _ELEMENTS[LOOKS[judged.verdict][1]]  # a premise is not counted
        if element != "skipped" and (word == FINDING or report.exit_code == 0):
            properties[NOT_MET if word == FINDING else word] = first_line(text)
            told.insert(0, text)
        else:
            kind = f"{requirement.level.value} {requirement.about.value} {judged.verdict.value}"
            _result(case, element, kind, text)
    if properties:
        listed = ET.Element("properties")
        for name, value in properties.items():
            ET.SubElement(listed, "property", name=name, value=value)
        case.insert(0, listed)
    ET.SubElement(case, "system-out").text = "\n\n".join(told)


NOT_MET = "recommendation not met"
"""Name of the property of a case that passes although a SHOULD does not hold."""


def _measures(report: Report, judged: Judged) -> Iterator[tuple[str, str]]:
    """Each measured number as a property, of several the least and the most; and what was promised."""
    for each in measured(report.findings_of(judged.requirement.id)):
        unit = f" [{each.unit}]" if each.unit else ""
        found = {"": each.most} if each.least == each.most else {", least": each.least, ", most": each.most}
        yield from ((f"{each.name}{word}{unit}", amount(value)) for word, value in found.items())
        if each.promise:
            yield f"{each.name}, promised", each.promise


def _told(scenario: ScenarioRecord) -> str:
    steps = (f"  {s.state.value:<9}{s.seconds:8.3f}s  {s.keyword} {s.text}" for s in scenario.steps)
    return "\n".join((f"{scenario.id}: {scenario.ending.value}", *steps))


def _result(case: ET.Element, element: str, kind: str, text: str) -> None:
    result = ET.SubElement(case, element, message=first_line(text), type=kind)
    result.text = text


def _make_printable(root: ET.Element) -> None:
    """Makes every text and attribute printable, in one place that no element goes around."""
    for element in root.iter():
        element.text = printable(element.text or "") or None
        for name, value in element.items():
            element.set(name, printable(value))


def _count(suite: ET.Element) -> None:
    cases = [*suite.iter("testcase")]
    suite.set("tests", str(len(cases)))
    for key, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len([c for c in cases if c.find(element) is not None])))
    suite.set("time", f"{sum(float(c.get('time', '0')) for c in cases):.3f}")
