"""``python -m provision.faults lint`` checks that requirements and causes have faults; ``page`` writes docs/faults.md."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from facts.catalogue import parse_catalogue
from provision.faults import FAULTS
from provision.faults.coverage import CAUSES_WITHOUT_FAULT, WITHOUT_FAULT, lint_causes, lint_coverage, read_listed
from provision.faults.page import page

FEATURES, PAGE = Path("features"), Path("docs/faults.md")
CAUSES = (Path("judge/explain/causes"),)
"""Directories of causes, read as files: provision does not import judge."""


def main(arguments: list[str]) -> int:
    """Run the one command given, ``lint`` or ``page``, and return the exit code.

    Raises:
        BadInput: The catalogue cannot be read.
    """
    catalogue = parse_catalogue(yaml.safe_load((FEATURES / "catalogue.yaml").read_text(encoding="utf-8")))
    topics = [yaml.safe_load(path.read_text(encoding="utf-8")) for each in CAUSES for path in each.glob("*.yaml")]
    topics.sort(key=lambda topic: int(topic["place"]))
    causes = {cause["id"]: cause["sentence"] for topic in topics for cause in topic["causes"]}
    without, causes_without = dict(read_listed(FEATURES / WITHOUT_FAULT)), dict(read_listed(CAUSES_WITHOUT_FAULT))
    written = page(catalogue, FAULTS.values(), without, causes, causes_without)
    if arguments == ["page"]:
        PAGE.write_text(written, encoding="utf-8")
        return 0
    if arguments != ["lint"]:
        sys.stderr.write("usage: python -m provision.faults lint|page\n")
        return 4
    wrong = [*lint_coverage(FEATURES / WITHOUT_FAULT, catalogue, FAULTS.values())]
    wrong += lint_causes(CAUSES_WITHOUT_FAULT, causes, FAULTS.values())
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != written:
        wrong.append(f"{PAGE} is not current: run make docs")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
