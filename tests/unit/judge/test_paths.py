"""TRF-07: which spellings of a path lead outside, and which do not."""

from __future__ import annotations

import pytest

from facts.finding import Finding
from facts.guide import Defect
from facts.ledger import Exchange, Outcome
from judge import paths as judge
from judge.paths import meant
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.exchanges import EVIDENCE, PAIR, exchange, request, word


class TestPaths:
    def asked(self, *answers: tuple[str, Outcome, str]) -> Exchange:
        """Requests by path as it was sent, outcome, and path as it arrived."""
        return exchange(
            *(
                request(outcome, word(target=arrived) if arrived else None, url=f"http://beta.run:8080{path}")
                for path, outcome, arrived in answers
            )
        )

    def told_apart(self, *answers: tuple[str, Outcome, str]) -> Finding:
        return judge.policy_tells_paths_apart(PAIR, self.asked(*answers), "/open/door", "/closed/door")

    def around(self, *answers: tuple[str, Outcome, str], normalization: str = "NONE") -> Finding:
        return judge.no_path_leads_outside(PAIR, self.asked(*answers), "/open/", normalization)

    def test_the_policy_must_tell_plain_paths_apart_first(self) -> None:
        inside = ("/open/door", Outcome.ANSWERED, "/open/door")
        outside = ("/closed/door", Outcome.DENIED, "")
        holds(self.told_apart(inside, outside), "TRF-07", *EVIDENCE)
        violated(
            self.told_apart(inside, ("/closed/door", Outcome.ANSWERED, "/closed/door")), "TRF-07", "/closed/door: answered"
        )
        violated(self.told_apart(("/open/door", Outcome.TIMEOUT, ""), outside), "TRF-07", "/open/door: timeout")
        violated(self.told_apart(inside), "TRF-07", "/closed/door was not asked for")

    def test_what_is_refused_or_stays_inside_is_no_hole(self) -> None:
        finding = self.around(
            ("/open/door", Outcome.ANSWERED, "/open/door"),
            ("/open/../closed/door", Outcome.DENIED, ""),
            ("/open/a/../door", Outcome.ANSWERED, "/open/door"),
            ("/open/%2e%2e/closed", Outcome.OTHER_ANSWER, ""),
        )
        holds(finding, "TRF-07", *EVIDENCE)
        assert finding.seen.startswith("under NONE, 2 of 4 refused")

    @pytest.mark.parametrize("path", ["/open/../closed", "/open/..%2Fclosed", "/open/%2e%2e/closed", "/open//../../closed"])
    def test_a_path_that_leads_outside_is_a_hole(self, path: str) -> None:
        violated(self.around((path, Outcome.ANSWERED, path)), "TRF-07", f"{path} was let in", "which means /closed", "NONE")

    def test_the_hole_is_the_guides_under_its_normalization_alone(self) -> None:
        hole = ("/open/../closed", Outcome.ANSWERED, "/open/../closed")
        assert self.around(hole).guide_defect is Defect.PATH_NORMALIZATION
        assert self.around(hole, normalization="BASE").guide_defect is None
        assert self.around(("/open/door", Outcome.ANSWERED, "/open/door")).guide_defect is None

    def test_a_request_that_went_wrong_shows_nothing(self) -> None:
        finding = self.around(("/open/../closed", Outcome.TIMEOUT, ""))
        violated(finding, "TRF-07", "1 of 1: timeout")
        assert finding.guide_defect is None


@pytest.mark.parametrize(
    ("target", "meaning"),
    [
        ("/", "/"),
        ("/open/a", "/open/a"),
        ("/open/../a?x=/../..", "/a"),
        ("/open/..%2Fa", "/a"),
        ("/open/%2e%2E%2fa", "/a"),
        ("//open/.//a", "/open/a"),
        ("/../../a", "/a"),
        ("/open/%252e%252e/a", "/open/%2e%2e/a"),
    ],
)
def test_what_a_path_means(target: str, meaning: str) -> None:
    assert meant(target) == meaning
