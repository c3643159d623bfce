"""What the mutants show: the share that was killed, and the survivors, each with what was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.mutants.points import points
from tests.mutants.sample import Module
from tests.mutants.trial import Fate, Trial

WANTED = 0.95

Known = dict[tuple[str, str], str]


def equivalent(file: Path) -> Known:
    """Mutations that do nothing, with the reason: by module and name.

    Raises:
        ValueError: An entry lacks a key or has no reason.
    """
    entries: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["equivalent"] or []
    for entry in entries:
        if set(entry) != {"module", "mutation", "why"} or not str(entry["why"]).strip():
            raise ValueError(f"{file}: expected the keys module, mutation and why; saw {entry}")
    return {(entry["module"], entry["mutation"]): entry["why"] for entry in entries}


@dataclass(frozen=True, slots=True)
class Result:
    """All trials of a run, and what is known to be equivalent."""

    trials: Sequence[Trial]
    known: Known

    @property
    def survivors(self) -> list[Trial]:
        """Mutants that no test noticed and that are not known to be equivalent."""
        return [t for t in self.trials if t.fate is Fate.SURVIVED and _key(t) not in self.known]

    @property
    def share(self) -> float:
        """Killed of all that are not equivalent; one that never ended counts as killed."""
        counted = [t for t in self.trials if _key(t) not in self.known]
        return 1 - len(self.survivors) / len(counted) if counted else 1.0

    def wrong_entries(self, modules: Sequence[Module]) -> list[str]:
        """Entries of the list of equivalent mutations that are not true."""
        there = {(module.path, point.name) for module in modules for point in points(module.tree)}
        killed = {_key(t) for t in self.trials if t.fate is not Fate.SURVIVED}
        return [
            f"{module}: {name}: " + ("was killed" if (module, name) in killed else "there is no such mutation")
            for module, name in self.known
            if (module, name) in killed or (module, name) not in there
        ]

    def lines(self) -> Iterator[str]:
        """The report, as Markdown."""
        fates = Counter(t.fate for t in self.trials)
        known = sum(t.fate is Fate.SURVIVED and _key(t) in self.known for t in self.trials)
        touched = {t.mutation.module.path for t in self.trials}
        yield f"# {self.share:.1%} of {len(self.trials) - known} mutants killed, in {len(touched)} modules"
        yield ""
        yield (
            f"{fates[Fate.KILLED]} killed, {fates[Fate.TIMED_OUT]} timed out, {len(self.survivors)} survived,"
            f" {known} equivalent; at least {WANTED:.0%} must be killed."
        )
        for path in dict.fromkeys(t.mutation.module.path for t in self.survivors):
            own = [t for t in self.survivors if t.mutation.module.path == path]
            tests = own[0].mutation.module.tests
            yield f"\n## {path}\n\nTests: {', '.join(tests) or 'none: no unit test mirrors or imports this module'}"
            for trial in own:
                point = trial.mutation.point
                yield f"\n`{point.name}`\n\n```diff\n@@ {path}:{point.line} @@"
                yield from (f"-{line}" for line in point.before.splitlines())
                yield from (f"+{line}" for line in point.after.splitlines())
                yield "```"


def _key(trial: Trial) -> tuple[str, str]:
    return trial.mutation.module.path, trial.mutation.point.name
