"""What one run of the suite said, as its report has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certified:
    """What one run of the suite said.

    Attributes:
        exit_code: Of pytest.
        result: Of the run.
        verdicts: By requirement.
        reasons: By requirement, for those that do not pass.
        said: The run's terminal output.
    """

    exit_code: int
    result: str
    verdicts: dict[str, str]
    reasons: dict[str, list[str]]
    said: str

    def having(self, *verdicts: str) -> set[str]:
        """Requirements with one of these verdicts."""
        return {requirement for requirement, verdict in self.verdicts.items() if verdict in verdicts}
