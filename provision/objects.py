"""Kubernetes objects of the suite: applied server-side with the run's label and field manager, awaited, deleted."""

from __future__ import annotations

import contextlib
import copy
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from facts.errors import ProvisioningFailed
from facts.kubernetes import remains
from facts.kubernetes.objects import Labelled
from observe.kubernetes.api import connect
from observe.wait import NotYet, Pace, eventually
from provision import rollout
from provision.clusters.directory import make_private

RUN_LABEL = remains.RUN_LABEL
MADE_LABEL = remains.MADE_LABEL
MAY_CHANGE_LABEL = remains.MAY_CHANGE_LABEL
FIELD_MANAGER = remains.FIELD_MANAGER

SCRATCH = "conformance-"
"""Prefix of the name of each namespace that the suite makes for its own pods."""

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""Annotation with which ``kubectl rollout restart`` makes a new pod template out of the same one."""

RETRIES = 3
"""Times that a change is sent again if no connection is made: an API server of kind that has just started drops some."""

Document = Mapping[str, Any]

Lacks = Callable[[Document], str]
"""Returns what an object still lacks to be ready; empty when it is ready."""

CannotBecomeReady = Callable[[Document, Sequence[Document]], str]
"""Returns why an object with these pods will not become ready by itself; empty while nothing shows that."""

_LACKS: Mapping[str, Lacks] = {
    "Deployment": rollout.deployment_lacks,
    "DaemonSet": rollout.daemonset_lacks,
    "Node": rollout.node_lacks,
}


def scratch_namespace(run_id: str, name: str = "") -> str:
    """Return the name of a namespace of a run for its own pods; a run's id has capitals, which no namespace may have."""
    return SCRATCH + "-".join(filter(None, (run_id.lower(), name)))


def is_scratch(namespace: Labelled) -> bool:
    """Return True for a namespace that a run made for its own pods; its other namespaces belong to the install."""
    return RUN_LABEL in namespace.labels and namespace.name.startswith(SCRATCH)


class NotThere(ProvisioningFailed):
    """The API server has no object of that name in that namespace."""


class Conflict(ProvisioningFailed):
    """The object exists already, or has changed since it was read."""


class Forbidden(ProvisioningFailed):
    """The user's identity lacks the right."""


_BY_STATUS: Mapping[int, type[ProvisioningFailed]] = {403: Forbidden, 404: NotThere, 409: Conflict}


class _Connection:
    """The client of one cluster, which the first call connects, for all that share it; see `Objects` for the arguments."""

    def __init__(self, kubeconfig: Path | None, context: str, discovery: Path) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._discovery = discovery
        self._lock = threading.Lock()
        self._dynamic: Any = None

    def __call__(self) -> Any:
        with self._lock:
            if self._dynamic is None:
                # Imported here: the import takes half a second, which passes while kind makes the cluster.
                from kubernetes.dynamic import DynamicClient  # noqa: PLC0415

                client = connect(self._kubeconfig, self._context, retries=RETRIES)
                make_private(self._discovery.parent)
                self._dynamic = DynamicClient(client, cache_file=str(self._discovery))
            return self._dynamic


