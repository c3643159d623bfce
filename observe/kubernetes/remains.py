"""Reader of what has the label of a run: over every kind that the API server lists and the identity in use may list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from facts.document import decoded, parse_items
from facts.errors import CouldNotTell, NotGiven
from facts.evidence import ObjectRef
from facts.kubernetes.objects import list_of
from facts.kubernetes.remains import (
    RUN_LABEL,
    LabelledObject,
    LabelledResource,
    ListableKind,
    Remains,
    group_of,
    parse_groups,
    parse_kinds,
    parse_labelled,
    parse_labelled_resources,
)
from facts.masks import kept_for
from observe.command import CommandResult
from observe.kubernetes.cluster import Cluster
from observe.readings import at_once
from observe.tools import Tctl
from providers.teleport.facts.tctl import says_denied

IN_TELEPORT = ("role", "bot", "workload_identity", "token")
"""Kinds of resources that the suite makes in Teleport."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """The answer about one kind; or why there is none."""

    kind: ListableKind
    objects: tuple[LabelledObject, ...] = ()
    evidence: tuple[str, ...] = ()
    error: CouldNotTell | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the questions so far showed beside their answers.

    Attributes:
        evidence: Ids of the readings.
        unread: What could not be listed: the path of its API version, its name, and the reason.
        denied_in_teleport: Kinds of resources that the session may not list.
    """

    evidence: list[str] = field(default_factory=list)
    unread: list[tuple[str, str, str]] = field(default_factory=list)
    denied_in_teleport: list[str] = field(default_factory=list)


def read_remains(
    cluster: Cluster,
    tctl: Tctl | None,
    run: str,
    is_empty: Callable[[CommandResult, str], bool],
    made: Collection[str],
) -> Remains:
    """Read everything that has the label of a run.

    Args:
        tctl: Runs an admin tctl; None without a session.
        run: Id of the run.
        is_empty: Tells whether tctl says that there is nothing of a kind.
        made: API groups of the objects that the run made; empty for the core group.

    Raises:
        CouldNotTell: The API server does not say which kinds there are, or tctl fails.
    """
    seen = _Seen()
    kinds = list(_kinds(cluster, seen))
    listed = at_once(lambda kind: _list(cluster, kind, run), kinds)
    resources = list(_resources(cluster, tctl, run, is_empty, seen)) if tctl else []
    failed = [each for each in listed if each.error is not None]
    denied = [each.kind for each in failed if isinstance(each.error, NotGiven)]
    seen.unread.extend(
        (each.kind.path, str(each.kind), each.error.seen)
        for each in failed
        if each.error and not isinstance(each.error, NotGiven)
    )
    of_the_run, of_others = (
        tuple((what, why) for path, what, why in seen.unread if (group_of(path) in made) is is_made)
        for is_made in (True, False)
    )
    return Remains(
        objects=tuple((each.kind, found) for each in listed for found in each.objects),
        resources=tuple(resources),
        looked_at=tuple(each.kind for each in listed if each.error is None),
        denied=tuple(denied),
        unread=of_the_run,
        silent=of_others,
        denied_in_teleport=tuple(seen.denied_in_teleport),
        asked_teleport=tctl is not None,
        evidence=tuple(dict.fromkeys([*seen.evidence, *(i for each in listed for i in each.evidence)])),
    )


def _kinds(cluster: Cluster, seen: _Seen) -> Iterator[ListableKind]:
    """Yield every kind that the API server lists; those of API versions whose server does not answer go to `_Seen.unread`.

    An API that an extension serves may be out of order for months, and no object of the run is in it.
    """
    groups = cluster.api.get("/apis", ObjectRef("Cluster", cluster.context), parser=parse_groups)
    seen.evidence.append(groups.evidence)
    for path in ("/api/v1", *(f"/apis/{version}" for version in parse_groups(groups.document))):
        try:
            reading = cluster.api.get(path, ObjectRef("ApiGroup", path), parser=parse_kinds)
        except CouldNotTell as error:
            seen.unread.append((path, path, error.seen))
            continue
        seen.evidence.append(reading.evidence)
        yield from parse_kinds(reading.document)


def _list(cluster: Cluster, kind: ListableKind, run: str) -> _Listed:
    path, mask = f"{kind.path}/{kind.plural}", list_of(kept_for(parse_labelled))
    query, subject = {"labelSelector": f"{RUN_LABEL}={run}"}, ObjectRef("List", kind.plural)
    try:
        pages = list(cluster.api.pages(path, subject, parser=parse_labelled, query=query, mask=mask))
        found = tuple(o for page in pages for o in parse_items(page.document, parse_labelled, (page.evidence,), path))
    except CouldNotTell as error:
        return _Listed(kind, error=error)
    return _Listed(kind, found, tuple(page.evidence for page in pages))


def _resources(
    cluster: Cluster, tctl: Tctl, run: str, is_empty: Callable[[CommandResult, str], bool], seen: _Seen
) -> Iterator[tuple[str, LabelledResource]]:
    for kind in IN_TELEPORT:
        answer = tctl(["get", kind, "--format=json"], "")
        if is_empty(answer, kind):
            continue
        if answer.exit_code and says_denied(answer.stderr):
            seen.denied_in_teleport.append(kind)
            continue
        if answer.exit_code:
            raise CouldNotTell(
                expected=f"Teleport to list its resources of kind {kind}",
                seen=f"exit code {answer.exit_code}: {answer.tail()}",
                where=f"tctl get {kind}",
                remedy="check the session with `tctl status`",
            )
        question, subject = f"tctl get {kind} --format=json", ObjectRef("Teleport", kind)
        done = answer.recorded(cluster.recorder, subject, parser=parse_labelled_resources, shown_as=question)
        seen.evidence.extend(done.evidence)
        for each in parse_labelled_resources(decoded(done.stdout)):
            if each.labels.get(RUN_LABEL) == run:
                yield kind, each
