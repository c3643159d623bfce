"""Originals are in the cluster before a change and gone after its restoration, and hold no secret."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import NAMESPACE
from provision.objects import RUN_LABEL
from provision.runs.fields import MISSING, Field
from provision.runs.originals import Change, Kept, Originals, System, Unreadable
from tests.unit.provision.cluster import ApiServer, Objects

TBOT = {
    "kind": "DaemonSet",
    "metadata": {"name": "tbot", "namespace": "teleport-system"},
    "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}},
}
ON_DELETE = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}, "more": {"x": 1}}}


@pytest.fixture
def server() -> ApiServer:
    made = ApiServer()
    made.put(TBOT)
    return made


@pytest.fixture
def originals(server: ApiServer) -> Originals:
    return Originals(cast("Any", Objects(server, "Run-1")))


def test_an_original_holds_the_changed_fields_alone_and_is_found_again(server: ApiServer, originals: Originals) -> None:
    namespace = "teleport-system"
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, namespace=namespace, restart="tbot")
    assert key.startswith("conformance-run-1-")
    found = server.of("ConfigMap", key, NAMESPACE)
    assert found["metadata"]["labels"][RUN_LABEL] == "Run-1"
    expected = Change(
        System.KUBERNETES, "DaemonSet", "tbot",
        (
            Field(("spec", "updateStrategy", "type"), "RollingUpdate", "OnDelete"),
            Field(("spec", "updateStrategy", "rollingUpdate"), {"maxUnavailable": 1}, MISSING),
            Field(("spec", "more", "x"), MISSING, 1, made=2),
        ),
        "teleport-system", "apps/v1", "tbot",
    )  # fmt: skip
    assert originals.all() == (Kept(key, "Run-1", expected),)
    originals.forget(key)
    assert originals.all() == ()


@pytest.mark.parametrize("run", [f"Run-{number}" for number in range(8)])
def test_of_two_changes_within_a_second_the_later_one_comes_first(server: ApiServer, run: str) -> None:
    """The API server's times have whole seconds, and the names of originals no order."""
    originals = Originals(cast("Any", Objects(server, run)))
    changes: list[dict[str, Any]] = [
        {"spec": {"updateStrategy": {"type": "OnDelete"}}},
        {"spec": {"node": run}},
        {"spec": {"other": run}},
    ]
    keys = [originals.before_patch("apps/v1", "DaemonSet", "tbot", c, namespace="teleport-system") for c in changes]
    for key in sorted(keys):
        found = server.found.pop(("ConfigMap", NAMESPACE, key))  # listed by name
        found["metadata"]["creationTimestamp"] = "2026-11-28T05:00:00Z"
        server.found["ConfigMap", NAMESPACE, key] = found
    assert [kept.key for kept in originals.all()] == keys[::-1]


def test_a_change_that_changes_nothing_is_not_kept(server: ApiServer, originals: Originals) -> None:
    change = {"spec": {"updateStrategy": {"type": "RollingUpdate"}, "absent": None}}
    assert originals.before_patch("apps/v1", "DaemonSet", "tbot", change, namespace="teleport-system") == ""
    originals.forget("")
    assert server.changes == []


