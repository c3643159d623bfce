"""A diagnosis: the outcomes of checks, and the causes that they show, grouped and in order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from facts.catalogue import Requirement
from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from judge.explain.cause import CAUSES
from judge.explain.classes import as_they_may_be, told_apart
from judge.explain.found import Decisive, Does, FoundCause, OneOf, OnRequirement, Undetermined, statements_of, subjects_of
from judge.explain.order import About, explained
from judge.explain.realms import EVERYWHERE, UNKNOWN, Realms
from judge.explain.results import OF_EFFECTS, CheckResult, Outcome, by_requirement
from judge.explain.symptoms import Accounted
from judge.findings import few, listed

DECISIVE = 3
"""Readings that a cause rests on, at most; the first of each problem's own decides it."""


READ_ON = "look at the object that the line names, and run again"
"""The next step where nothing says what would settle a question."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the checks show.

    Attributes:
        checks: Every check with its answer, in the order of the table.
        causes: The causes that nothing else explains; the one that explains most comes first.
        classes: Classes of causes that cannot be told apart, likewise.
        effects: The causes that some of them explain, with the objects for which they do. Of one cause, some objects may be
            an effect, and the others a cause that nothing explains.
        undetermined: What is wrong without a known cause, and what could not be read.
        waiting: Pods that an init container of their own has kept from starting for some minutes at most. Their proxies
            could not be read, and nothing shows that anything is wrong.
        proxies: Names of all pods with a proxy, as problems name them.
        authority: Whose authority the certificates were held against, and who vouches for it.
        requests: Number of requests that were made, by kind.
        seconds: Time that it took.
        realms: Which objects belong together.
    """

    checks: tuple[CheckResult, ...]
    causes: tuple[FoundCause, ...]
    classes: tuple[OneOf, ...]
    effects: tuple[FoundCause, ...]
    undetermined: tuple[Undetermined, ...]
    waiting: tuple[Remark, ...]
    proxies: frozenset[str]
    authority: str
    requests: Mapping[str, int]
    seconds: float
    realms: Realms

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 nothing found, 1 a cause was named, 6 not determined or not all read.

        A risk explains nothing that is broken, so it does not hide what was not determined. What is so by design is nothing
        found.
        """
        if self.is_explained:
            return 1
        found = any(each.cause.id not in BY_DESIGN for each in self.causes)
        return 6 if self.undetermined else 1 if found else 0

    @property
    def roots(self) -> tuple[FoundCause | OneOf, ...]:
        """Causes and classes together, in the order in which to mend them: risks come last."""
        harming = [found for found in self.causes if found.harms]
        return (*harming, *self.classes, *(found for found in self.causes if not found.harms))

    @property
    def is_explained(self) -> bool:
        """True where a cause was named that breaks something."""
        return bool(self.classes) or any(found.harms for found in self.causes)


BY_DESIGN = frozenset({"ambient-by-design"})
"""Causes that are told so that nobody looks for another one: nothing is wrong, and nothing is to be mended."""


def diagnosed(
    checks: Sequence[CheckResult],
    readings: Mapping[str, Decisive],
    *,
    waiting: Sequence[Remark] = (),
    proxies: Collection[str] = (),
    realms: Realms = UNKNOWN,
    authority: str = "",
    requests: Mapping[str, int] | None = None,
    seconds: float = 0.0,
) -> Diagnosis:
    """Group what checks found by cause.

    Args:
        checks: The checks, in the order of the table.
        readings: By id of the evidence: the reading.
        waiting: See `Diagnosis`; that their proxies could not be read leaves nothing open.
        proxies: Names of all pods with a proxy.
        realms: Which objects belong together.
        authority: In words, see `Diagnosis`.
        requests: Number of requests that were made, by kind.
        seconds: Time that the checks took.
    """
    single, classes = told_apart([problem for check in checks for problem in check.problems], realms)
    found: list[Members] = [(_found(cause, shown, checks),) for cause, shown in single.items()]
    for ids, shown in classes.items():
        found.append(tuple(_found(cause, [each for each in shown if each.cause == cause], checks) for cause in ids))
    roots, effects = _sorted_out(found, realms, readings)
    return Diagnosis(
        checks=tuple(checks),
        causes=tuple(replace(root.members[0], explains=root.explains) for root in roots if len(root.members) == 1),
        classes=tuple(
            OneOf(root.members, _settled_by([each.cause.id for each in root.members]), root.explains)
            for root in roots
            if len(root.members) > 1
        ),
        effects=tuple(effects),
        undetermined=tuple(_undetermined(checks, found, {str(each.subject) for each in waiting}, realms)),
        waiting=tuple(waiting),
        proxies=frozenset(proxies),
        authority=authority,
        requests=dict(requests or {}),
        seconds=seconds,
        realms=realms,
    )


def explained_findings(
    findings: Iterable[Finding],
    requirements: Mapping[str, Requirement],
    readings: Mapping[str, Decisive] | None = None,
    *,
    of_effects: Collection[str] = OF_EFFECTS,
    realms: Realms = UNKNOWN,
) -> Diagnosis:
    """Group the findings of a run by cause, as the doctor's checks are grouped.

    Args:
        requirements: Of the catalogue, by id; their order is that of the results.
        readings: By id of the evidence: the reading.
        of_effects: Ids of the requirements whose findings are about those who feel a defect.
        realms: Which objects belong together.
    """
    return diagnosed(by_requirement(findings, requirements, of_effects), readings or {}, realms=realms)


def explained_by(diagnosis: Diagnosis) -> Mapping[str, tuple[str, ...]]:
    """By the id of a cause that shows only because of others: the ids of these. What nothing explains is not in it."""
    roots = {each for found in diagnosis.roots for each in found.ids}
    above: dict[str, dict[str, None]] = {}
    for effect in diagnosis.effects:
        if effect.cause.id not in roots:
            above.setdefault(effect.cause.id, {}).update(dict.fromkeys(effect.explained_by))
    return {cause: tuple(by) for cause, by in above.items()}


def _cautioned(found: FoundCause, realms: Realms) -> FoundCause:
    """A cause with what to make sure of, where some of its objects may belong to a mesh that has nothing of Teleport's."""
    others = {subject: titles for subject in found.subjects if (titles := realms.maybe_of_others(subject))}
    if not others:
        return found
    planes = {title for titles in others.values() for title in titles}
    rest = few([subject for subject in others if str(subject) not in planes])
    return replace(
        found,
        caution=f"See first whether {listed(planes)} belongs to another mesh: its trust domain is not Teleport's cluster"
        f" name, as that of {listed(realms.meant)} is. If so, leave it as it is{f', and {rest}' if rest else ''}. There is"
        " no setting by which the doctor leaves a mesh out.",
    )


