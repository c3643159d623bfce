"""Commands for ``docs/diagnosis.md``.

``python -m tests.diagnosis merge REPORT…`` puts the reports of some runs together, each a ``report.json`` of the profile
diagnosis on one commit, and writes results and page. ``page`` writes the page from the results that are there. ``lint``
checks rows and page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from facts.errors import BadInput
from provision.faults import FAULTS
from provision.faults.coverage import read_listed
from provision.herrings import HERRINGS
from tests.diagnosis.page import page
from tests.diagnosis.results import merged, read_reports, read_results, write_results
from tests.diagnosis.rows import FOLDER, WITHOUT_ROW, chapters, lint_rows

FEATURES = Path("features")
RESULTS, PAGE = Path("docs/diagnosis.json"), Path("docs/diagnosis.md")


def main(arguments: list[str]) -> int:
    """Run the one command given, and return the exit code."""
    command, *files = arguments or [""]
    if command not in ("merge", "page", "lint") or bool(files) is not (command == "merge"):
        sys.stderr.write("usage: python -m tests.diagnosis merge REPORT… | page | lint\n")
        return 4
    try:
        if command == "merge":
            write_results(RESULTS, merged(read_reports([Path(file) for file in files])))
        found = chapters(FEATURES)
        causes = {fault.name: fault.cause for fault in FAULTS.values()}
        written = page(found, read_results(RESULTS), causes, FOLDER)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 4
    if command in ("merge", "page"):
        PAGE.write_text(written, encoding="utf-8")
        return 0
    wrong = [*lint_rows(found, FAULTS, HERRINGS, dict(read_listed(FEATURES / FOLDER / WITHOUT_ROW)))]
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != written:
        wrong.append(f"{PAGE} is not current: run make docs")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
