"""A diagnosis: the outcomes of checks, and the causes that they show, grouped and in order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.causes import CAUSES, Cause, LooksLike
from judge.diagnosis.order import explained

DECISIVE = 3
"""Readings that a cause rests on, at most; the first of each problem's own decides it."""


IN_PLACES = ("Pod", "Node")
"""Kinds of subjects that lie somewhere. What names none of these is about the install: a token, a template, a role."""

EVERYWHERE = ""
"""The place of what is about the install."""

READ_ON = "look at the object that the line names, and run again"
"""The next step where nothing says what would settle a question."""


class Outcome(StrEnum):
    """The answer of one check."""

    HOLDS = "holds"
    PROBLEM = "problem"
    UNKNOWN = "could not tell"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Checked:
    """One check and its answer.

    Attributes:
        section: Part of the install that it is about, such as ``tbot``.
        title: What must be so.
        requirement: Id of the requirement whose judgment it runs; empty for a rule of the diagnosis alone.
        outcome: The answer.
        said: The answer in one sentence.
        problems: What is wrong, by subject.
        unclear: What could not be determined, by subject.
        settle: Next step that would settle what is unclear.
        harms: False for what breaks nothing today: a SHOULD, a risk.
        of_effects: Its problems are about those who feel a defect, such as a proxy that refuses its peer's certificate. The
            object that has the defect is another one.
    """

    section: str
    title: str
    requirement: str
    outcome: Outcome
    said: str
    problems: tuple[Problem, ...] = ()
    unclear: tuple[Problem, ...] = ()
    settle: str = ""
    harms: bool = True
    of_effects: bool = False