Members = tuple[FoundCause, ...]
"""A cause alone, or the causes of a class."""


@dataclass(frozen=True, slots=True)
class _Root:
    """A cause or a class that nothing else explains, with the ids of what it explains."""

    members: Members
    explains: tuple[str, ...]


def _sorted_out(
    found: Sequence[Members], realms: Realms, readings: Mapping[str, Decisive]
) -> tuple[list[_Root], list[FoundCause]]:
    """The causes and classes that nothing else explains, in order, and the effects: object by object."""
    ids = [[each.cause.id for each in members] for members in found]
    objects = [subjects_of(problem for each in members for problem in each.shown) for members in found]
    sorted_out = explained(
        ids,
        {cause.id: cause.explains for cause in CAUSES.values()},
        lambda at: int(not any(each.harms for each in found[at])),
        [[About(realms.reached_from(each), realms.with_(each)) for each in of_one] for of_one in objects],
    )

    def part(place: int, there: Collection[ObjectRef]) -> Members:
        """What was found at a place, as far as it is about some objects."""
        return tuple(_cautioned(_about(each, there, readings), realms) for each in found[place])

    roots = []
    for root in sorted_out.roots:
        left = [each for each, above in zip(objects[root], sorted_out.under[root], strict=True) if not above]
        explains = dict.fromkeys(cause for effect in sorted_out.effects[root] for cause in ids[effect])
        roots.append(_Root(part(root, left), tuple(explains)))
    effects: list[FoundCause] = []
    for place in dict.fromkeys(effect for root in sorted_out.roots for effect in sorted_out.effects[root]):
        by_roots: dict[frozenset[int], list[ObjectRef]] = {}
        for each, above in zip(objects[place], sorted_out.under[place], strict=True):
            if above:
                by_roots.setdefault(above, []).append(each)
        for above, there in by_roots.items():
            by = tuple(cause for root in sorted_out.roots if root in above for cause in ids[root])
            effects += [replace(each, explained_by=by) for each in part(place, there)]
    return roots, effects


def _about(found: FoundCause, objects: Collection[ObjectRef], readings: Mapping[str, Decisive]) -> FoundCause:
    """A cause, as far as it is about some objects."""
    names = {str(each) for each in objects}
    shown = tuple(problem for problem in found.shown if str(problem.subject) in names)
    return replace(found, shown=shown, rests_on=_rests_on(shown, readings))


def _found(cause: str, shown: Sequence[Problem], checks: Sequence[CheckResult]) -> FoundCause:
    naming = [check for check in checks if any(problem.cause == cause for problem in check.problems)]
    of_objects = {problem for check in naming if not check.of_effects for problem in check.problems}
    having = _in_full(problem for problem in shown if problem in of_objects)
    feeling = _in_full(problem for problem in shown if problem not in of_objects)
    harms = any(check.harms for check in naming)
    felt, shown = (feeling, having) if having else ((), feeling)
    return FoundCause(CAUSES[cause], shown, _on(cause, naming), harms, felt)


