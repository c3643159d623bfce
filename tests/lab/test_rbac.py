"""The certifier's roles on the lab: nothing is missing in them, and nothing is too much. Opt-in: ``make rbac``.

The read-only role is proved right by right: with it all of its class is judged as an administrator judges it, and without
any one right the report names it. The other roles are compared with the API server's audit log of a run that uses them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from facts.document import when
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes import leases
from facts.kubernetes.access import Right
from facts.recorder import KeptInMemory
from observe.command import must_run
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.needed import CREATED_STREAMS, NEEDED, Minor, Needed, Role, namespaces, needed_by
from observe.wait import NotYet, Pace, eventually
from provision import certifier
from provision.faults import Operator
from provision.faults.changes import patched
from provision.faults.surroundings.operator import kubeconfig_of
from provision.names import APP
from settings import Names
from tests.lab.certified import Certified
from tests.lab.conftest import Lab
from tests.lab.rbac import LOG, MANIFEST, POLICY, audited, named, policy, requests_of, single, unused

NAMES = Names()
PROFILES = ("--profile", "core,hygiene")
READING = frozenset({"hygiene"})
"""Profiles that need further rights for reading."""
READ_ONLY = (*PROFILES, "--allow", "read-only")
BY_EXEC = {"CHK-8", "ID-12"}
"""Requirements that need the optional role."""

KEYS_FOR_ALL = "system:service-account-issuer-discovery"
RESTORED = "rbac.authorization.kubernetes.io/autoupdate"
"""Annotation that says whether an API server that starts restores a binding of its own."""

RIGHTS = [row for row in single(NEEDED) if row.role is Role.READ_ONLY]

ONLY_WHEN_SOMETHING_IS_WRONG = {("list", "events")}
"""Rights of the other roles that a run on a healthy lab does not use: events tell why a pod does not start."""

ALLOWED = Pace(timeout=30, interval=0.5)
RESTART = Pace(timeout=240, interval=1)


@dataclass
class Certifier:
    """The certifier's service account, and its roles as they are given and taken.

    Attributes:
        lab: The lab.
        operator: Who certifies: the lab's operator with the certifier's identity.
        reader: The API server, as the certifier sees it.
        server: Version of the API server.
    """

    lab: Lab
    operator: Operator
    reader: Cluster
    server: Minor
    _applied: dict[tuple[str, str, str, str], Any] = field(default_factory=dict)

    def rows(self, *roles: Role, profiles: Collection[str]) -> list[Needed]:
        """Single rights that this API server asks for."""
        return single(needed_by(roles, profiles, gateway_api=True, server=self.server))

    def give(self, rows: Sequence[Needed], *bound: Role) -> None:
        """Gives the certifier these rights, and no others, and waits until the API server knows them."""
        objects = self.lab.scene.installation.objects
        made = {_key(document): document for document in certifier.documents(NAMES, bound, rows)}
        for gone in [key for key in self._applied if key not in made]:
            api_version, kind, namespace, name = gone
            objects.delete(api_version, kind, name, namespace=namespace)
        objects.apply_all(made.values())
        self._applied = made
        eventually("the certifier has the rights that it was given", lambda: self._look(rows, bound), ALLOWED)

    def take_away(self) -> None:
        """Removes the account with all of its roles."""
        self.give((), *Role)
        objects = self.lab.scene.installation.objects
        objects.delete("v1", "Namespace", certifier.NAMESPACE)

    def _look(self, rows: Sequence[Needed], bound: Collection[Role]) -> None:
        granted = {_question(row) for row in rows if row.role in bound}
        for row in single(NEEDED):
            question = _question(row)
            included = question in granted or (*question[:3], "") in granted
            if self._asks(row) and self.reader.can_i(*question).allowed is not included:
                raise NotYet(f"{Right(question[0], question[2], included, (), question[3])} is not {included} yet")

    def _asks(self, row: Needed) -> bool:
        return self.server >= row.since


def _key(document: dict[str, Any]) -> tuple[str, str, str, str]:
    metadata = document["metadata"]
    return document["apiVersion"], document["kind"], metadata.get("namespace", ""), metadata["name"]


def _question(row: Needed) -> tuple[str, str, str, str]:
    ((verb, group, resource),) = row.each()
    return verb, group, resource, namespaces(NAMES)[row.where]


@pytest.fixture(scope="module")
def the_certifier(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certifier]:
    """The certifier without any right yet."""
    scene = lab.scene
    scene.installation.objects.apply_all(certifier.documents(NAMES, (), ()))
    directory = tmp_path_factory.mktemp("certifier")
    kubeconfig = kubeconfig_of(scene, directory, certifier.NAMESPACE, certifier.ACCOUNT, "4h")
    operator = replace(scene.operator, kubeconfig=kubeconfig)
    reader = Cluster(kubeconfig, operator.context, KeptInMemory(), scene.patience)
    version, _evidence = reader.version()
    made = Certifier(lab, operator, reader, (version.major, version.minor))
    # INST-15 looks at nodes only where the application selects some.
    selected, undone = ({"template": {"spec": {"nodeSelector": s}}} for s in ({"kubernetes.io/os": "linux"}, None))
    with ExitStack() as stack:
        stack.callback(reader.close)
        stack.enter_context(without_the_default_right_to_keys(lab))
        stack.callback(made.take_away)  # before that right is back, which would keep it from seeing that all are gone
        stack.enter_context(patched(scene, "Deployment", APP, APP, spec=selected, undo=undone, then=scene.await_app))
        scene.await_app()
        yield made


@contextmanager
def without_the_default_right_to_keys(lab: Lab) -> Iterator[None]:
    """Takes from all service accounts the right to read the cluster's keys, which Kubernetes gives them and no user.

    An API server that starts restores its own bindings, but for those whose annotation forbids it.
    """
    objects, binding = lab.scene.installation.objects, ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", KEYS_FOR_ALL)
    found = objects.must_get(*binding)
    former = found["metadata"].get("annotations", {}).get(RESTORED)
    objects.patch(*binding, {"metadata": {"annotations": {RESTORED: "false"}}, "subjects": None})
    try:
        yield
    finally:
        objects.patch(*binding, {"metadata": {"annotations": {RESTORED: former}}, "subjects": found["subjects"]})


@pytest.fixture(scope="module")
def as_administrator(lab: Lab, the_certifier: Certifier) -> Certified:
    """What an administrator's read-only run says of the same install."""
    assert the_certifier.server
    return lab.certify(*READ_ONLY)


