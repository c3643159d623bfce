"""Sentences that the terminal, JUnit and the page share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from facts.catalogue import About, Level
from facts.errors import WHAT_TO_DO, WHAT_WOULD_SETTLE_IT
from facts.finding import Holds
from facts.masks import lines
from judge.explain.found import Does, FoundCause
from judge.guide_defects import Presence, ToldDefect
from judge.mtls.peers import BY_IDENTITY, Refusal
from judge.mtls.prediction import Outcome
from judge.mtls.told import Cell
from judge.verdict import Authority, Ending, Judged, Result, Verdict, is_failed_proof
from reporting.model import Report, Scope
from reporting.writing.causes import (
    cause_unknown,
    causes_of,
    in_short,
    place_on_page,
    remedy_in_lines,
)

_WORDS_BY_LOOK = {
    ("✓", "good"): "pass completed passed yes absent",
    ("✕", "bad"): "fail violated no found",
    ("▲", "unsure"): "finding",
    ("!", "unsure"): "error inconclusive broke skipped-by-test unknown",
    ("?", "unsure"): "not-evaluated hidden",
    ("–", "quiet"): "partial skipped skipped-by-policy",
    ("~", "quiet"): "waived repaired",
    ("○", "quiet"): "not-applicable",
    ("·", "quiet"): "not-run noted",
}
LOOKS = {word: look for look, words in _WORDS_BY_LOOK.items() for word in words.split()}
"""The look of each verdict, ending, state, answer, presence and result, by its word, on the page and on the terminal: a
sign, so that colour is never the only difference, and a tone, which the style sheet and the terminal colour."""

MATRIX = 12
"""Classes of proxies of which the page shows a matrix; with more it would be too wide to read."""

PAIRS = 20
"""Pairs of classes that refuse each other of which the page and the terminal show one line each."""

MEANINGS = {
    "pass": "The requirement holds, and evidence shows it.",
    "fail": "A MUST does not hold.",
    "finding": "A SHOULD does not hold. The result stays the same, unless `--must` or `--strict-findings` makes it `fail`.",
    "error": "The suite tried and could not tell: a reading failed, or its answer has two meanings.",
    "not-evaluated": "The suite did not try: it lacked an input such as `--tctl`, or a premise, or the run ended before.",
    "skipped": "It needs an `--allow` that was not given.",
    "waived": "It does not hold, and a waiver accepts that until a date.",
    "not-applicable": "Evidence shows a condition under which the requirement has no meaning.",
}
"""The meaning of each word for a requirement's verdict; docs/report.md has the same."""


def first_line(text: str) -> str:
    """The first line of a text. Only a line break ends it; Python takes other characters of a reading for one as well."""
    return text.partition("\n")[0]


HOW_TO_READ_STEPS = (
    "Words in capitals, `teleport-system` and `tbot` stand for the names of your install. To apply a manifest:"
    " `envsubst < FILE | kubectl apply -f -`, with the variables of manifests/README.md set."
)

FINDING = "finding"
"""The word for a SHOULD that fails; where findings fail the run (strict), it is `fail` like any other."""

NOTED = "noted"
"""The word for a cause that was seen and neither breaks a requirement nor leaves one open."""

PREMISE = "premise"
"""The word for a requirement on the tools and credentials of a run: shown, and not counted."""

CLAIMED = "claimed"
"""The word for a verdict that rests on the Teleport that tbot's own configuration names."""

WORST_FIRST = ("fail", "error", "not-evaluated", FINDING)
"""The words that ask for something to be done."""


def word_of(report: Report, judged: Judged) -> str:
    """The word that people read for a requirement's verdict."""
    finding = judged.verdict is Verdict.FAIL and judged.requirement.level is Level.SHOULD and not report.strict
    return FINDING if finding else judged.verdict.value


def word_of_cause(report: Report, found: FoundCause) -> str:
    """The word for the worst that a cause does: the verdict of the first requirement that it breaks or leaves open.

    Where it does neither, the cause is `NOTED`.
    """
    first = found.on[0]
    if first.does is Does.WAIVED_IN:
        return Verdict.WAIVED.value
    judged = next(each for each in report.judged if each.requirement.id == first.requirement)
    return NOTED if first.does is Does.SEEN_BY else word_of(report, judged)


def qualities_of(judged: Judged) -> tuple[str, ...]:
    """What qualifies a verdict, one word each."""
    return tuple(word for word, is_so in ((PREMISE, judged.premise), (CLAIMED, judged.claimed)) if is_so)


