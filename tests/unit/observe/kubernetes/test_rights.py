"""Rights that a run needs, by what it is allowed to do and what it certifies."""

from __future__ import annotations

import pytest

from tests.unit.observe.doubles import WithGatewayApi, install


@pytest.mark.parametrize(
    ("profiles", "kinds"),
    [
        ({"install", "traffic"}, set()),
        ({"rotation", "ca-rotation"}, {"daemonsets.apps"}),
        ({"resilience"}, {"daemonsets.apps", "deployments.apps"}),
    ],
)
def test_rights_to_take_something_away_are_needed_by_the_profiles_that_do(profiles: set[str], kinds: set[str]) -> None:
    opened = install(WithGatewayApi(known=False), "disruptive", profiles=frozenset(profiles))
    patched = [r.resource for r in opened.rights.reviewed() if r.verb == "patch" and r.resource.endswith(".apps")]
    assert sorted(patched) == sorted(kinds)


@pytest.mark.parametrize(
    ("known", "allowed", "provisions", "needed"),
    [
        (True, "namespaced", False, True),
        (False, "namespaced", False, False),
        (True, "read-only", False, False),
        (True, "namespaced", True, False),  # an administrator has it anyway, and asks before there is a Gateway API
    ],
)
def test_rights_on_gateways_are_needed_by_who_makes_one(known: bool, allowed: str, provisions: bool, needed: bool) -> None:
    cluster = WithGatewayApi(known=known)
    rights = {str(right) for right in install(cluster, allowed, provisions=provisions).rights.reviewed()}
    assert ("create gateways.gateway.networking.k8s.io" in rights) is needed
    assert ("gateway api" in cluster.asked) is (allowed == "namespaced" and not provisions)