@dataclass(frozen=True, slots=True)
class Decisive:
    """One reading that a cause rests on.

    Attributes:
        question: The command line, API path or URL, as a person could repeat it.
        about: Its object.
    """

    question: str
    about: str


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that checks name.

    Attributes:
        cause: The cause.
        shown: Every problem that names it and is about an object that has it, each once; where no check looks at that
            object, the problems of those who feel it.
        felt: The problems of those who feel it, where others show it.
        requirements: Ids of the requirements whose judgments name it.
        harms: False where only checks name it that find risks.
        rests_on: The readings that decide it, the most decisive one first.
        explains: Ids of the causes that were found and that it explains.
    """

    cause: Cause
    shown: tuple[Problem, ...]
    felt: tuple[Problem, ...]
    requirements: tuple[str, ...]
    harms: bool
    rests_on: tuple[Decisive, ...]
    explains: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[ObjectRef, ...]:
        """The objects that it is about, each once."""
        return subjects_of(self.shown)

    @property
    def said(self) -> tuple[str, ...]:
        """What is said about them, each statement once, that about the most subjects first."""
        return statements_of(self.shown)

    @property
    def otherwise(self) -> tuple[LooksLike, ...]:
        """The causes that look alike, with the sign that would have shown them instead."""
        return self.cause.told_from


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Causes that the readings do not tell apart: one of them is so.

    Attributes:
        causes: Each of them.
        settled_by: What would tell them apart.
        explains: Ids of the causes that were found and that each of them would explain.
    """

    causes: tuple[FoundCause, ...]
    settled_by: str
    explains: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the causes."""
        return tuple(each.cause.id for each in self.causes)


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Something that is wrong without a known cause, or that could not be read.

    Attributes:
        said: The statement, with its subjects.
        settle: What would settle it.
        subjects: Them, each once; none for a reading that failed.
    """

    said: str
    settle: str
    subjects: tuple[ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the checks show.

    Attributes:
        checks: Every check with its answer, in the order of the table.
        causes: The causes that nothing else explains; the one that explains most comes first.
        classes: Classes of causes that cannot be told apart, likewise.
        effects: The causes that one of them explains.
        undetermined: What is wrong without a known cause, and what could not be read.
        proxies: Names of all pods with a proxy, as problems name them.
        authority: Whose authority the certificates were held against, and who vouches for it.
        requests: Number of requests that were made, by kind.
        seconds: Time that it took.
    """

    checks: tuple[Checked, ...]
    causes: tuple[FoundCause, ...] = ()
    classes: tuple[Ambiguous, ...] = ()
    effects: tuple[FoundCause, ...] = ()
    undetermined: tuple[Undetermined, ...] = ()
    proxies: frozenset[str] = frozenset()
    authority: str = ""
    requests: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 nothing found, 1 a cause was named, 6 not determined or not all read.

        A risk explains nothing that is broken, so it does not hide what was not determined.
        """
        if self.is_explained:
            return 1
        return 6 if self.undetermined else 1 if self.causes else 0

    @property
    def roots(self) -> tuple[FoundCause | Ambiguous, ...]:
        """Causes and classes together, in the order in which to mend them: risks come last."""
        harming = [found for found in self.causes if found.harms]
        return (*harming, *self.classes, *(found for found in self.causes if not found.harms))

    @property
    def is_explained(self) -> bool:
        """True where a cause was named that breaks something."""
        return bool(self.classes) or any(found.harms for found in self.causes)


def diagnosed(
    checks: Sequence[Checked],
    readings: Mapping[str, Decisive],
    *,
    proxies: Collection[str] = (),
    nodes: Mapping[str, str] | None = None,
    authority: str = "",
    requests: Mapping[str, int] | None = None,
    seconds: float = 0.0,
) -> Diagnosis:
    """Group what checks found by cause.

    Args:
        checks: The checks, in the order of the table.
        readings: By id of the evidence: the reading.
        proxies: Names of all pods with a proxy.
        nodes: By the name of a pod, as problems have it: its node.
        authority: In words, see `Diagnosis`.
        requests: Number of requests that were made, by kind.
        seconds: Time that the checks took.
    """
    single, classes = told_apart([problem for check in checks for problem in check.problems])
    found: list[FoundCause | Ambiguous] = [_found(cause, shown, checks, readings) for cause, shown in single.items()]
    for ids, shown in classes.items():
        members = tuple(
            _found(cause, tuple(each for each in shown if each.cause == cause), checks, readings) for cause in ids
        )
        found.append(Ambiguous(members, _settled_by(ids)))
    ids_of = [(each.cause.id,) if isinstance(each, FoundCause) else each.ids for each in found]
    where = [_nodes(each, nodes or {}) for each in found]
    sorted_out = explained(
        ids_of,
        {cause.id: cause.explains for cause in CAUSES.values()},
        lambda at: _weight(found[at]),
        lambda effect, cause: _is_within(where[effect], where[cause]),
    )
    roots, effects = [], []
    for place in sorted_out.roots:
        under = [cause for effect in sorted_out.effects[place] for cause in ids_of[effect]]
        roots.append(replace(found[place], explains=tuple(dict.fromkeys(under))))
    for place in dict.fromkeys(effect for root in sorted_out.roots for effect in sorted_out.effects[root]):
        each = found[place]
        effects += [each] if isinstance(each, FoundCause) else list(each.causes)
    return Diagnosis(
        checks=tuple(checks),
        causes=tuple(each for each in roots if isinstance(each, FoundCause)),
        classes=tuple(each for each in roots if isinstance(each, Ambiguous)),
        effects=tuple(effects),
        undetermined=tuple(_undetermined(checks, found, nodes or {})),
        proxies=frozenset(proxies),
        authority=authority,
        requests=dict(requests or {}),
        seconds=seconds,
    )


Single = dict[str, tuple[Problem, ...]]
"""By cause: the problems that name it alone."""

Classes = dict[tuple[str, ...], tuple[Problem, ...]]
"""By the causes of a class: the problems that name one of them each, and the others of the same subject as well."""


def told_apart(problems: Iterable[Problem]) -> tuple[Single, Classes]:
    """Problems by cause; those that say the same of one subject with several causes are one class.

    The class is settled where another problem names one of these causes alone, and is about the same subject or about no
    pod and no node: a role without rights leaves every pod without a certificate.
    """
    said: dict[tuple[str, str], dict[str, Problem]] = {}
    for problem in problems:
        if problem.cause:
            said.setdefault((str(problem.subject), problem.said), {}).setdefault(problem.cause, problem)
    alone = {
        (subject if problem.subject.kind in IN_PLACES else EVERYWHERE, cause)
        for (subject, _), by in said.items()
        if len(by) == 1
        for cause, problem in by.items()
    }
    single: dict[str, list[Problem]] = {}
    classes: dict[tuple[str, ...], list[Problem]] = {}
    for (subject, _), by in said.items():
        if len(by) == 1:
            for cause, problem in by.items():
                single.setdefault(cause, []).append(problem)
        elif not any((where, cause) in alone for cause in by for where in (subject, EVERYWHERE)):
            classes.setdefault(tuple(sorted(by)), []).extend(by.values())
    return {c: tuple(shown) for c, shown in single.items()}, {ids: tuple(shown) for ids, shown in classes.items()}


def subjects_of(problems: Iterable[Problem]) -> tuple[ObjectRef, ...]:
    """The subjects of some problems, each once."""
    return tuple({str(problem.subject): problem.subject for problem in problems}.values())


def statements_of(problems: Iterable[Problem]) -> tuple[str, ...]:
    """What some problems say, each statement once, that about the most subjects first."""
    about: dict[str, set[str]] = {}
    for problem in problems:
        about.setdefault(problem.said, set()).add(str(problem.subject))
    return tuple(sorted(about, key=lambda said: -len(about[said])))


def _found(
    cause: str, shown: tuple[Problem, ...], checks: Sequence[Checked], readings: Mapping[str, Decisive]
) -> FoundCause:
    naming = [check for check in checks if any(problem.cause == cause for problem in check.problems)]
    of_objects = {problem for check in naming if not check.of_effects for problem in check.problems}
    having = _in_full(problem for problem in shown if problem in of_objects)
    feeling = _in_full(problem for problem in shown if problem not in of_objects)
    shown = having or feeling
    return FoundCause(
        CAUSES[cause],
        shown,
        feeling if having else (),
        tuple(dict.fromkeys(check.requirement for check in naming if check.requirement)),
        any(check.harms for check in naming),
        _rests_on(shown, readings),
    )


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


def _nodes(found: FoundCause | Ambiguous, nodes: Mapping[str, str]) -> frozenset[str]:
    """The nodes that something is about; none where it is about the whole install, or its place is not known."""
    members = (found,) if isinstance(found, FoundCause) else found.causes
    subjects = [subject for each in members for subject in each.subjects]
    there = {subject.name if subject.kind == "Node" else nodes.get(str(subject), "") for subject in subjects}
    return frozenset() if "" in there else frozenset(there)


def _is_within(effect: frozenset[str], cause: frozenset[str]) -> bool:
    return not effect or not cause or effect <= cause


def _weight(found: FoundCause | Ambiguous) -> int:
    members = (found,) if isinstance(found, FoundCause) else found.causes
    return 0 if any(each.harms for each in members) else 1


def _undetermined(
    checks: Iterable[Checked], found: Iterable[FoundCause | Ambiguous], nodes: Mapping[str, str]
) -> Iterable[Undetermined]:
    """Problems and open points that no cause accounts for, the same words of several subjects once.

    What is wrong with a pod that has a cause or whose node has one, or could not be read of it, is taken for a symptom: the
    line of its check says it.
    """
    members = [cause for each in found for cause in ((each,) if isinstance(each, FoundCause) else each.causes)]
    ill = {str(subject) for each in members if each.harms for subject in each.subjects}
    told: dict[str, Undetermined] = {}
    for check in checks:
        without_cause = [problem for problem in check.problems if not problem.cause]
        open_ones = [
            problem
            for problem in (*without_cause, *check.unclear)
            if not {str(problem.subject), f"Node {nodes.get(str(problem.subject))}"} & ill
        ]
        if check.outcome is Outcome.UNKNOWN and not check.unclear:
            told.setdefault(check.said, Undetermined(check.said, check.settle or READ_ON))
        for said in statements_of(open_ones):
            subjects = subjects_of(problem for problem in open_ones if problem.said == said)
            more = f" and {len(subjects) - DECISIVE} more" if len(subjects) > DECISIVE else ""
            whole = f"{', '.join(str(subject) for subject in subjects[:DECISIVE])}{more}: {said}"
            told.setdefault(whole, Undetermined(whole, check.settle or READ_ON, subjects))
    return told.values()
