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


@pytest.mark.parametrize(
    ("allowed", "needed"),
    [
        ("read-only", {"get leases"}),
        ("namespaced", {"get leases", "create leases", "patch leases", "list configmaps"}),
    ],
)
def test_rights_in_kube_system_to_keep_off_each_others_cluster(allowed: str, needed: set[str]) -> None:
    rights = install(WithGatewayApi(known=False), allowed).rights.reviewed()
    there = {f"{r.verb} {r.resource.partition('.')[0]}" for r in rights if r.resource.endswith(" in kube-system")}
    assert there == needed


def test_a_disruptive_run_keeps_originals_in_kube_system() -> None:
    opened = install(WithGatewayApi(known=False), "namespaced", "disruptive")
    there = {r.verb for r in opened.rights.reviewed() if r.resource == "configmaps. in kube-system"}
    assert there == {"list", "create", "patch", "delete"}