@pytest.fixture(scope="module")
def as_certifier(lab: Lab, the_certifier: Certifier) -> Certified:
    """What the certifier says with the read-only role alone."""
    the_certifier.give(the_certifier.rows(Role.READ_ONLY, profiles=READING), Role.READ_ONLY)
    return lab.certify(*READ_ONLY, operator=the_certifier.operator)


def told(run: Certified) -> str:
    """The reasons of a run, for a person."""
    return "\n".join(f"{r}: {'; '.join(reasons)}" for r, reasons in run.reasons.items()) or run.said[-3000:]


def test_with_the_read_only_role_all_of_its_class_is_judged(as_administrator: Certified, as_certifier: Certified) -> None:
    """Every verdict is the administrator's, but for what needs the optional role, which names it."""
    expected = as_administrator.verdicts | dict.fromkeys(BY_EXEC, "not-evaluated")
    assert as_certifier.verdicts == expected, told(as_certifier)
    assert as_certifier.verdicts["INST-02"] == "pass"
    for requirement in BY_EXEC:
        # kubectl repeats a denied websocket, which takes `get`, over SPDY, which takes `create`.
        assert re.search(r"the right to (get|create) pods/exec", " ".join(as_certifier.reasons[requirement]))


def test_with_the_optional_role_nothing_is_left_out(lab: Lab, the_certifier: Certifier, as_administrator: Certified) -> None:
    """With exec as well, every verdict is the administrator's."""
    the_certifier.give(the_certifier.rows(Role.READ_ONLY, Role.EXEC, profiles=READING), Role.READ_ONLY, Role.EXEC)
    run = lab.certify(*READ_ONLY, operator=the_certifier.operator)
    assert run.verdicts == as_administrator.verdicts, told(run)


@pytest.mark.parametrize("right", RIGHTS, ids=lambda row: f"{row.shown()} {row.place()}".strip().replace(" ", "-"))
def test_without_any_one_right_the_report_names_it(
    lab: Lab, the_certifier: Certifier, as_certifier: Certified, right: Needed
) -> None:
    """INST-02 names it, and so does a requirement that needed it, which is not evaluated. Nothing else changes.

    The Lease is no requirement's: without the right to read it the run says so, and is inconclusive.
    """
    if the_certifier.server < right.since:
        pytest.skip(f"only Kubernetes {CREATED_STREAMS[0]}.{CREATED_STREAMS[1]} and later ask for it")
    rows = the_certifier.rows(Role.READ_ONLY, profiles=READING)
    assert right in rows
    the_certifier.give([row for row in rows if row != right], Role.READ_ONLY)
    run = lab.certify(*READ_ONLY, operator=the_certifier.operator)
    assert f"denied: {right.shown()}" in " ".join(run.reasons.get("INST-02", ())), told(run)
    changed = {r for r, verdict in run.verdicts.items() if verdict != as_certifier.verdicts[r]} - {"INST-02"}
    if right.resources == ("leases",):
        assert (changed, run.result) == (set(), "inconclusive"), told(run)
        assert named(right) in " ".join(run.said.split())  # the terminal's lines are wrapped
        return
    assert {r for r in changed if named(right) in " ".join(run.reasons[r])}, told(run)
    assert {run.verdicts[requirement] for requirement in changed} == {"not-evaluated"}, told(run)


