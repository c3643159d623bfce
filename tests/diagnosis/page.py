"""The page ``docs/diagnosis.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from judge.doctor import AT_MOST, Grade, Kind, ToldLook, ToldRow
from steps.diagnosis import STANDING
from tests.diagnosis.results import Results, day
from tests.diagnosis.rows import Chapter, Row

_HEAD = f"""\
# The doctor's confusion matrix

What `conformance doctor` says of an install that the suite has broken: with one fault, with two at the same time, or with
a [red herring](../provision/herrings) and no fault. [faults.md](faults.md) has the faults. The suite asks it read-only,
without and with an admin session at Teleport (`--tctl`), and with `--allow namespaced` where reading settles nothing.

An answer is right (✓) if it names the cause of the fault first and no cause that is not so. A way that only reads may
leave open what nothing shows it. It may also narrow the cause down to a class (†) of causes that look alike from outside;
with probe pods the doctor must split the class. Of a sound install it must name nothing, and of a red herring nothing
but what that is. Some risks are in the lab from the beginning, because the guide asks for them ({{standing}}); the
doctor may name them last. One that only reads has {AT_MOST:g} s.

DX-1 to DX-9 certify the doctor by these rows, in [features/{{folder}}](../features/{{folder}}).
[internals.md](internals.md#the-doctors-matrix) says how to run them. `make docs` generates this page from the
features and from `docs/diagnosis.json`, the results of the runs; `make lint` checks that it is current.
"""

_TITLES = "| row | to be named first | asked | named first | also named | left open | s | requests | |"
_RULE = "|---|---|---|---|---|---|---|---|---|"
NOTHING = "nothing"
NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of the page.

    Attributes:
        row: The row, as the features have it.
        causes: The causes that the doctor must name first.
        told: What a run said; None where none did, or where the row had other causes then.
    """

    row: Row
    causes: tuple[str, ...]
    told: ToldRow | None


def page(chapters: Sequence[Chapter], results: Results | None, causes: Mapping[str, str], folder: str) -> str:
    """Return the page as Markdown.

    Args:
        chapters: The features of the profile.
        results: What runs said; None where nothing was run yet.
        causes: Causes by fault.
        folder: Folder of the features.
    """
    seen = {chapter: [_seen(chapter, row, results, causes) for row in chapter.rows] for chapter in chapters}
    every = [row for rows in seen.values() for row in rows]
    risks = ", ".join(sorted(STANDING))
    lines = [_HEAD.format(folder=folder, standing=risks), "## Result", "", *_summary(every, results)]
    for chapter, rows in seen.items():
        lines += [f"## {chapter.requirement}: {chapter.title}", "", chapter.prose, "", _TITLES, _RULE]
        lines += [line for row in rows for line in _lines(row)]
        lines.append("")
    return "\n".join(lines)


def _seen(chapter: Chapter, row: Row, results: Results | None, causes: Mapping[str, str]) -> Seen:
    wanted = tuple(causes.get(part, "") for part in row.parts) if row.kind in (Kind.FAULT, Kind.PAIR) else ()
    told = results.of(chapter.requirement, row.name) if results else None
    return Seen(row, wanted, told if told is not None and told.causes == wanted else None)


def _summary(rows: Sequence[Seen], results: Results | None) -> Iterator[str]:
    told = [row.told for row in rows if row.told is not None]
    wrong = [f"{row.name} ({row.requirement})" for row in told if not row.right]
    if results is not None:
        first, last = day(results.began), day(results.ended)
        when = f"on {first}" if first == last else f"from {first} to {last}"
        lab = ", ".join(f"{component} {version}" for component, version in results.lab.items())
        yield f"Run {when}, on commit {results.revision}, on a lab with {lab}."
        yield ""
    yield f"Of {len(rows)} rows, {len(told)} were run, and {len(told) - len(wrong)} of these are right."
    yield f"Off the diagonal: {', '.join(wrong) or (NOTHING if told else 'not known yet')}."
    yield ""


def _lines(seen: Seen) -> Iterator[str]:
    """Yield the lines of a row, one for each way in which the doctor was asked."""
    row = (seen.row.name, ", ".join(seen.causes) or NOTHING)
    if seen.told is None:
        yield _line(*row, NOT_RUN, *[""] * 6)
        return
    for look in seen.told.looks:
        yield _line(
            *row,
            look.way.value,
            look.first or NOTHING,
            ", ".join(look.also),
            _left_open(look),
            f"{look.seconds:.1f}",
            str(look.requests),
            "✓" if look.right else "✗",
        )
        row = ("", "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _left_open(look: ToldLook) -> str:
    left = [f"† {' or '.join(each)}" for each in look.classes]
    return "; ".join([*left, "not determined"] if look.grade is Grade.NOT_DETERMINED or look.undetermined else left)
