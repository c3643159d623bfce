"""TRF-07: which spellings of a path lead outside, and which do not."""

from __future__ import annotations

import pytest

from facts.finding import Finding
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.paths import Bounds
from judge.traffic import paths as judge
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.exchanges import EVIDENCE, PAIR, TO_BETA, exchange, request, word

BOUNDS = Bounds("/open/", "/open/vault/")
INSIDE = ("/open/door", Outcome.ANSWERED, "/open/door")
OUTSIDE = ("/closed/door", Outcome.DENIED, "")
OFF = ("path-normalization-off",)
VAULT = ("/open/vault/door", Outcome.DENIED, "")


def asked(*answers: tuple[str, Outcome, str]) -> Exchange:
    """Requests by path as it was sent, outcome, and path as it arrived."""
    return exchange(
        *(
            request(outcome, word(target=arrived) if arrived else None, url=f"http://beta.run:8080{path}")
            for path, outcome, arrived in answers
        )
    )


def told_apart(*answers: tuple[str, Outcome, str]) -> Finding:
    """The judgment of the plain paths."""
    return judge.policy_tells_paths_apart(PAIR, asked(*answers), "/open/door", ("/closed/door", "/open/vault/door"))


def around(*answers: tuple[str, Outcome, str], normalization: str = "NONE") -> Finding:
    """The judgment of the ways around."""
    return judge.no_path_leads_outside(PAIR, asked(*answers), BOUNDS, normalization)


def test_the_policies_must_tell_plain_paths_apart_first() -> None:
    holds(told_apart(INSIDE, OUTSIDE, VAULT), "TRF-07", *EVIDENCE)
    let_in = ("/closed/door", Outcome.ANSWERED, "/closed/door")
    violated(told_apart(INSIDE, let_in, VAULT), "TRF-07", "Pod run/beta: /closed/door: answered", causes=())
    violated(told_apart(("/open/door", Outcome.TIMEOUT, ""), OUTSIDE, VAULT), "TRF-07", "/open/door: timeout")
    violated(told_apart(INSIDE, OUTSIDE), "TRF-07", "the suite did not request /open/vault/door")


def test_a_refusal_that_the_suites_policies_did_not_write_leaves_it_open() -> None:
    blocked = exchange(
        request(Outcome.OTHER_ANSWER, status=403, url="http://beta.run:8080/open/door"),
        *(request(Outcome.DENIED, url=f"http://beta.run:8080{path}") for path, _, _ in (OUTSIDE, VAULT)),
        server={"http.inbound_0.0.0.0_8080;.rbac.denied": 2},
    )
    finding = judge.policy_tells_paths_apart(PAIR, blocked, "/open/door", ("/closed/door", "/open/vault/door"))
    unknown(finding, "TRF-07", "in other words than the suite's own policies use")


def test_what_is_refused_or_stays_inside_is_no_hole() -> None:
    finding = around(
        INSIDE,
        ("/open/../closed/door", Outcome.DENIED, ""),
        ("/open/a/../door", Outcome.ANSWERED, "/open/door"),
        ("/open/%2e%2e/closed", Outcome.OTHER_ANSWER, ""),
    )
    holds(finding, "TRF-07", *EVIDENCE)
    assert finding.seen.startswith("under NONE, 2 of 4 requests were refused")
    assert not finding.notes


@pytest.mark.parametrize(
    ("path", "meaning", "refused"),
    [
        ("/open/../closed", "/closed", "which only BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES"),
        ("/open/%2e%2e/closed", "/closed", "which only BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES"),
        (r"/open/..\closed", "/closed", "which only BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES"),
        ("/open//vault/door", "/open/vault/door", "which only MERGE_SLASHES, DECODE_AND_MERGE_SLASHES"),
        ("/open/..%2Fclosed", "/closed", "which only DECODE_AND_MERGE_SLASHES"),
        ("/open/..%5Cclosed", "/closed", "which only DECODE_AND_MERGE_SLASHES"),
    ],
)
def test_a_path_that_leads_outside_is_a_hole(path: str, meaning: str, refused: str) -> None:
    finding = around((path, Outcome.ANSWERED, path))
    violated(
        finding,
        "TRF-07",
        f"Pod run/beta: under NONE the policies allow {path} (means {meaning}), {refused} would refuse",
        causes=OFF,
    )


def test_holes_are_told_by_what_would_close_them() -> None:
    holes = ["/open/../closed", "/open/..%2fclosed", "/open/./vault/door"]
    finding = around(*((path, Outcome.ANSWERED, path) for path in holes))
    violated(
        finding,
        "TRF-07",
        "/open/../closed (means /closed), /open/./vault/door (means /open/vault/door), which only",
        causes=OFF,
    )
    elsewhere = around(("/open/./..%2fclosed", Outcome.ANSWERED, "/open/..%2fclosed"), normalization="BASE")
    violated(elsewhere, "TRF-07", "/open/./..%2fclosed (arrived as /open/..%2fclosed, means /closed)", causes=())


@pytest.mark.parametrize(
    ("path", "application"),
    [("/open/..%252Fclosed", "decodes a path twice"), ("/open/..;/closed", "cuts off what stands behind a semicolon")],
)
def test_what_only_less_common_applications_read_as_outside_is_told(path: str, application: str) -> None:
    finding = around((path, Outcome.ANSWERED, path), normalization="DECODE_AND_MERGE_SLASHES")
    holds(finding, "TRF-07")
    (note,) = finding.notes
    assert note.said.startswith(f"an application that {application} would read {path}")


def test_what_no_normalization_would_refuse_has_another_cause_and_leaves_that_of_the_rest_open() -> None:
    plain, hole = (("/closed", Outcome.ANSWERED, "/closed"), ("/open/../closed", Outcome.ANSWERED, "/open/../closed"))
    violated(
        around(plain),
        "TRF-07",
        "under NONE the policies allow /closed (means /closed), which no normalization of Istio would refuse",
        causes=(),
    )
    violated(around(plain, hole), "TRF-07", causes=())
    violated(around(hole), "TRF-07", causes=OFF)


def test_a_request_that_went_wrong_shows_nothing() -> None:
    finding = around(INSIDE, ("/open/../closed", Outcome.TIMEOUT, ""))
    unknown(finding, "TRF-07", f"1 of 2 {TO_BETA} timeout")
