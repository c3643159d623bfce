"""Gateways that need no certificate: every requirement on certificates leaves them out, in steps as in the doctor."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from checks import identity
from doctor.check import Case
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from judge.identity.proxies import ObservedProxies
from observe.install import Install
from steps import checklist as checklist_steps
from steps.identity import proxies as identity_steps
from steps.rotation import renewal as rotation_steps
from tests.unit.doctor.installs import beside_an_egress_gateway, case, install
from tests.unit.judge import builders as make

Conclusion = Callable[[Case], Finding]


def _concluded(bind: Callable[[Case, Callable[..., None]], None]) -> Conclusion:
    """The one finding that a step concludes."""

    def of(examined: Case) -> Finding:
        found: list[Finding] = []
        bind(examined, lambda *findings: found.extend(findings))
        (finding,) = found
        return finding

    return of


def _mesh(examined: Case, conclude: Callable[..., None]) -> None:
    install, proxies = examined.install, identity_steps.every_proxy(examined.install, examined.sweeps)
    identity_steps.mesh_is_teleports(proxies, identity.expectation(install), identity.outside_of_teleport(install), conclude)


def _to_renew(examined: Case) -> tuple[Install, ObservedProxies]:
    return examined.install, rotation_steps.proxies_to_renew(examined.install, examined.sweeps)


def _renewed(examined: Case, conclude: Callable[..., None]) -> None:
    install, found = _to_renew(examined)
    rotation_steps.renewed_before_expiry(found, install.proxies.fleet_on_sockets(), install, conclude)


def _expiring(examined: Case, conclude: Callable[..., None]) -> None:
    install, found = _to_renew(examined)
    rotation_steps.nothing_expires_soon(found, install, examined.settings, conclude)


def _overdue(examined: Case, conclude: Callable[..., None]) -> None:
    install, found = _to_renew(examined)
    rotation_steps.none_is_overdue(found, install, conclude)


def _checklist(examined: Case, conclude: Callable[..., None]) -> None:
    checklist_steps.sidecars_hold_teleports_identity(make.guide(), examined.install, examined.sweeps, conclude)


OF_CERTIFICATES = {
    "ID-11": _concluded(_mesh),
    "ROT-01": _concluded(_renewed),
    "ROT-06": _concluded(_expiring),
    "ROT-07": _concluded(_overdue),
    "CHK-6": _concluded(_checklist),
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