class Objects:
    """Changes objects of one cluster. Safe to use from several threads.

    `patch`, `restart` and `replace_pod` change what a run did not make, so each asks the fence first; what a run applies and
    deletes is its own.
    """

    def __init__(self, kubeconfig: Path | None, context: str, run_id: str, *, timeout: float, discovery: Path) -> None:
        """Prepare; the first call connects.

        Args:
            kubeconfig: File to read; None means kubectl's own default.
            context: Context in that file.
            run_id: Value of the run's label.
            timeout: Seconds for one request.
            discovery: File in which the client caches the kinds of objects; its own default file is shared by all clusters
                that ever had this address.
        """
        self.run_id = run_id
        self._timeout = timeout
        self._client = _Connection(kubeconfig, context, discovery)
        self._lock = threading.RLock()
        self._resources: dict[tuple[str, str], Any] = {}
        self._leaving: list[str] = []
        self.groups: set[str] = set()
        """API groups of the objects that it applied; empty for the core group."""
        self.may_change: Callable[[], None] = lambda: None

    def fenced(self, may_change: Callable[[], None]) -> Objects:
        """Return the same, with a fence.

        Args:
            may_change: Called before each change of what the run did not make; raises where the run has lost its hold.
        """
        fenced = copy.copy(self)
        fenced.may_change = may_change
        return fenced

    def unfenced(self) -> Objects:
        """Return the same without the fence, for what restores a change: that must happen after a loss of the hold, too."""
        return self.fenced(lambda: None)

    def apply(self, document: Document) -> dict[str, Any]:
        """Apply an object server-side with the run's label, and return it as the API server has it.

        Raises:
            ProvisioningFailed: The API server refused it or did not answer.
        """
        labelled = copy.deepcopy(dict(document))
        labelled["metadata"] = {
            **labelled["metadata"],
            "labels": {**labelled["metadata"].get("labels", {}), RUN_LABEL: self.run_id},
        }
        self.groups.add(labelled["apiVersion"].rpartition("/")[0])
        return self._ask(labelled, "server_side_apply", body=labelled, field_manager=FIELD_MANAGER, force_conflicts=True)

    def apply_all(self, documents: Iterable[Document]) -> None:
        """Apply objects in their order."""
        for document in documents:
            self.apply(document)

    def create(self, document: Document) -> dict[str, Any]:
        """Create an object as it is, without the run's label.

        Raises:
            Conflict: There is one of that name.
            ProvisioningFailed: See `apply`.
        """
        return self._ask(document, "create", body=dict(document), field_manager=FIELD_MANAGER)

    def would_create(self, document: Document) -> dict[str, Any]:
        """Return the object as the API server would create it, with all that webhooks add to it.

        Raises:
            ProvisioningFailed: The API server would refuse it; `seen` has its words.
        """
        return self._ask(document, "create", body=dict(document), dry_run="All")

    def patch(self, api_version: str, kind: str, name: str, change: Document, *, namespace: str = "") -> dict[str, Any]:
        """Change an object of a built-in kind by a strategic merge patch, as ``kubectl patch`` and ``set image`` do.

        Raises:
            Conflict: `change` has a resource version, and the object another one.
            ProvisioningFailed: See `apply`; or the fence raised.
        """
        self.may_change()
        return self._ask(
            _reference(api_version, kind, name, namespace),
            "patch", body=dict(change), content_type="application/strategic-merge-patch+json", field_manager=FIELD_MANAGER,
        )  # fmt: skip

    def restart(self, kind: str, name: str, *, namespace: str) -> None:
        """Restart a Deployment or DaemonSet as ``kubectl rollout restart`` does, without waiting.

        A DaemonSet with the update strategy OnDelete replaces no pod by itself, so the suite deletes its pods, all at once.

        Raises:
            ProvisioningFailed: See `apply`.
        """
        template = {"metadata": {"annotations": {RESTARTED_AT: datetime.now(UTC).isoformat(timespec="microseconds")}}}
        spec = self.patch("apps/v1", kind, name, {"spec": {"template": template}}, namespace=namespace)["spec"]
        if spec.get("updateStrategy", {}).get("type") == "OnDelete":
            for pod in self.all_of(
                "v1", "Pod", namespace=namespace, label_selector=selector(spec["selector"]["matchLabels"])
            ):
                self.delete("v1", "Pod", pod["metadata"]["name"], namespace=namespace)

    def replace_pod(self, name: str, *, namespace: str) -> None:
        """Delete a pod that its controller makes again, without waiting; nothing happens if it is gone.

        Raises:
            ProvisioningFailed: See `patch`.
        """
        self.may_change()
        self.delete("v1", "Pod", name, namespace=namespace)

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """Return an object, or None if there is none of that name.

        Raises:
            ProvisioningFailed: See `apply`.
        """
        with contextlib.suppress(NotThere):
            return self.must_get(api_version, kind, name, namespace=namespace)
        return None

    def must_get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> dict[str, Any]:
        """Return an object.

        Raises:
            ProvisioningFailed: See `apply`; or there is no such object.
        """
        return self._ask(_reference(api_version, kind, name, namespace), "get")

    def all_of(self, api_version: str, kind: str, *, namespace: str = "", label_selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind.

        Raises:
            ProvisioningFailed: See `apply`.
        """
        found = self._ask(_reference(api_version, kind, "", namespace), "get", label_selector=label_selector or None)
        items: list[dict[str, Any]] = found.get("items", [])
        return items

    def delete(self, api_version: str, kind: str, name: str, *, namespace: str = "", grace: int | None = None) -> None:
        """Delete an object, and with a namespace its pods, without waiting; nothing happens if there is none.

        Args:
            api_version: API version of the object.
            kind: Kind of the object.
            name: Name of the object.
            namespace: Namespace of the object; empty for a cluster-wide one.
            grace: Seconds that a pod has to end, instead of its own setting.

        Raises:
            ProvisioningFailed: See `apply`.
        """
        if kind == "Namespace":
            self._leaving.append(name)
        with contextlib.suppress(NotThere):
            self._ask(_reference(api_version, kind, name, namespace), "delete", grace_period_seconds=grace)
        if kind == "Namespace":
            # Kubernetes waits five seconds before it empties a namespace, and then for the pods, which take longest.
            for pod in self.all_of("v1", "Pod", namespace=name):
                # No pod of the suite has work to finish; a gateway that istiod deploys would take half a minute.
                self.delete("v1", "Pod", pod["metadata"]["name"], namespace=name, grace=1)

    def await_departures(self, pace: Pace) -> None:
        """Wait until every namespace that `delete` was called for is gone, with all that was in it.

        Raises:
            CouldNotTell: A namespace is still there; says what its conditions say.
        """
        for name in self._leaving:
            eventually(
                f"Namespace {name} is gone",
                partial(self._look_for_departure, name),
                pace,
                remedy=f"check what blocks its deletion: kubectl get namespace {name} -o yaml",
            )

    def _look_for_departure(self, name: str) -> None:
        found = self.get("v1", "Namespace", name)
        if found is not None:
            conditions = found.get("status", {}).get("conditions", [])
            said = [c["message"] for c in conditions if c.get("status") == "True" and c.get("message")]
            raise NotYet("; ".join(said) or "it is being deleted")

    def raw(self, path: str) -> str:
        """Return the answer to a GET of any path, as text.

        Raises:
            ProvisioningFailed: See `apply`.
        """
        with _client_errors_as_failures(f"GET {path}"):
            answer = self._client().request(
                # The API server sends the JWKS only to clients that accept its media type; this client's default is JSON.
                "get", path, serialize=False, _request_timeout=self._timeout, header_params={"Accept": "*/*"}
            )  # fmt: skip
            return str(answer.data.decode())

    def await_ready(
        self, kind: str, name: str, pace: Pace, *, namespace: str = "", remedy: str = "", lacks: Lacks | None = None
    ) -> dict[str, Any]:
        """Wait until a Deployment, DaemonSet or Node is ready, and return it.

        Args:
            kind: Kind of the object, one of the three.
            name: Name of the object.
            pace: Pace of the wait.
            namespace: Namespace of the object; empty for a node.
            remedy: What to try when it does not become ready.
            lacks: Rule for readiness, instead of the usual rule for its kind.

        Raises:
            CouldNotTell: It did not become ready in time; says what its status and its pods say.
        """

        def look() -> dict[str, Any]:
            document, missing, _pods = self._state_of(kind, name, namespace, lacks)
            if missing:
                raise NotYet(missing)
            return document

        what = f"{kind} {namespace}/{name} is ready" if namespace else f"{kind} {name} is ready"
        return eventually(what, look, pace, remedy=remedy or f"kubectl describe {kind.lower()} {name} -n {namespace}")

    def await_settled(
        self, kind: str, name: str, pace: Pace, *, namespace: str, hopeless: CannotBecomeReady, lacks: Lacks | None = None
    ) -> str:
        """Wait until a Deployment or DaemonSet is ready, or shows that it will not become ready by itself.

        Args:
            kind: Kind of the object, one of the two.
            name: Name of the object.
            pace: Pace of the wait.
            namespace: Namespace of the object.
            hopeless: Rule for an object that will not become ready by itself.
            lacks: See `await_ready`.

        Returns:
            Why it will not become ready; empty if it is ready.

        Raises:
            CouldNotTell: Neither happened in time.
        """

        def look() -> str:
            document, missing, pods = self._state_of(kind, name, namespace, lacks)
            if not missing:
                return ""
            if why := hopeless(document, pods):
                return why
            raise NotYet(missing)

        remedy = f"kubectl describe {kind.lower()} {name} -n {namespace}"
        return eventually(f"{kind} {namespace}/{name} is ready, or cannot become so", look, pace, remedy=remedy)

    def _state_of(
        self, kind: str, name: str, namespace: str, lacks: Lacks | None
    ) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
        """Return an object, what it lacks to be ready (its pods say it too), and, if it lacks something, its pods."""
        document = self.get("v1" if kind == "Node" else "apps/v1", kind, name, namespace=namespace)
        if document is None:
            raise NotYet("it does not exist")
        missing = (lacks or _LACKS[kind])(document)
        if not missing:
            return document, "", []
        labels = document.get("spec", {}).get("selector", {}).get("matchLabels", {})
        pods = self.all_of("v1", "Pod", namespace=namespace, label_selector=selector(labels)) if labels else []
        return document, "; ".join(filter(None, (missing, rollout.pods_say(pods)))), pods

    def _ask(self, document: Document, verb: str, **arguments: Any) -> dict[str, Any]:
        metadata = document["metadata"]
        name, namespace = metadata.get("name") or None, metadata.get("namespace") or None
        where = f"{document['kind']} {namespace}/{name}" if namespace else f"{document['kind']} {name or ''}".strip()
        with _client_errors_as_failures(where):
            resource = self._resource(document["apiVersion"], document["kind"])
            named = {} if verb == "create" else {"name": name}
            answer = getattr(self._client(), verb)(
                resource, namespace=namespace, _request_timeout=self._timeout, serialize=False, **named, **arguments
            )
            parsed: dict[str, Any] = json.loads(answer.data)
            return parsed

    def _resource(self, api_version: str, kind: str) -> Any:
        with self._lock:
            key = (api_version, kind)
            if key not in self._resources:
                self._resources[key] = self._client().resources.get(
                    # The prefix keeps discovery from reading every API group that has a version of this name.
                    prefix="apis" if "/" in api_version else "api", api_version=api_version, kind=kind,
                )  # fmt: skip
            return self._resources[key]


def config_map(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    """Return a ConfigMap, as an object to apply."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def selector(labels: Mapping[str, str]) -> str:
    """Return a label selector for all of these labels."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _reference(api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


@contextlib.contextmanager
def _client_errors_as_failures(where: str) -> Iterator[None]:
    """Turn an exception of the client into an error with a remedy."""
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    from kubernetes.dynamic.exceptions import ResourceNotFoundError  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        refused = _BY_STATUS.get(error.status, ProvisioningFailed)
        raise refused(
            expected="the API server to accept the request",
            seen=f"HTTP {error.status}: {_message(error)}",
            where=where,
            remedy="read the message of the API server; a webhook or policy of the cluster may refuse the object",
        ) from error
    except ResourceNotFoundError as error:
        raise ProvisioningFailed(
            expected="the API server to know this kind",
            seen=str(error),
            where=where,
            remedy="check whether its CRD is installed",
        ) from error
    except (HTTPError, OSError) as error:
        raise ProvisioningFailed(
            expected="an answer from the API server",
            seen=f"{type(error).__name__}: {error}",
            where=where,
            remedy="check whether the cluster's nodes still run: docker ps",
        ) from error
    except ValueError as error:  # HTTP 200 with a page of a load balancer that stands before the API server
        raise ProvisioningFailed(
            expected="JSON from the API server",
            seen=f"{type(error).__name__}: {error}",
            where=where,
            remedy="see what answers at the server's address in the kubeconfig: kubectl get --raw /version",
        ) from error


def _message(error: Any) -> str:
    """Return the message of the API server in an error."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