def test_the_other_roles_grant_what_a_run_uses_and_no_more(lab: Lab, the_certifier: Certifier) -> None:
    """No request was denied, and no right stayed unused, by the API server's own log.

    Without the profile hygiene, in which HYG-05 asks for every kind that there is, and is denied most of them.
    """
    profiles = {"install", "checklist", "identity", "mtls", "traffic", "rotation", "resilience"}
    roles = (Role.READ_ONLY, Role.NAMESPACED, Role.DISRUPTIVE)
    rows = the_certifier.rows(*roles, profiles=profiles)
    the_certifier.give(rows, *roles)
    # Only the first run on a cluster makes the Lease.
    lab.scene.installation.objects.delete("coordination.k8s.io/v1", "Lease", leases.NAME, namespace=leases.NAMESPACE)
    with audit_log(lab) as log:
        run = lab.certify(
            *("--profile", "core,resilience", "--allow", "disruptive"),
            operator=the_certifier.operator,
            CONFORMANCE_TIMEOUTS__TEARDOWN="60",  # it waits for its namespaces to go, as a run by hand does
        )
        requests = list(requests_of(log()))
    assert sorted({str(asked) for asked in requests if not asked.allowed}) == [], told(run)
    left = unused(rows, [asked for asked in requests if asked.allowed], NAMES)
    seldom = {row for row in left if (row.verbs[0], row.resources[0]) in ONLY_WHEN_SOMETHING_IS_WRONG}
    assert [f"{row.role}: {row.shown()} {row.place()}" for row in left if row not in seldom] == []
    assert "the right to" not in told(run)


@contextmanager
def audit_log(lab: Lab) -> Iterator[Any]:
    """Lets the API server write an audit log; yields a function that reads it. Restores the API server on the way out."""
    scene = lab.scene
    node = scene.nodes()[-1]  # workers come first
    former = scene.on_node(node, "cat", MANIFEST)
    _write(node, POLICY, policy(), lab)
    try:
        _restart_with(lab, node, audited(former), flags=[f"--audit-log-path={LOG}"])
        yield lambda: scene.on_node(node, "cat", LOG)
    finally:
        _restart_with(lab, node, former, flags=[])
        scene.on_node(node, "rm", "-rf", LOG.rpartition("/")[0], POLICY)


def _write(node: str, path: str, text: str, lab: Lab) -> None:
    must_run(["docker", "exec", "-i", node, "tee", path], stdin=text, timeout=lab.scene.patience.command)


def _restart_with(lab: Lab, node: str, manifest: str, *, flags: Sequence[str]) -> None:
    """Puts another static pod of the API server in place, and waits until it answers."""
    scene, name = lab.scene, f"kube-apiserver-{node}"
    draft = str(Path("/etc/kubernetes") / "kube-apiserver.draft")
    _write(node, draft, manifest, lab)
    ordered = datetime.now(UTC).replace(microsecond=0)
    scene.on_node(node, "mv", draft, MANIFEST)  # by one rename: the kubelet reads the directory at any moment

    def look() -> None:
        try:
            pod = scene.installation.objects.get("v1", "Pod", name, namespace="kube-system")
            scene.installation.objects.raw("/readyz")
        except (ProvisioningFailed, CouldNotTell) as error:
            raise NotYet(error.seen) from error
        if pod is None:
            raise NotYet("it has no pod")
        command = pod["spec"]["containers"][0]["command"]
        audits = [word for word in command if word.startswith("--audit-log-path=")]
        (status,) = pod.get("status", {}).get("containerStatuses") or [{}]
        started = ((status.get("state") or {}).get("running") or {}).get("startedAt", "")
        if audits != [*flags] or not status.get("ready") or not started or when(started, name) < ordered:
            raise NotYet(f"it runs with {audits}, since {started or 'never'}")

    eventually(f"the API server runs with {[*flags] or 'its former flags'}", look, RESTART)
