"""What has the label of a run."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.remains import (
    CLUSTER_LABEL,
    FIELD_MANAGER,
    MADE_LABEL,
    MAY_CHANGE_LABEL,
    RUN_LABEL,
    ListableKind,
    parse_groups,
    parse_kinds,
    parse_labelled,
    parse_labelled_resources,
)
from facts.masks import kept_for
from facts.redaction import Hiding


def known(name: str, *verbs: str) -> dict[str, Any]:
    return {"name": name, "kind": name.title(), "verbs": list(verbs or ("get", "list"))}


def test_kinds_that_can_be_listed_and_no_secrets() -> None:
    core = {
        "groupVersion": "v1",
        "resources": [known("pods"), known("secrets"), known("pods/log"), known("bindings", "create")],
    }
    assert parse_kinds(core) == (ListableKind("/api/v1", "pods", "Pods"),)
    apps = {"groupVersion": "apps/v1", "resources": [known("deployments"), known("secrets")]}
    assert [str(kind) for kind in parse_kinds(apps)] == ["deployments.apps", "secrets.apps"]  # somebody's own kind
    assert [str(kind) for kind in parse_kinds(core)] == ["pods"]
    assert parse_groups({"groups": [{"preferredVersion": {"groupVersion": "apps/v1"}}]}) == ("apps/v1",)
    with pytest.raises(CouldNotTell, match="resources"):
        parse_kinds({"groupVersion": "v1"})


def labelled(*managers: str, **labels: str) -> dict[str, Any]:
    fields = [{"manager": manager, "fieldsV1": {"f:data": {"f:secret": {}}}} for manager in managers or (FIELD_MANAGER,)]
    return {"metadata": {"name": "a", "namespace": "n", "labels": {RUN_LABEL: "r", **labels}, "managedFields": fields}}


def test_the_suite_is_told_by_its_manager_and_an_installation_by_its_label() -> None:
    assert parse_labelled(labelled()).is_the_suites
    assert not parse_labelled(labelled("kubectl")).is_the_suites
    assert not parse_labelled({"metadata": {"name": "a", "labels": {RUN_LABEL: "r"}}}).is_the_suites
    assert parse_labelled(labelled(**{CLUSTER_LABEL: "lab"})).is_of_an_installation
    assert not parse_labelled(labelled()).is_of_an_installation


def test_evidence_keeps_the_suites_labels_and_no_content() -> None:
    document = labelled(team="payments")
    document["data"] = {"key": "value"}
    kept = kept_for(parse_labelled).kept(document, Hiding(()))
    assert kept["metadata"]["labels"] == {RUN_LABEL: "r"}
    assert kept["metadata"]["managedFields"] == [{"manager": FIELD_MANAGER}]
    assert "data" not in kept
    assert parse_labelled(kept).is_the_suites


def resource(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "token", "metadata": {"name": name, "labels": labels}, "spec": {"join_method": "token"}}


def test_of_teleports_resources_only_labelled_ones_are_kept() -> None:
    of_others = [resource("a-secret-name"), {"metadata": {"name": "a-secret-name-as-well"}}, "no resource"]
    document = [*of_others, resource("ours", **{RUN_LABEL: "r", MADE_LABEL: "yes"})]
    kept = kept_for(parse_labelled_resources).kept(document, Hiding(()))
    assert "a-secret-name" not in str(kept)
    (ours,) = parse_labelled_resources(kept)
    assert ours.is_left


def test_what_belongs_to_an_installation_or_an_owner_is_not_left() -> None:
    for other in (CLUSTER_LABEL, MAY_CHANGE_LABEL):
        (found,) = parse_labelled_resources([resource("x", **{RUN_LABEL: "r", MADE_LABEL: "yes", other: "y"})])
        assert not found.is_left
    (found,) = parse_labelled_resources([resource("x", **{RUN_LABEL: "r"})])
    assert not found.is_left
    with pytest.raises(CouldNotTell, match="a list"):
        parse_labelled_resources({})
