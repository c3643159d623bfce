"""Roles for the identity that certifies an existing cluster, and tables for its owner, made of what the suite declares.

``python -m provision.certifier page`` writes the manifests and the tables; ``lint`` checks that they are current.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from observe.kubernetes.needed import NEEDED, Needed, Role, Where, namespaces
from providers.teleport.observe.needed import NEEDED_AT_TELEPORT
from provision.plan import ON_CLUSTER
from provision.render import MANIFESTS
from settings import Names

NAMESPACE, ACCOUNT = "conformance", "certifier"
PREFIX = "conformance"

RBAC = MANIFESTS / "certifier-rbac.yaml"
TELEPORT_ROLE = MANIFESTS / "certifier-teleport-role.yaml"
DOCUMENT = MANIFESTS.parent / "docs" / "existing-cluster.md"

_HEAD = """\
# kubectl apply -f certifier-rbac.yaml
# Roles for the identity that certifies a cluster that is already there, and a service account with the first of them.
# Written by `make docs` from observe/kubernetes/needed.py, with the guide's namespaces. `conformance rights` prints the same
# with yours; with `--allow` and `--exec` it also binds the other roles. Each role holds only what the roles before it lack.
"""

_TELEPORT_HEAD = """\
# tctl create -f certifier-teleport-role.yaml
# Roles for the user or bot whose tctl certifies. Written by `make docs` from providers/teleport/observe/needed.py.
# Every user may run `tctl status`. The verbs are those that Teleport 15 to 18 check, untested on a Teleport with roles.
"""

_ABOUT: Mapping[Role, str] = {
    Role.READ_ONLY: "For every run.",
    Role.EXEC: "Optional, for ID-12 and CHK-8. Who has it may run any program in each container.",
    Role.NAMESPACED: "For --allow namespaced. Who may create pods everywhere can become root on nodes and read all Secrets.",
    Role.DISRUPTIVE: "For --allow disruptive, beside the role for namespaced.",
}


def manifest(names: Names, bound: Collection[Role] = (Role.READ_ONLY,), rows: Iterable[Needed] = NEEDED) -> str:
    """Return the roles as YAML, with bindings for some of them.

    Args:
        names: Names of the install, for the namespaces.
        bound: Roles to give to the service account.
        rows: The rights.
    """
    account = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {ACCOUNT}
  namespace: {NAMESPACE}
"""
    rows = tuple(rows)
    parts = [account]
    for role in Role:
        of_role = []
        for namespace, there in _by_namespace(names, [row for row in rows if row.role is role]).items():
            of_role.append(_role(role, namespace, there))
            if role in bound:
                of_role.append(_binding(role, namespace))
        if of_role:
            parts += [f"# {_ABOUT[role]}\n{of_role[0]}", *of_role[1:]]
    return _HEAD + "---\n".join(parts)


def documents(names: Names, bound: Collection[Role], rows: Iterable[Needed] = NEEDED) -> list[dict[str, Any]]:
    """Return the same as objects to apply."""
    return list(yaml.safe_load_all(manifest(names, bound, rows)))


def teleport_roles() -> str:
    """Return the roles at Teleport as YAML."""
    parts = []
    for role in dict.fromkeys(row.role for row in NEEDED_AT_TELEPORT):
        lines = ["kind: role", "version: v7", "metadata:", f"  name: {PREFIX}-{role}", "spec:", "  allow:", "    rules:"]
        for row in NEEDED_AT_TELEPORT:
            if row.role is role:
                lines += [
                    f"    # {_sentence(row.why, row.profiles)}",
                    f"    - resources: [{', '.join(row.resources)}]",
                    f"      verbs: [{', '.join(row.verbs)}]",
                ]
        parts.append("\n".join(lines) + "\n")
    return _TELEPORT_HEAD + "---\n".join(parts)