def asides_of(report: Report, judged: Judged) -> str:
    """What people read behind a requirement: its word where that is no plain pass or fail, and what qualifies it."""
    word = word_of(report, judged)
    said = (*(() if word in (Verdict.PASS, Verdict.FAIL) else (word,)), *qualities_of(judged))
    return "".join(f" [{each}]" for each in said)


def chapter_of(profile: str) -> str:
    """The title of a profile's chapter; the page begins it with a capital."""
    return {"mtls": "mutual TLS"}.get(profile, profile)


def is_certified(report: Report) -> bool:
    """Whether a report is a certificate: a pass, and the identities came from Teleport itself."""
    return report.result is Result.PASS and report.authority is Authority.TELEPORT


def certified_in_words(report: Report) -> str:
    """The first line of a report."""
    rehearsal = " (a rehearsal against a stand-in)" if report.authority is Authority.STAND_IN else ""
    return f"Certified: {'yes' if is_certified(report) else f'no{rehearsal}'}"


def checks_in_words(report: Report) -> str:
    """The second line of a report: how many of the requirements that apply hold."""
    verdicts = Counter(judged.verdict for judged in report.judged)
    beside = verdicts[Verdict.NOT_APPLICABLE]
    aside = f"; {beside} {'does' if beside == 1 else 'do'} not apply" if beside else ""
    return f"{verdicts[Verdict.PASS]} of {len(report.judged) - beside} checks hold{aside}"


def look_of_run(report: Report) -> tuple[str, str]:
    """Sign and tone of a whole report: only a certificate looks good."""
    return LOOKS["partial"] if report.result is Result.PASS and not is_certified(report) else LOOKS[report.result]


def last_line_of(report: Report, exit_code: int) -> str:
    """Everything in one line: requirements by verdict, time, the exit code of the process."""
    numbers = dict(numbers_of(report))
    ordered = {"pass": numbers.pop("pass", 0)} | numbers
    parts = [f"{number} {_counted(word, number)}" for word, number in ordered.items()]
    parts += [clock((report.ended - report.started).total_seconds()), f"exit {exit_code}"]
    return f"{len(report.judged)}: {' · '.join(parts)}"


def _counted(word: str, number: int) -> str:
    return word if word != FINDING else "recommendation" if number == 1 else "recommendations"


