"""Roles of the certifier: what they grant is what the suite declares, role by role, and the files have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from observe.kubernetes.needed import NEEDED, Needed, Role, Where, namespaces
from providers.teleport.observe.needed import NEEDED_AT_TELEPORT
from provision import certifier
from settings import Names

Grant = tuple[str, str, str, str, str]
"""Role, namespace (empty for the whole cluster), verb, API group, and resource or path."""


def granted(documents: Iterable[dict[str, Any]]) -> Iterator[Grant]:
    """What roles allow whoever is bound to them."""
    for document in documents:
        metadata = document["metadata"]
        for rule in document.get("rules", ()):
            for name in rule.get("resources") or rule["nonResourceURLs"]:
                for group in rule.get("apiGroups") or [""]:
                    yield from ((metadata["name"], metadata.get("namespace", ""), v, group, name) for v in rule["verbs"])


def declared(rows: Iterable[Needed], names: Names) -> set[Grant]:
    places = namespaces(names)
    return {(f"conformance-{row.role}", places[row.where], *right) for row in rows for right in row.each()}


def subjects(documents: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Subjects by name and namespace of the role that they have."""
    bindings = [d for d in documents if d["kind"].endswith("Binding")]
    return {(d["roleRef"]["name"], d["metadata"].get("namespace", "")): d["subjects"] for d in bindings}


def made(*bound: Role, names: Names | None = None) -> list[dict[str, Any]]:
    return certifier.documents(names or Names(), bound)


@pytest.mark.parametrize("path", certifier.written(), ids=lambda path: path.name)
def test_each_generated_file_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == certifier.written()[path], "run make docs"


def test_the_roles_grant_what_is_declared_and_nothing_else() -> None:
    assert set(granted(made())) == declared(NEEDED, Names())
    names = Names(istio_namespace="mesh", tbot_namespace="mesh", app_namespace="shop")
    assert set(granted(made(names=names))) == declared(NEEDED, names)


def test_two_places_in_one_namespace_have_one_role_there() -> None:
    documents = made(names=Names(istio_namespace="one", tbot_namespace="one", app_namespace="one"))
    roles = [(d["kind"], d["metadata"]["name"], d["metadata"].get("namespace")) for d in documents if "rules" in d]
    assert len(roles) == len(set(roles))


def test_the_file_binds_the_read_only_role_alone() -> None:
    documents = list(yaml.safe_load_all(certifier.RBAC.read_text(encoding="utf-8")))
    account = {"kind": "ServiceAccount", "name": "certifier", "namespace": "conformance"}
    assert {role for role, _namespace in subjects(documents)} == {"conformance-read-only"}
    assert all(bound == [account] for bound in subjects(documents).values())
    assert [d["metadata"] for d in documents if d["kind"] == "ServiceAccount"] == [
        {"name": account["name"], "namespace": account["namespace"]}
    ]


@pytest.mark.parametrize("bound", [(Role.READ_ONLY,), (Role.READ_ONLY, Role.EXEC), tuple(Role)])
def test_a_role_is_bound_wherever_it_is_or_nowhere(bound: tuple[Role, ...]) -> None:
    documents = made(*bound)
    everywhere = {(d["metadata"]["name"], d["metadata"].get("namespace", "")) for d in documents if "rules" in d}
    assert subjects(documents).keys() == {(n, where) for n, where in everywhere if n in {f"conformance-{r}" for r in bound}}


def test_the_page_has_a_line_for_each_row() -> None:
    lines = certifier.table().splitlines()
    assert len(lines) == 2 + len(NEEDED) + len(NEEDED_AT_TELEPORT)
    assert certifier.table() in certifier.DOCUMENT.read_text(encoding="utf-8")
    assert [line for line in lines if "secrets" in line.lower()] == []


def test_the_roles_at_teleport_are_declared_ones() -> None:
    roles = list(yaml.safe_load_all(certifier.teleport_roles()))
    rules = {
        (r["metadata"]["name"], *rule["resources"]): rule["verbs"] for r in roles for rule in r["spec"]["allow"]["rules"]
    }
    assert rules == {(f"conformance-{row.role}", *row.resources): [*row.verbs] for row in NEEDED_AT_TELEPORT}
    read_only = [verbs for (name, *_), verbs in rules.items() if name == "conformance-read-only"]
    assert read_only == [["list", "read"]]


def test_only_dry_runs_reviews_and_streams_are_creations_under_the_read_only_role() -> None:
    changing = [
        (row.resources, row.where) for row in NEEDED if row.role is Role.READ_ONLY and {*row.verbs} - {"get", "list"}
    ]
    assert changing == [
        (("pods/portforward",), Where.EVERYWHERE),
        (("pods",), Where.APP),
        (("subjectaccessreviews",), Where.EVERYWHERE),
    ]


@pytest.mark.parametrize("arguments", [[], ["print"]])
def test_wrong_usage_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert certifier.main(arguments) == 4
    assert "lint|page" in capsys.readouterr().err


def test_a_stale_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = tmp_path / "manifests" / "certifier-rbac.yaml"
    stale.parent.mkdir()
    monkeypatch.setattr(certifier, "MANIFESTS", stale.parent)
    monkeypatch.setattr(certifier, "written", lambda: {stale: "new"})
    assert certifier.main(["lint"]) == 1
    assert capsys.readouterr().out == "manifests/certifier-rbac.yaml is not current: run make docs\n"
    assert certifier.main(["page"]) == 0
    assert certifier.main(["lint"]) == 0
