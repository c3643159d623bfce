"""``python -m provision.faults lint`` sees that every requirement has its fault; ``page`` writes ``docs/faults.md``."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from facts.catalogue import parse_catalogue
from provision.faults import FAULTS
from provision.faults.coverage import WITHOUT_FAULT, lint_coverage, read_listed
from provision.faults.page import page

FEATURES, PAGE = Path("features"), Path("docs/faults.md")


def main(arguments: list[str]) -> int:
    """Does what the one word of the command line says; returns the exit code.

    Raises:
        BadInput: The catalogue cannot be read.
    """
    catalogue = parse_catalogue(yaml.safe_load((FEATURES / "catalogue.yaml").read_text(encoding="utf-8")))
    written = page(catalogue, FAULTS.values(), dict(read_listed(FEATURES / WITHOUT_FAULT)))
    if arguments == ["page"]:
        PAGE.write_text(written, encoding="utf-8")
        return 0
    if arguments != ["lint"]:
        sys.stderr.write("usage: python -m provision.faults lint|page\n")
        return 4
    wrong = [*lint_coverage(FEATURES / WITHOUT_FAULT, catalogue, FAULTS.values())]
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != written:
        wrong.append(f"{PAGE} is not what the faults say: make docs")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