def clock(seconds: float) -> str:
    """A time as ``4m02s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def numbers_of(report: Report) -> list[tuple[str, int]]:
    """The number of requirements with each verdict, worst first, without those that none has."""
    words = Counter(word_of(report, judged) for judged in report.judged)
    return [(w, words[w]) for w in (*WORST_FIRST, "waived", "skipped", "not-applicable", "pass") if words[w]]


def reasons_of(report: Report, judged: Judged, told_already: Collection[str] = ()) -> tuple[str, ...]:
    """The reasons why a requirement is not a pass; where scenarios give different ones, each with the name of its scenario.

    Args:
        judged: The requirement.
        told_already: Reasons that the reader has met.
    """
    names = {s.id: s.name for s in report.scenarios_of(judged.requirement.id)}
    told = [
        next(((n, r.removeprefix(f"{i}: ")) for i, n in names.items() if r.startswith(f"{i}: ")), ("", r))
        for r in judged.reasons
    ]
    fresh = [(name, reason) for name, reason in told if reason not in told_already]
    if len(names) == 1 or len({reason for _, reason in told}) == 1:
        return tuple(dict.fromkeys(reason for _, reason in fresh))
    return tuple(f"{name}: {reason}" if name else reason for name, reason in fresh)


def reasons_besides_findings(report: Report, judged: Judged) -> tuple[str, ...]:
    """The reasons why a requirement is not a pass, without what its findings say by subject."""
    findings = report.findings_of(judged.requirement.id)
    return reasons_of(report, judged, {f.compared() for f in findings if f.problems or f.unclear})


def unexplained(report: Report, *, off_page: bool = False) -> list[tuple[str, tuple[str, ...], list[Judged]]]:
    """The requirements that the list of causes does not explain, worst first: verdict, reasons in short, requirements.

    Those with one verdict for one and the same reason stand together; so do those that cannot hold before one and the same
    defect of the guide is repaired.

    Args:
        off_page: The reader is not on the page, and is told where the subjects are that a reason only counts.
    """
    groups: dict[tuple[str, object], list[Judged]] = {}
    for word in WORST_FIRST:
        for judged in report.judged:
            if word_of(report, judged) == word and not _is_explained(report, judged):
                before = defect_before(report, judged)
                key = before.defect.name if before else reasons_of(report, judged)
                groups.setdefault((word, key), []).append(judged)
    return [(word, _reasons_in_short(report, several, off_page=off_page), several) for (word, _), several in groups.items()]


def _reasons_in_short(report: Report, several: Sequence[Judged], *, off_page: bool) -> tuple[str, ...]:
    if defect_before(report, several[0]):
        return tuple(f"{j.requirement.id}: {r}" for j in several for r in reasons_of(report, j)[:1])
    reasons = "\n".join(first_line(reason) for reason in reasons_of(report, several[0]))
    for f in report.findings_of(several[0].requirement.id):
        page = place_on_page(several[0].requirement.id) if off_page else ""
        reasons = reasons.replace(f.compared(), f.compared(in_short((*f.problems, *f.unclear), f.where, page=page)))
    return tuple(lines(reasons))


def _is_explained(report: Report, judged: Judged) -> bool:
    """True if each scenario that did not end well says nothing but what shows a cause that the report lists."""
    shown = {cause.id for cause in report.causes}
    closed = (Ending.COMPLETED, Ending.NOT_APPLICABLE)
    open_ones = [s for s in report.scenarios_of(judged.requirement.id) if s.ending not in closed]
    return bool(open_ones) and all(
        any(
            f.requirement == judged.requirement.id
            and f.holds in (Holds.NO, Holds.UNKNOWN)
            and all(p.cause in shown for p in (*f.problems, *f.unclear))
            for f in s.all_findings
        )
        for s in open_ones
    )


def next_step(report: Report, reasons: Sequence[str], several: Sequence[Judged]) -> str:
    """The next step towards an answer in a few words, from the advice or the reasons; empty where neither names one."""
    for line in (*advice_on(report, several), *reasons):
        for label in (WHAT_WOULD_SETTLE_IT, WHAT_TO_DO):
            if step := line.partition(f"{label}: ")[2]:
                return step
    return ""


def defect_before(report: Report, judged: Judged) -> ToldDefect | None:
    """The found defect of the guide that keeps a requirement from holding until it is repaired, if there is one."""
    if judged.verdict not in (Verdict.FAIL, Verdict.ERROR) or judged.causes:
        return None
    if any(judged.requirement.id in told.shown_by for told in report.guide_defects):
        return None
    found = (told for told in report.guide_defects if told.presence is Presence.FOUND)
    return next((told for told in found if judged.requirement.id in told.defect.hides), None)


def guide_defects_of(report: Report) -> tuple[ToldDefect, ...]:
    """The guide's own defects, as a list to be read: all of them where the guide was installed, else those that were found.

    Empty where none of them was found.
    """
    found = tuple(told for told in report.guide_defects if told.presence is Presence.FOUND)
    return report.guide_defects if found and report.scope.install == "as-guide" else found


def way_on(report: Report, told: ToldDefect) -> str:
    """The option that shows what a defect hides, where this run has installed the guide.

    It takes the defect away, those that were found before it, and what was taken away already.
    """
    stopping = [t for t in report.guide_defects if t.defect.stops and t.presence is Presence.FOUND]
    if report.scope.install != "as-guide" or told not in stopping:
        return ""
    names = [t.defect.name for t in stopping[: stopping.index(told) + 1]]
    return f"--repair {','.join((*report.scope.repairs, *names))}"


_NOT_THE_INSTALL: Mapping[About, str] = {
    About.SUITE: "This requirement tests the suite itself: the suite is wrong, and the install need not be.",
    About.ISTIO: "This requirement proves again what Istio documents: Istio behaves differently here.",
}


def advice_on(report: Report, several: Sequence[Judged]) -> tuple[str, ...]:
    """Advice on requirements that have the same reasons, besides the remedies of their causes."""
    first = defect_before(report, several[0])
    if first is not None:
        return (
            f"The cause is not known. {WHAT_WOULD_SETTLE_IT}: repair what {', '.join(first.shown_by)} shows first "
            f"({first.defect.cause}), then run the suite again. {first.defect.stops}",
        )
    return tuple(dict.fromkeys(line for judged in several for line in _advice(report, judged)))


def _advice(report: Report, judged: Judged) -> Iterator[str]:
    fails = judged.verdict in (Verdict.FAIL, Verdict.WAIVED)
    if fails and judged.requirement.about in _NOT_THE_INSTALL:
        yield _NOT_THE_INSTALL[judged.requirement.about]
    if fails and not causes_of(report, judged):
        yield cause_unknown(report, judged)
    else:
        yield from (f"{WHAT_WOULD_SETTLE_IT}: {f.settle}" for f in report.findings_of(judged.requirement.id) if f.settle)


def hints_of(report: Report, judged: Judged) -> tuple[str, ...]:
    """Causes, remedies and advice for a requirement, complete, as lines of text."""
    named = (line for c in causes_of(report, judged) for line in (f"Cause: {c.sentence} ({c.id})", *remedy_in_lines(c)))
    return (*named, *advice_on(report, (judged,)))


def result_in_words(report: Report) -> str:
    """The headline of the result, with the self-tests and re-proofs for which it is inconclusive."""
    proofs = [j for j in report.judged if is_failed_proof(j)] if report.result is Result.INCONCLUSIVE else []
    failed, untried = (
        ", ".join(j.requirement.id for j in proofs if (j.verdict is Verdict.NOT_EVALUATED) is is_untried)
        for is_untried in (False, True)
    )
    words = [report.headline]
    words += [f"do not rely on the other verdicts before you know why {failed} did not hold"] if failed else []
    words += [f"run {untried} as well, which this run left out"] if untried else []
    return "; ".join(words)


def why_inconclusive(report: Report) -> str:
    """The reason for which a run is inconclusive although no verdict of it is open or bad, in one sentence."""
    why = (
        ["pytest ran only earlier failures again, which proves nothing about the rest"]
        if report.scope.rerun_of_failures
        else []
    )
    if report.scope.doubtful:
        why.append(f"nobody verified who answers on these lines: {'; '.join(report.scope.doubtful)}")
    return "; ".join(why) or "no MUST about the install passed in this run"


def teleport_in_words(report: Report) -> str:
    """The version of Teleport; of a stand-in, the one that it imitates. Empty where it is unknown."""
    version = report.facts.teleport_version
    return f"stand-in, imitates {version}" if version and report.authority is Authority.STAND_IN else version


def authority_in_words(authority: Authority, claimed: str = "") -> str:
    """The issuer of the identities, and what it means for the result.

    Args:
        authority: The issuer.
        claimed: See `reporting.model.Scope`.
    """
    if authority is Authority.UNKNOWN and claimed:
        return f"unknown: tbot's own configuration claims {claimed}; give the Teleport that you expect with --teleport-proxy"
    return {
        Authority.TELEPORT: "Teleport",
        Authority.STAND_IN: "a stand-in for Teleport: this run is a rehearsal and certifies nothing",
        Authority.UNKNOWN: "unknown, because the run ended before the suite asked Teleport",
    }[authority]


def scope_in_words(scope: Scope) -> str:
    """The scope of the result, in one line."""
    clusters = {
        "kind": "kind cluster made for this run",
        "kept": "kind cluster kept from an earlier run",
        "none": "no cluster",
    }
    how = "as the guide says" if scope.install == "as-guide" else "as recommended" if scope.repairs else ""
    parts = (
        f"profiles {', '.join(scope.profiles)}",
        clusters.get(scope.cluster, f"existing cluster {scope.context}"),
        how and f"installed {how}{', repaired: ' if scope.repairs else ''}{', '.join(scope.repairs)}",
        f"allowed {', '.join(scope.safety)}",
        scope.namespaces and f"namespaces {', '.join(scope.namespaces)}",
        scope.paths and f"only {', '.join(scope.paths)}",
        scope.keyword and f"only -k {scope.keyword!r}",
        scope.markers and f"only -m {scope.markers!r}",
        scope.rerun_of_failures and "rerun of earlier failures",
        scope.unverified and f"not verified: {', '.join(scope.unverified)}",
        scope.not_judged and f"not judged: {'; '.join(scope.not_judged)}",
        scope.left_out and f"left out of core: {'; '.join(scope.left_out)}",
        scope.claimed and f"asked the Teleport that tbot's configuration claims ({scope.claimed})",
        scope.doubtful and "so the result is inconclusive at best",
    )
    return "; ".join(part for part in parts if part)


def word_of_way(outcome: Outcome, reason: Refusal | None, *, declared_closed: bool = False) -> str:
    """The word whose look an outcome of handshakes has, which is that of what MTL-03 or MTL-04 makes of it.

    Args:
        reason: Why it is refused; None unless it is.
        declared_closed: The owner has declared that no way has to be open there.
    """
    if declared_closed:
        return "not-applicable"
    if outcome is Outcome.REFUSED:
        return "fail" if reason in BY_IDENTITY else FINDING
    return "pass" if outcome is Outcome.COMPLETED else FINDING


def word_of_cell(cell: Cell) -> str:
    """The word whose look a cell of the matrix of handshakes has."""
    return word_of_way(cell.outcome, cell.reason, declared_closed=cell.declared_closed)
