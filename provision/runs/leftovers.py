"""What runs made for themselves and left: found by label *and* field manager, and deleted; nothing else is.

Teleport knows no field managers: there, a second label that the suite gives at creation stands for them.

An installation that the suite provisioned carries the name of its kind cluster as a second label and stays; it goes with
`conformance down --kind-name`. So do originals of changes: `conformance undo` needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from facts.document import decoded
from facts.errors import WHAT_TO_DO, BadInput, ConformanceError, CouldNotTell, ProvisioningFailed
from facts.kubernetes.leases import NAMESPACE
from observe.tools import Tctl
from observe.wait import Pace
from providers.teleport.installing.teleport import CLUSTER_LABEL
from providers.teleport.observe.session import is_not_there
from provision.objects import FIELD_MANAGER, MADE_LABEL, MAY_CHANGE_LABEL, RUN_LABEL, SCRATCH, Forbidden, Objects
from provision.runs.claim import WHERE, Claim, read
from provision.runs.originals import Originals
from provision.runs.undo import Line, State

_KINDS = (("v1", "Namespace"), ("v1", "Pod"), ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
          ("rbac.authorization.k8s.io/v1", "ClusterRole"))  # fmt: skip
"""Kinds that are looked for outside the suite's own namespaces, with which everything in them goes."""