def _on(cause: str, naming: Sequence[CheckResult]) -> tuple[OnRequirement, ...]:
    """What a cause does to the requirements of the checks that name it."""
    shown: dict[str, list[Problem]] = {}
    for check in naming:
        if check.requirement:
            shown.setdefault(check.requirement, []).extend(each for each in check.problems if each.cause == cause)
    return tuple(OnRequirement(each, Does.BREAKS, tuple(problems)) for each, problems in shown.items())


def _in_full(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems, each once, without those of which another one about the same subject says more in the same words."""
    each_once = tuple(dict.fromkeys(problems))
    by_subject: dict[str, list[str]] = {}
    for problem in each_once:
        by_subject.setdefault(str(problem.subject), []).append(problem.said)
    return tuple(
        problem
        for problem in each_once
        if not any(said != problem.said and said.startswith(problem.said) for said in by_subject[str(problem.subject)])
    )


def _rests_on(shown: Sequence[Problem], readings: Mapping[str, Decisive]) -> tuple[Decisive, ...]:
    """The deciding readings: of each problem the first one, then its second one, until there are enough."""
    deepest = max((len(problem.evidence) for problem in shown), default=0)
    ids = [problem.evidence[at] for at in range(deepest) for problem in shown if at < len(problem.evidence)]
    return tuple(dict.fromkeys(readings[each] for each in ids if each in readings))[:DECISIVE]


def _settled_by(ids: Sequence[str]) -> str:
    words = [words for cause in ids if (words := CAUSES[cause].settled_by)]
    signs = [each.told_by for cause in ids for each in CAUSES[cause].told_from if each.cause in ids]
    return " ".join(dict.fromkeys(words or signs)) or READ_ON


IDENTITY = ("ID-02", "ID-03", "ID-06")
"""Requirements on who a proxy is and whom it trusts: no cause of the same pod makes a problem with them its symptom."""


def _undetermined(
    checks: Sequence[CheckResult], found: Sequence[Members], waiting: Collection[str], realms: Realms
) -> Iterable[Undetermined]:
    """Problems and open points that no cause accounts for, the same words of several subjects once.

    What a check says of an object of which it names a cause as well is a symptom: the line of the check says it. So is what
    fails, by its symptoms, because of a cause that reaches the object. What could not be read of an object that has
    a cause, or waits, leaves nothing open.
    """
    ill = {str(subject) for members in found for each in members if each.harms for subject in each.subjects}
    symptoms = _symptoms(checks, found, realms)
    told: dict[str, Undetermined] = {}
    settled = ill.union(waiting)
    for check in checks:
        named = {str(problem.subject) for problem in check.problems if problem.cause} if check.harms else set()
        accounted = set() if check.requirement in IDENTITY else named
        open_ones = [
            *(
                problem
                for problem in check.problems
                if not problem.cause
                and str(problem.subject) not in accounted
                and not symptoms.has(check.requirement, _lies_in(problem.subject, realms, check.requirement))
            ),
            *(problem for problem in check.unclear if str(problem.subject) not in settled),
        ]
        if check.outcome is Outcome.UNKNOWN and not check.unclear:
            told.setdefault(check.said, Undetermined(check.said, check.settle or READ_ON))
        for said in statements_of(open_ones):
            subjects = subjects_of(problem for problem in open_ones if problem.said == said)
            whole = f"{few(subjects)}: {said}"
            told.setdefault(whole, Undetermined(whole, check.settle or READ_ON, subjects))
    return told.values()


def _symptoms(checks: Iterable[CheckResult], found: Iterable[Members], realms: Realms) -> Accounted:
    """What the causes that were found account for, each where it reaches; a class does as each of its members would.

    A class that another problem has settled is among the problems of the checks alone.
    """
    named = {each.cause.id for members in found for each in members if each.harms or len(members) > 1}
    return Accounted(
        (problem.cause, problem.subject.kind, realms.extent_of(problem.subject))
        for problem in as_they_may_be(each for check in checks for each in check.problems)
        if problem.cause in named
    )


def _lies_in(subject: ObjectRef, realms: Realms, requirement: str) -> frozenset[str] | None:
    """The realms of an object; None for what is no object of an API, such as a sum over all proxies.

    Who a proxy is follows only from a cause that names it, its node or what serves it: a wrong template that reaches
    everywhere gives no pod the name of another one.
    """
    if not subject.kind:
        return None
    return realms.with_(subject) - ({EVERYWHERE} if requirement in IDENTITY else set())
