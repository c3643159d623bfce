"""What a role grants against what a run asked for, by the API server's audit log; and the audit log of a kind cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from facts.kubernetes.access import Right, resource_name
from observe.kubernetes.needed import Needed, Where, namespaces
from provision.certifier import ACCOUNT, NAMESPACE
from settings import Names

USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"

DECISION = "authorization.k8s.io/decision"

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
"""Static pod of the API server, on a node that kubeadm made."""
POLICY, LOG = "/etc/kubernetes/audit-policy.yaml", "/var/log/kubernetes-audit/audit.log"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as the API server audited it.

    Attributes:
        verb: Verb that was authorized.
        group: API group; empty for core.
        resource: Plural name with its subresource, or a path.
        namespace: Namespace; empty for what is in none, and for a list of all.
        allowed: The API server's decision.
        status: HTTP status of the answer.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    allowed: bool
    status: int

    @property
    def verbs(self) -> tuple[str, ...]:
        """Verbs that it takes: a server-side apply that makes an object needs the right to create it as well."""
        return ("patch", "create") if (self.verb, self.status) == ("patch", 201) else (self.verb,)

    def __str__(self) -> str:
        return str(Right(self.verb, resource_name(self.resource, self.group), self.allowed, (), self.namespace))


def requests_of(log: str, user: str = USER) -> Iterator[Request]:
    """Requests of a user in an audit log (JSON lines), each once it was answered."""
    for line in log.splitlines():
        event = json.loads(line)
        if event["user"]["username"] != user or event["stage"] not in ("ResponseComplete", "ResponseStarted"):
            continue
        about = event.get("objectRef") or {}
        path = str(event["requestURI"]).partition("?")[0]
        subresource = f"/{about['subresource']}" if about.get("subresource") else ""
        yield Request(
            verb=event["verb"],
            group=about.get("apiGroup", ""),
            resource=f"{about['resource']}{subresource}" if about.get("resource") else path,
            # The API server repeats a namespace's own name as its namespace.
            namespace="" if about.get("resource") == "namespaces" else about.get("namespace", ""),
            allowed=event["annotations"][DECISION] == "allow",
            status=int((event.get("responseStatus") or {}).get("code", 0)),
        )


def single(rows: Iterable[Needed]) -> list[Needed]:
    """The same rights as rows of one verb and one resource each."""
    return [replace(row, verbs=(verb,), resources=(each,)) for row in rows for each in row.resources for verb in row.verbs]


def covers(row: Needed, asked: Request, names: Names) -> bool:
    """True where a single right allows a request."""
    place = namespaces(names)[row.where]
    there = not place or place == asked.namespace
    return there and row.verbs[0] in asked.verbs and (row.group, row.resources[0]) == (asked.group, asked.resource)


def unused(rights: Sequence[Needed], requests: Iterable[Request], names: Names) -> list[Needed]:
    """Single rights that no request needed.

    A request counts for the first right that allows it, so that a later one, which would only allow it as well, does not
    look needed. A right that an earlier one includes is needed only without that one, and is not listed.

    Args:
        rights: Single rights, in the order of the roles.
        requests: Requests that were allowed.
        names: Names of the install.
    """
    needed: set[int] = set()
    for asked in set(requests):
        for verb in asked.verbs:
            one = replace(asked, verb=verb, status=0)
            needed.update([place for place, row in enumerate(rights) if covers(row, one, names)][:1])
    return [row for place, row in enumerate(rights) if place not in needed and not _included(row, rights[:place])]


def _included(row: Needed, earlier: Iterable[Needed]) -> bool:
    same = (row.verbs, row.group, row.resources)
    return any((each.verbs, each.group, each.resources) == same and each.where is Where.EVERYWHERE for each in earlier)


def named(row: Needed) -> str:
    """A single right as the API server's words lead to it, without a namespace: the suite's errors begin like this."""
    return f"the right to {row.shown().partition(' (')[0]}"


def policy() -> str:
    """The audit policy: the certifier's requests, once each is answered, and nothing else."""
    rules = [{"level": "Metadata", "users": [USER], "omitStages": ["RequestReceived"]}, {"level": "None"}]
    return yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}, sort_keys=False)


def audited(manifest: str) -> str:
    """The API server's static pod with an audit log.

    Args:
        manifest: The pod, as kubeadm wrote it.
    """
    pod: dict[str, Any] = yaml.safe_load(manifest)
    (server,) = pod["spec"]["containers"]
    server["command"] += [f"--audit-policy-file={POLICY}", f"--audit-log-path={LOG}"]
    directory = LOG.rpartition("/")[0]
    server["volumeMounts"] += [
        {"name": "audit-policy", "mountPath": POLICY, "readOnly": True},
        {"name": "audit-log", "mountPath": directory},
    ]
    pod["spec"]["volumes"] += [
        {"name": "audit-policy", "hostPath": {"path": POLICY, "type": "File"}},
        {"name": "audit-log", "hostPath": {"path": directory, "type": "DirectoryOrCreate"}},
    ]
    return yaml.safe_dump(pod, sort_keys=False)