_IN_TELEPORT = ("role", "bot", "workload_identity", "token")


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a run made and did not remove.

    Attributes:
        run: Id of the run.
        kind: Kind of the thing.
        name: Name of the thing.
        namespace: Namespace of the thing; empty for none.
        api_version: API version; empty for a resource in Teleport.
    """

    run: str
    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}{'' if self.api_version else ' in Teleport'}, of run {self.run}"


def down(
    objects: Objects, tctl: Tctl | None, run: str, undo: str, pace: Pace | None, *, claim: Claim
) -> list[Line]:  # fmt: skip
    """List what runs left; with a pace, delete it while holding the cluster, and wait until it is gone.

    Args:
        objects: Changes the cluster.
        tctl: Runs an admin tctl; None where Teleport is left out.
        run: Id of the run; empty for every run.
        undo: Command that restores what a run changed.
        pace: Pace of the wait for namespaces to go; None to delete nothing.
        claim: Hold that the deletion takes, so that no run begins meanwhile.

    Raises:
        BadInput: The run is under way; or, to delete, any run.
        ProvisioningFailed: The API server or tctl refuses, or does not answer.
        CouldNotTell: An original, or the Lease, cannot be read.
    """
    if pace is None:
        _must_have_ended(objects, run)
        lines, found = _listed(objects, tctl, run, undo)
        return [*lines, *(Line(State.LEFT, str(each)) for each in found)]
    lease = read(objects)
    try:
        claim.take_over()
        lines = _deleted(objects, tctl, pace, *_listed(objects, tctl, run, undo))
    finally:
        wrong = claim.release()
    if wrong:
        return [*lines, Line(State.UNKNOWN, wrong)]
    return [*lines, *([Line(State.DONE, f"the Lease of {lease.holder}")] if lease is not None and lease.is_held else [])]


def _listed(objects: Objects, tctl: Tctl | None, run: str, undo: str) -> tuple[list[Line], list[Leftover]]:
    """Return lines on what cannot be deleted here, and what can."""
    lines = [_changed(each.run, str(each.change), undo) for each in Originals(objects).all() if run in ("", each.run)]
    return lines, [*_in_cluster(objects, run, lines), *(_in_teleport(tctl, run) if tctl else ())]


def _deleted(
    objects: Objects, tctl: Tctl | None, pace: Pace, lines: list[Line], found: list[Leftover]
) -> list[Line]:  # fmt: skip
    """Return the lines with what became of each thing."""
    lines = [*lines]
    for each in found:
        try:
            _delete(each, objects, tctl)
        except ConformanceError as error:
            lines.append(Line(State.LEFT, f"{each}: {error}"))
        else:
            lines.append(Line(State.DONE, str(each)))
    try:
        objects.await_departures(pace)
    except CouldNotTell as error:
        lines.append(Line(State.UNKNOWN, str(error)))
    return lines


def _changed(run: str, what: str, undo: str) -> Line:
    return Line(State.LEFT, f"{what}, changed by run {run} and not restored. {WHAT_TO_DO}: {undo}")


def _must_have_ended(objects: Objects, run: str) -> None:
    lease = read(objects)
    if lease is not None and lease.is_held and run in ("", lease.run) and not lease.is_stale(datetime.now(UTC)):
        raise BadInput(
            expected="a run that has ended",
            seen=lease.holder,
            where=WHERE,
            remedy="wait for its end, or end it with Ctrl-C: it removes what it made by itself",
        )


def _in_cluster(objects: Objects, run: str, unknown: list[Line]) -> Iterator[Leftover]:
    """Yield what is left in the cluster; `unknown` gets a line for each kind that this user may not list."""
    selector = f"{RUN_LABEL}={run}" if run else RUN_LABEL
    own = set[str]()
    for api_version, kind in _KINDS:
        try:
            labelled = objects.all_of(api_version, kind, label_selector=selector)
        except Forbidden as error:
            unknown.append(Line(State.UNKNOWN, f"objects of kind {kind}: {error}"))
            continue
        for document in labelled:
            metadata = document["metadata"]
            name, namespace = str(metadata["name"]), str(metadata.get("namespace", ""))
            scratch = kind != "Namespace" or name.startswith(SCRATCH)
            if not scratch or namespace in (*own, NAMESPACE) or not _is_the_suites(metadata):
                continue
            if kind == "Namespace":
                own.add(name)
            yield Leftover(str(metadata["labels"][RUN_LABEL]), kind, name, namespace, api_version)


def _is_the_suites(metadata: Mapping[str, Any]) -> bool:
    """Return True for an object that a run applied for itself."""
    managers = {entry.get("manager") for entry in metadata.get("managedFields") or []}
    return FIELD_MANAGER in managers and CLUSTER_LABEL not in metadata["labels"]


def _in_teleport(tctl: Tctl, run: str) -> Iterator[Leftover]:
    for kind in _IN_TELEPORT:
        for resource in _resources(tctl, kind):
            labels = (resource.get("metadata") or {}).get("labels") or {}
            of = str(labels.get(RUN_LABEL, ""))
            if of and run in ("", of) and _is_made_and_not_kept(labels):
                yield Leftover(of, kind, str(resource["metadata"]["name"]))


def _is_made_and_not_kept(labels: Mapping[str, str]) -> bool:
    """Return True for the labels of a resource in Teleport that a run created, for no installation.

    The run's label alone proves nothing, since an owner can give it. An installation may be one that another machine keeps.
    """
    return MADE_LABEL in labels and not {CLUSTER_LABEL, MAY_CHANGE_LABEL} & {*labels}


def _resources(tctl: Tctl, kind: str) -> Sequence[Mapping[str, Any]]:
    answer = tctl(["get", kind, "--format=json"], "")
    if is_not_there(answer, kind):
        return ()
    found = decoded(answer.stdout) if not answer.exit_code else None
    if not isinstance(found, list):
        raise ProvisioningFailed(
            expected=f"Teleport to list its resources of kind {kind}",
            seen=f"exit code {answer.exit_code}: {answer.tail() if answer.exit_code else 'no list'}",
            where=f"tctl get {kind}",
            remedy="check the session with `tctl status`",
        )
    return found


def _delete(left: Leftover, objects: Objects, tctl: Tctl | None) -> None:
    if left.api_version:
        objects.delete(left.api_version, left.kind, left.name, namespace=left.namespace)
        return
    name = f"{left.kind}/{left.name}"
    answer = tctl(["rm", name], "") if tctl else None
    if answer is not None and answer.exit_code and not is_not_there(answer, left.name):
        raise ProvisioningFailed(
            expected=f"Teleport to remove {name}",
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where="Teleport",
            remedy=f"remove it by hand: tctl rm {name}",
        )
