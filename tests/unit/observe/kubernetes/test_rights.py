"""Rights that a run needs, by what it is allowed to do, what it certifies, and where the install is."""

from __future__ import annotations

from typing import Any

import pytest

from observe.kubernetes.needed import CREATED_STREAMS, NEEDED, Role, Where, namespaces, needed_by
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.observe.doubles import WithGatewayApi, install


def asked(
    cluster: WithGatewayApi, *allowed: str, provisions: bool = False, profiles: frozenset[str] = frozenset()
) -> list[str]:
    opened = install(cluster, *allowed, provisions=provisions, profiles=profiles)
    return [str(right) for right in opened.rights.reviewed()]


@pytest.mark.parametrize(
    ("profiles", "needed"),
    [
        ({"install", "traffic"}, set()),
        ({"rotation", "ca-rotation"}, {"patch daemonsets.apps in teleport-system"}),
        ({"resilience"}, {"patch daemonsets.apps in teleport-system", "patch deployments.apps in istio-system"}),
    ],
)
def test_rights_to_take_something_away_are_needed_by_the_profiles_that_do(profiles: set[str], needed: set[str]) -> None:
    rights = asked(WithGatewayApi(known=False), "disruptive", profiles=frozenset(profiles))
    assert {right for right in rights if right.startswith("patch") and ".apps" in right} == needed


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
    rights = asked(cluster, allowed, provisions=provisions)
    assert ("create gateways.gateway.networking.k8s.io" in rights) is needed
    assert ("gateway api" in cluster.asked) is (allowed == "namespaced" and not provisions)


def test_a_read_only_run_may_create_nothing_but_dry_runs_in_one_namespace() -> None:
    rights = asked(WithGatewayApi(known=True))
    creating = [right for right in rights if right.split()[0] not in ("get", "list")]
    # Neither is kept: the API server only answers.
    assert creating == ["create pods in test-app", "create subjectaccessreviews.authorization.k8s.io"]


def test_only_a_server_that_asks_for_create_on_streams_is_asked_about_it() -> None:
    right = "create pods/portforward"
    assert right not in asked(WithGatewayApi(known=False, server=(1, 34)))
    assert right in asked(WithGatewayApi(known=False, server=CREATED_STREAMS))


def test_the_optional_role_is_not_asked_about() -> None:
    assert not [right for right in asked(WithGatewayApi(known=False)) if "pods/exec" in right]
    assert {row.resources for row in NEEDED if row.role is Role.EXEC} == {("pods/exec",)}


def test_each_right_is_asked_about_once() -> None:
    rights = asked(WithGatewayApi(known=True), "namespaced", "disruptive", profiles=frozenset({"rotation", "resilience"}))
    assert sorted(rights) == sorted(set(rights))


def test_provisioning_asks_for_an_administrator_and_reads_no_install() -> None:
    rights = asked(WithGatewayApi(known=True), "namespaced", "disruptive", provisions=True)
    assert rights[0] == "* *.*"
    assert "get configmaps in istio-system" in rights


def test_a_right_is_asked_about_where_the_install_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Istio and tbot are found wherever they are."""

    def deployments(_cluster: Any) -> tuple[Any, ...]:
        raise AssertionError("the mesh is found already")

    monkeypatch.setattr(WithGatewayApi, "deployments", deployments)
    opened = install(WithGatewayApi(known=False))
    for key, found in (("control_planes", make.planes(make.mesh(namespace="mesh"))), ("tbot", make.tbots())):
        opened.cluster.readings._read[key] = (found, ())
    rights = {str(right) for right in opened.rights.reviewed()}
    assert {"get configmaps in mesh", "create pods in test-app"} <= rights
    assert "get configmaps in istio-system" not in rights


def test_no_run_needs_secrets() -> None:
    """To apply a Secret is to read it: the API server answers with the whole object."""
    assert not [row for row in NEEDED if any(resource.startswith("secrets") for resource in row.resources)]


def test_every_place_has_its_namespace() -> None:
    assert namespaces(Names()).keys() == {*Where}
    assert [where for where, namespace in namespaces(Names()).items() if not namespace] == [Where.EVERYWHERE]


def test_a_role_lacks_only_what_the_roles_below_it_have() -> None:
    """A run of a class uses the roles of the classes below it as well."""
    held: set[tuple[str, str, str, Where]] = set()
    for role in (Role.READ_ONLY, Role.NAMESPACED, Role.DISRUPTIVE):
        rows = needed_by((role,), ("traffic", "rotation", "resilience"), gateway_api=True, server=CREATED_STREAMS)
        single = [(*right, row.where) for row in rows for right in row.each()]
        assert len(single) == len(set(single))
        assert not [right for right in single if right in held or (*right[:3], Where.EVERYWHERE) in held]
        held |= {(*right, row.where) for row in rows if not row.gateway_api for right in row.each()}


def in_kube_system(*allowed: str, profiles: frozenset[str] = frozenset()) -> set[str]:
    rights = asked(WithGatewayApi(known=False), *allowed, profiles=profiles)
    return {right.removesuffix(" in kube-system") for right in rights if right.endswith(" in kube-system")}


LOOK, LEASE = "get leases.coordination.k8s.io", {f"{verb} leases.coordination.k8s.io" for verb in ("get", "create", "patch")}


@pytest.mark.parametrize(("allowed", "needed"), [("read-only", {LOOK}), ("namespaced", {*LEASE, "list configmaps"})])
def test_rights_in_kube_system_to_keep_off_each_others_cluster(allowed: str, needed: set[str]) -> None:
    assert in_kube_system(allowed) == needed


@pytest.mark.parametrize("profile", ["identity", "rotation", "ca-rotation", "resilience"])
def test_a_disruptive_run_keeps_originals_in_kube_system(profile: str) -> None:
    """It may create and patch ConfigMaps everywhere, as any run that makes test pods."""
    allowed, profiles = ("namespaced", "disruptive"), frozenset({profile})
    assert in_kube_system(*allowed, profiles=profiles) == {*LEASE, "list configmaps", "delete configmaps"}
    assert {"create configmaps", "patch configmaps"} <= {*asked(WithGatewayApi(known=False), *allowed, profiles=profiles)}


def test_a_disruptive_run_that_changes_nothing_of_others_keeps_no_originals() -> None:
    assert "delete configmaps" not in in_kube_system("namespaced", "disruptive", profiles=frozenset({"traffic"}))