def table() -> str:
    """Return the rights as a table for people, in Markdown."""
    lines = ["| role | right | where | what for |", "|---|---|---|---|"]
    lines += [f"| {row.role} | {row.shown()} | {row.place()} | {_sentence(row.why, row.profiles)} |" for row in NEEDED]
    for at_teleport in NEEDED_AT_TELEPORT:
        right = f"{', '.join(at_teleport.verbs)} {', '.join(at_teleport.resources)}"
        why = _sentence(at_teleport.why, at_teleport.profiles)
        lines.append(f"| {at_teleport.role} | {right} | Teleport | {why} |")
    return "\n".join(lines) + "\n"


def disruptions() -> str:
    """Return what each profile does beyond the suite's own namespaces, as a table in Markdown."""
    rows = (f"| `{name}` | {found.disrupts} |" for name, found in ON_CLUSTER.items() if found.disrupts)
    return "\n".join(["| profile | what it does to the cluster |", "|---|---|", *rows]) + "\n"


def written() -> dict[Path, str]:
    """Return each generated file with the content that it must have."""
    page = _between(DOCUMENT.read_text(encoding="utf-8"), "rights", table())
    return {
        RBAC: manifest(Names()),
        TELEPORT_ROLE: teleport_roles(),
        DOCUMENT: _between(page, "disruptions", disruptions()),
    }


def _between(page: str, name: str, text: str) -> str:
    """Return a page with other text between the two marks of that name.

    Raises:
        LookupError: The page has no such marks.
    """
    begin, end = f"<!-- {name}: written by `make docs` -->\n", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _former, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise LookupError(f"{DOCUMENT} has no marks for {name}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _by_namespace(names: Names, rows: Iterable[Needed]) -> dict[str, list[Needed]]:
    """Rows by namespace, the cluster first; two places may be one namespace."""
    places = namespaces(names)
    found: dict[str, list[Needed]] = {}
    for row in sorted(rows, key=lambda row: [*Where].index(row.where)):
        found.setdefault(places[row.where], []).append(row)
    return found


def _role(role: Role, namespace: str, rows: Iterable[Needed]) -> str:
    lines = [*_opening("ClusterRole" if not namespace else "Role", role, namespace), "rules:"]
    for row in rows:
        lines.append(f"# {_sentence(row.why, row.profiles)}")
        if row.resources[0].startswith("/"):
            lines.append(f"- nonResourceURLs: [{', '.join(row.resources)}]")
        else:
            group = row.group or '""'
            lines += [f"- apiGroups: [{group}]", f"  resources: [{', '.join(row.resources)}]"]
        lines.append(f"  verbs: [{', '.join(row.verbs)}]")
    return "\n".join(lines) + "\n"


def _binding(role: Role, namespace: str) -> str:
    lines = _opening("ClusterRoleBinding" if not namespace else "RoleBinding", role, namespace)
    lines += ["roleRef:", "  apiGroup: rbac.authorization.k8s.io", f"  kind: {'Role' if namespace else 'ClusterRole'}"]
    lines += [f"  name: {PREFIX}-{role}", "subjects:", "- kind: ServiceAccount", f"  name: {ACCOUNT}"]
    return "\n".join([*lines, f"  namespace: {NAMESPACE}"]) + "\n"


def _opening(kind: str, role: Role, namespace: str) -> list[str]:
    lines = ["apiVersion: rbac.authorization.k8s.io/v1", f"kind: {kind}", "metadata:", f"  name: {PREFIX}-{role}"]
    return [*lines, f"  namespace: {namespace}"] if namespace else lines


def _sentence(why: str, profiles: Collection[str]) -> str:
    return f"{why}; only for {', '.join(sorted(profiles))}" if profiles else why


def main(arguments: list[str]) -> int:
    """Run the one command given, ``lint`` or ``page``, and return the exit code."""
    files = written()
    if arguments == ["page"]:
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
        return 0
    if arguments != ["lint"]:
        sys.stderr.write("usage: python -m provision.certifier lint|page\n")
        return 4
    stale = [file for file, text in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    sys.stdout.writelines(f"{file.relative_to(MANIFESTS.parent)} is not current: run make docs\n" for file in stale)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
