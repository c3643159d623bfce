"""Gateways that need no certificate: every requirement on certificates leaves them out."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from checks.check import Case
from checks.table import checks
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from steps import checklist as checklist_steps
from tests.unit.doctor.installs import beside_an_egress_gateway, case, install
from tests.unit.judge import builders as make

Conclusion = Callable[[Case], Finding]


def _check(requirement: str) -> Conclusion:
    """The one finding of the check of a requirement."""

    def of(examined: Case) -> Finding:
        (check,) = (each for each in checks() if each.requirement == requirement)
        (finding,) = check.run(examined)
        assert isinstance(finding, Finding)
        return finding

    return of


def _checklist(examined: Case) -> Finding:
    found: list[Finding] = []
    checklist_steps.sidecars_hold_teleports_identity(
        make.guide(), examined.install, examined.sweeps, lambda *findings: found.extend(findings)
    )
    (finding,) = found
    return finding


OF_CERTIFICATES = {
    **{requirement: _check(requirement) for requirement in ("ID-11", "ROT-01", "ROT-06", "ROT-07")},
    "CHK-6": _checklist,
}


@pytest.mark.parametrize("requirement", OF_CERTIFICATES)
def test_a_gateway_that_needs_no_certificate_breaks_nothing_and_is_named(requirement: str) -> None:
    finding = OF_CERTIFICATES[requirement](case(beside_an_egress_gateway(reaches=False)))
    assert (finding.requirement, finding.holds, finding.problems) == (requirement, Holds.YES, ())
    assert [str(each.subject) for each in finding.left_out] == ["Pod istio-egress/egress"]


@pytest.mark.parametrize("requirement", OF_CERTIFICATES)
def test_a_gateway_that_calls_workloads_of_the_mesh_should_hold_one(requirement: str) -> None:
    finding = OF_CERTIFICATES[requirement](case(beside_an_egress_gateway(reaches=True)))
    assert [str(each.subject) for each in finding.problems] == ["Pod istio-egress/egress"]
    assert finding.left_out == ()


@pytest.mark.parametrize("requirement", OF_CERTIFICATES)
def test_alone_it_leaves_nothing_to_judge(requirement: str) -> None:
    finding = OF_CERTIFICATES[requirement](case(beside_an_egress_gateway(reaches=False, alone=True)))
    assert (finding.holds, finding.condition) == (
        Holds.NOT_APPLICABLE,
        "only gateways that need no certificate run in the mesh",
    )
    assert [str(each.subject) for each in finding.left_out] == ["Pod istio-egress/egress"]


@pytest.mark.parametrize("requirement", OF_CERTIFICATES)
def test_the_tls_of_the_proxies_is_read_only_where_a_gateway_asks_for_no_certificate(requirement: str) -> None:
    def unreadable() -> None:
        raise CouldNotTell(expected="the TLS of the proxies", seen="forbidden", where="port-forward", remedy="grant it")

    def without_tls(facets: SimpleNamespace) -> None:
        facets.proxies.tls = unreadable

    assert OF_CERTIFICATES[requirement](case(install(change=without_tls))).holds is Holds.YES
