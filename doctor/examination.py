"""An examination: every check of the table, several at once, each with its answer; none ends the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from checks.check import Case, Check, Needs, Part
from checks.realms import realms_of
from doctor.defects import REPORT_IT, defect
from facts.catalogue import Level, Requirement
from facts.errors import ConformanceError, NotApplicable
from facts.finding import Remark
from facts.proxies.presence import is_held_of_late, start_of
from facts.recorder import KeptInMemory
from judge.explain.diagnosis import Diagnosis, diagnosed
from judge.explain.found import Decisive
from judge.explain.results import CheckResult, Outcome, answered, as_premise
from observe.install import Install
from observe.proxies.facet import SURVEY
from observe.requests import Requests

AT_ONCE = 16
"""Checks at the same time. Most of them wait for the one pass over the proxies, which the others must not wait for."""


def examined(
    case: Case,
    parts: Sequence[Part],
    requirements: Mapping[str, Requirement],
    recorder: KeptInMemory,
    *,
    authority: Callable[[], str],
    requests: Requests,
) -> Diagnosis:
    """Run every check, and say what they show together.

    Args:
        case: The install.
        parts: The table.
        requirements: Of the catalogue, by id; they tell a premise from a promise, and a risk from harm.
        recorder: Has the readings.
        authority: Called after the checks, see `judge.explain.diagnosis.Diagnosis`.
        requests: Counts what is asked.
    """
    begun = time.monotonic()
    given = _given(case)
    table = [(part.name, check) for part in parts for check in part.checks]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check") as pool:
        checks = list(pool.map(lambda each: _checked(each[0], each[1], case, given, requirements), table))
    return diagnosed(
        checks,
        {key: Decisive(evidence.question, str(evidence.subject)) for key, evidence in recorder.evidence.items()},
        waiting=_waiting(case.install),
        proxies=_proxies(case.install),
        realms=realms_of(case.install),
        authority=authority(),
        requests=requests.made(),
        seconds=time.monotonic() - begun,
    )


def _given(case: Case) -> Collection[Needs]:
    there = {
        Needs.SESSION: bool(case.settings.tctl),
        Needs.PROBES: case.probes is not None,
        Needs.AUDIT_EVENTS: case.settings.audit_events is not None,
    }
    return {need for need, is_there in there.items() if is_there}


def _proxies(install: Install) -> frozenset[str]:
    """Names of the pods whose proxies were asked; none where the survey failed or was not needed."""
    survey = install.seen(SURVEY)
    return frozenset(str(pod.ref) for pod in survey.pods) if survey is not None else frozenset()


def _waiting(install: Install) -> Sequence[Remark]:
    """Pods that an init container of the application keeps from starting, which does not fail and may still end.

    One that has run for long may hang, so that nobody knows whether its pod will ever be as it should: that stays open.
    """
    survey = install.seen(SURVEY)
    held = (each for each in (survey.unread if survey else ()) if each.now and is_held_of_late(each.now, each.at))
    return [Remark(each.pod.ref, start_of(each.now, each.at).said) for each in held if each.now]


def _checked(
    section: str, check: Check, case: Case, given: Collection[Needs], requirements: Mapping[str, Requirement]
) -> CheckResult:
    requirement = requirements.get(check.requirement)
    harms = check.harms if requirement is None else requirement.level is Level.MUST
    blank = CheckResult(
        section, check.title, check.requirement, Outcome.NOT_RUN, "", harms=harms, of_effects=check.of_effects
    )
    if missing := [need for need in Needs if need in check.needs and need not in given]:
        return replace(blank, said=f"it needs {' and '.join(missing)}")
    try:
        answers = list(check.run(case))
    except NotApplicable as condition:
        return replace(blank, outcome=Outcome.NOT_APPLICABLE, said=condition.condition)
    except ConformanceError as error:
        return replace(blank, outcome=Outcome.UNKNOWN, said=error.compared, settle=error.remedy)
    except Exception as error:  # a defect of one check must not hide the answers of the others
        return replace(blank, outcome=Outcome.UNKNOWN, said=defect(error), settle=REPORT_IT)
    result = answered(blank, answers)
    return as_premise(result, PREMISE) if requirement is not None and requirement.premise else result


PREMISE = "give the doctor what the line says is missing, and run it again"
"""The next step where a premise does not hold."""
