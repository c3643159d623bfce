"""What one run of the suite said, as its report has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Certified:
    """What one run of the suite said.

    Attributes:
        exit_code: Of pytest.
        result: Of the run.
        verdicts: By requirement.
        reasons: By requirement, for those that do not pass.
        causes: Ids of the causes that its negative findings name, by requirement, for those that have any.
        remedies: The steps that the report gives for those causes, by requirement.
        said: The run's terminal output.
        premises: Requirements that are premises of the run: where they do not hold, they are *not-evaluated*.
    """

    exit_code: int
    result: str
    verdicts: dict[str, str]
    reasons: dict[str, list[str]]
    causes: dict[str, list[str]]
    remedies: dict[str, list[str]]
    said: str
    premises: frozenset[str]

    @classmethod
    def told_by(cls, report: Any, *, exit_code: int, said: str) -> Certified:
        """Reads what the suite said from its parsed ``report.json``."""
        judged = {j["requirement"]["id"]: j for j in report["judged"]}
        steps = {cause["id"]: cause["remedy"] for cause in report["causes"]}
        causes = {requirement: j["causes"] for requirement, j in judged.items() if j["causes"]}
        return cls(
            exit_code=exit_code,
            result=report["result"],
            verdicts={requirement: j["verdict"] for requirement, j in judged.items()},
            reasons={requirement: j["reasons"] for requirement, j in judged.items() if j["reasons"]},
            causes=causes,
            remedies={requirement: [s for cause in named for s in steps[cause]] for requirement, named in causes.items()},
            said=said,
            premises=frozenset(requirement for requirement, j in judged.items() if j["premise"]),
        )

    def broken(self) -> set[str]:
        """Requirements that do not hold: those that fail, and the premises among them."""
        return self.having("fail") | (self.having("not-evaluated") & self.premises & self.causes.keys())

    def having(self, *verdicts: str) -> set[str]:
        """Requirements with one of these verdicts."""
        return {requirement for requirement, verdict in self.verdicts.items() if verdict in verdicts}
