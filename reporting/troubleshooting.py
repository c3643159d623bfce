"""The page about the guide's troubleshooting, ``docs/troubleshooting.md``, which is generated from the causes.

``python -m reporting.troubleshooting page`` writes it; ``lint`` checks that it is current.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from judge.explain.cause import CAUSES, Cause
from reporting.writing.causes import indented, numbered

FILE = Path(__file__).with_name("troubleshooting.yaml")
PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"

HELPS = {
    "yes": "The guide's remedy helps.",
    "no": "The guide's remedy does not help.",
    "partly": "The guide's remedy helps partly.",
}


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter of the guide's troubleshooting.

    Attributes:
        number: As causes name it.
        symptom: What somebody sees.
        says: What the guide says about it, in our own words.
        so: What is so.
    """

    number: int
    symptom: str
    says: str
    so: str


def chapters() -> tuple[Chapter, ...]:
    """Return the chapters, as ``troubleshooting.yaml`` beside this module has them."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(Chapter(number, **entry) for number, entry in enumerate(document, 1))


_HEAD = """\
# The guide's troubleshooting, chapter by chapter

The guide's troubleshooting has six chapters. Each has a symptom and one remedy. Behind each symptom stand several
causes, and the remedy fits one of them at best. This page says for each chapter what the guide says, what is so, and
for each cause that the suite knows how to tell it and what to do. The seventh chapter is what readers of the guide
meet next.

`conformance doctor` names these causes by itself ([doctor.md](doctor.md)), and in a report each requirement that does not
hold shows its cause with the remedy ([broken-mesh.md](broken-mesh.md)).
[faults.md](faults.md) has the fault by which each cause was proved.

`make docs` generates this page from [judge/explain/causes](../judge/explain/causes). `make lint` checks that it is current.
"""


def page(causes: Iterable[Cause]) -> str:
    """Return the page as Markdown.

    Args:
        causes: All causes, in the order of the page.
    """
    known = list(causes)
    lines = [_HEAD]
    for chapter in chapters():
        lines += [f"## {chapter.number}. {chapter.symptom}", "", f"**The guide says:** {chapter.says}", ""]
        lines += [f"**What is so:** {chapter.so}", ""]
        lines += _table(its := [cause for cause in known if cause.guide and cause.guide.chapter == chapter.number])
        for cause in its:
            lines += ["", *_section(cause, {each.id for each in known if each.guide is not None})]
        lines.append("")
    others = [cause for cause in known if cause.guide is None]
    lines += ["## Causes with none of these symptoms", "", "Nothing breaks at once where one of these is so.", ""]
    lines += [f"- {cause.id}: {cause.sentence}" for cause in others]
    return "\n".join(lines) + "\n"


def _table(causes: Iterable[Cause]) -> list[str]:
    told = ((cause, cause.guide) for cause in causes if cause.guide is not None)
    rows = (f"| [{cause.id}](#{cause.id}) | {cause.sentence} | {guide.helps} |" for cause, guide in told)
    return ["| cause | what is wrong | does the guide's remedy help? |", "|---|---|---|", *rows]


def _section(cause: Cause, on_page: Collection[str]) -> Iterator[str]:
    """Yield the lines of one cause; `on_page` are the ids of the causes that have a section."""
    yield from (f"### {cause.id}", "", cause.sentence, "")
    if cause.guide is not None:
        yield f"- {HELPS[cause.guide.helps]} {cause.guide.why}"
    yield f"- How to tell: {cause.shown_by}"
    for other in cause.told_from:
        name = f"[{other.cause}](#{other.cause})" if other.cause in on_page else other.cause
        yield f"- Not {name}: {other.told_by}"
    yield "- What to do:"
    yield from indented(numbered(cause.remedy), 2)
    yield f"- How to check: {cause.check}"


def main(arguments: list[str]) -> int:
    """Run the one command given, ``lint`` or ``page``, and return the exit code."""
    text = page(CAUSES.values())
    if arguments == ["page"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if arguments != ["lint"]:
        sys.stderr.write("usage: python -m reporting.troubleshooting lint|page\n")
        return 4
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stdout.write(f"{PAGE.relative_to(PAGE.parents[1])} is not current: run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