@pytest.mark.parametrize(
    "change",
    [
        Change(System.KUBERNETES, "Secret", "s", (Field(("data", "x"), "YQ==", "Yg=="),)),
        Change(System.TELEPORT, "token", "t", (Field(("spec", "client_secret"), MISSING, "abcdefghijkl"),)),
    ],
    ids=["a Secret", "a secret field"],
)
def test_a_change_whose_original_would_hold_a_secret_is_refused(
    change: Change, server: ApiServer, originals: Originals
) -> None:
    with pytest.raises(ProvisioningFailed, match="holds a secret, which the suite stores nowhere") as refused:
        originals.keep(change)
    assert "abcdefghijkl" not in str(refused.value)
    assert server.changes == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"fields": None}, "the field fields"),
        ({"system": "ambient"}, "the field system to name one that this version knows; saw ambient"),
        ({"fields": [{"path": ["a"]}]}, "the field made"),
        ({"fields": [{"path": "a", "made": 0}]}, "the field path"),
        ({"fields": [{"path": [], "made": 0}]}, "the field path to be a list of keys"),
        ({"fields": ["a"]}, "the field path"),
        ({"fields": [{"path": ["a"], "made": 0, "was": json.loads("[" * 900 + "]" * 900)}]}, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_original_that_this_version_cannot_read_hides_no_other(
    server: ApiServer, originals: Originals, damage: dict[str, Any], told: str
) -> None:
    damaged = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, namespace="teleport-system")
    whole = originals.keep(Change(System.TELEPORT, "ca", "spiffe", (Field(("phase",), "a", "b"),)))
    data = server.of("ConfigMap", damaged, NAMESPACE)["data"]
    data["change.json"] = json.dumps({**json.loads(data["change.json"]), **damage})
    (unreadable,) = [each for each in originals.all() if isinstance(each, Unreadable)]
    assert (unreadable.key, unreadable.run) == (damaged, "Run-1")
    assert told in unreadable.why
    assert [each.key for each in originals.all() if isinstance(each, Kept)] == [whole]


def test_what_the_suite_did_not_write_is_no_original(server: ApiServer, originals: Originals) -> None:
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, namespace="teleport-system")
    server.of("ConfigMap", key, NAMESPACE)["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    (unreadable,) = originals.all()
    assert isinstance(unreadable, Unreadable)
    assert "was written by kubectl, not by the suite" in unreadable.why


def test_a_run_restores_from_the_original_and_only_what_it_has_written_there(
    server: ApiServer, originals: Originals
) -> None:
    where = {"namespace": "teleport-system"}
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, **where)
    objects = Objects(server, "Run-1")
    objects.patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, **where)
    data = server.of("ConfigMap", key, NAMESPACE)["data"]
    ours = data["change.json"]
    data["change.json"] = ours.replace("RollingUpdate", "Evil")
    with pytest.raises(CouldNotTell, match="another user has changed the original, so the suite did not restore it"):
        originals.restore(key)
    assert server.of("DaemonSet", "tbot", "teleport-system")["spec"]["updateStrategy"] == {"type": "OnDelete"}
    data["change.json"] = ours
    originals.restore(key)
    assert server.of("DaemonSet", "tbot", "teleport-system")["spec"] == TBOT["spec"]
    assert originals.all() == ()
    changes = [*server.changes]
    originals.restore(key)
    assert server.changes == changes, "another user has restored it since"


def test_a_run_does_not_overwrite_what_another_user_has_changed(server: ApiServer, originals: Originals) -> None:
    where = {"namespace": "teleport-system"}
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, **where)
    Objects(server).patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, **where)
    server.of("DaemonSet", "tbot", "teleport-system")["spec"]["updateStrategy"]["type"] = "Theirs"
    with pytest.raises(CouldNotTell, match=r"another user has changed spec\.updateStrategy\.type meanwhile") as refused:
        originals.restore(key)
    assert f"kubectl delete configmap {key} -n kube-system" in refused.value.remedy
    assert originals.all()


def test_an_original_is_gone_only_where_the_api_server_says_so(server: ApiServer, originals: Originals) -> None:
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, namespace="teleport-system")
    assert not originals.is_gone(key)

    def away(_verb: str, _kind: str) -> None:
        raise ProvisioningFailed(expected="", seen="no answer", where="", remedy="")

    server.before = away
    assert not originals.is_gone(key)
    server.before = lambda _verb, _kind: None
    originals.forget(key)
    assert originals.is_gone(key)


def test_an_original_that_another_user_has_damaged_is_no_guess(server: ApiServer, originals: Originals) -> None:
    key = originals.before_patch("apps/v1", "DaemonSet", "tbot", ON_DELETE, namespace="teleport-system")
    server.of("ConfigMap", key, NAMESPACE)["data"]["change.json"] = '{"system": "kubernetes"}'
    (unreadable,) = originals.all()
    assert isinstance(unreadable, Unreadable)
    assert "the field fields" in unreadable.why
