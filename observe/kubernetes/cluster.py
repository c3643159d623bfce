"""Reader of a Kubernetes cluster: it records every answer, returns typed facts, and changes nothing.

It never lists or reads Secrets.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from facts.document import Absent, Reading, maybe, need, parse_items
from facts.evidence import ObjectRef
from facts.istio.control_planes import Webhook, parse_webhook
from facts.istio.gateway_api import GatewayClass, parse_gateway_class
from facts.istio.injection import DryRun, parse_dry_run
from facts.istio.services import Service, parse_service
from facts.kubernetes import leases
from facts.kubernetes.access import Right, parse_review, parse_subject_review
from facts.kubernetes.jwks import Jwks, parse_jwks
from facts.kubernetes.leases import Lease
from facts.kubernetes.objects import (
    ConfigMap,
    Event,
    Labelled,
    Node,
    Pod,
    config_map_with,
    list_of,
    parse_config_map,
    parse_event,
    parse_namespace,
    parse_node,
    parse_pod,
)
from facts.kubernetes.rbac import Rbac, parse_binding, parse_rbac_role
from facts.kubernetes.workloads import CronJob, DaemonSet, Deployment, parse_cron_job, parse_daemon_set, parse_deployment
from facts.masks import KEYS, Fields, Mask, kept_for
from facts.recorder import Recorder
from facts.versions import Version, parse_server_version
from observe.command import CommandResult
from observe.kubernetes.api import Api, connect
from observe.kubernetes.denial import denial
from observe.kubernetes.streams import ForwardedPort, Streams
from observe.requests import Requests
from settings import DEFAULT_SIZES, Sizes, Timeouts

T = TypeVar("T")

SLACK = 64 * 1024
"""Bytes of a log beyond the limit, which show that it is longer; the kubelet may send a little less than it is asked for."""


class Cluster:
    """One cluster, through one context. Safe to use from several threads.

    Attributes:
        api: Requests to its API server.
        context: Name of the context.
        recorder: Where the readings go.
        patience: Limits on its waits.
        requests: Counts what is asked of its API server and its pods.
    """

    def __init__(
        self, kubeconfig: Path | None, context: str, recorder: Recorder, patience: Timeouts, sizes: Sizes = DEFAULT_SIZES
    ) -> None:
        """Open a cluster without sending a request.

        Raises:
            BadInput: The kubeconfig or the context cannot be used; lists the contexts there are.
        """
        self.requests = Requests()
        self.api = Api(connect(kubeconfig, context), context, recorder, patience.api, sizes, requests=self.requests)
        self.context = context
        self.recorder = recorder
        self.kubeconfig = kubeconfig
        self.patience = patience
        self._sizes = sizes
        self._streams = Streams(self.api.client, sizes.pod, self.requests)

    def recording_to(self, recorder: Recorder) -> Cluster:
        """The same cluster over the same connections, with another recorder. Close only the original."""
        other = copy.copy(self)
        other.recorder = recorder
        other.api = self.api.recording_to(recorder)
        return other

    def close(self) -> None:
        """Closes all connections."""
        self.api.close()

    # --- objects -----------------------------------------------------------------------------------------------------

    def pods(self, namespace: str = "", label_selector: str = "") -> tuple[Pod, ...]:
        """Pods of one namespace, or of all."""
        return self._objects("/api/v1", "pods", parse_pod, namespace, label_selector)

    def pod(self, namespace: str, name: str) -> Pod | Absent:
        """One pod."""
        return self._object("/api/v1", "pods", ObjectRef("Pod", name, namespace), parse_pod)

    def deployments(self, namespace: str = "") -> tuple[Deployment, ...]:
        """Deployments of one namespace, or of all."""
        return self._objects("/apis/apps/v1", "deployments", parse_deployment, namespace)

    def deployment(self, namespace: str, name: str) -> Deployment | Absent:
        """One Deployment."""
        return self._object("/apis/apps/v1", "deployments", ObjectRef("Deployment", name, namespace), parse_deployment)

    def daemon_sets(self) -> tuple[DaemonSet, ...]:
        """All DaemonSets."""
        return self._objects("/apis/apps/v1", "daemonsets", parse_daemon_set)

    def daemon_set(self, namespace: str, name: str) -> DaemonSet | Absent:
        """One DaemonSet."""
        return self._object("/apis/apps/v1", "daemonsets", ObjectRef("DaemonSet", name, namespace), parse_daemon_set)

    def cron_jobs(self) -> tuple[CronJob, ...]:
        """All CronJobs."""
        return self._objects("/apis/batch/v1", "cronjobs", parse_cron_job)

    def config_map(
        self,
        namespace: str,
        name: str,
        texts: Fields = KEYS,
        hides: Callable[[Any], Iterable[str]] = lambda _document: (),
    ) -> ConfigMap | Absent:
        """One ConfigMap.

        Args:
            texts: What is kept of its texts; without it their keys.
            hides: See `Api.get`.
        """
        ref = ObjectRef("ConfigMap", name, namespace)
        return self._object("/api/v1", "configmaps", ref, parse_config_map, mask=config_map_with(texts), hides=hides)

    def lease(self) -> Lease | Absent:
        """The Lease by which runs of the suite keep off each other's cluster."""
        ref = ObjectRef("Lease", leases.NAME, leases.NAMESPACE)
        return self._object("/apis/coordination.k8s.io/v1", "leases", ref, leases.parse_lease)

    def services(self, namespace: str) -> tuple[Service, ...]:
        """Services of one namespace."""
        return self._objects("/api/v1", "services", parse_service, namespace)

    def mutating_webhooks(self) -> tuple[Webhook, ...]:
        """All configurations of mutating admission webhooks; the tags of Istio's revisions are among them."""
        return self._objects("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", parse_webhook)

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """Classes of gateways of the Gateway API, in a cluster that knows it."""
        return self._objects("/apis/gateway.networking.k8s.io/v1", "gatewayclasses", parse_gateway_class)

    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""
        return self._objects("/api/v1", "nodes", parse_node)

    def namespaces(self) -> tuple[Labelled, ...]:
        """All namespaces."""
        return self._objects("/api/v1", "namespaces", parse_namespace)

    def rbac(self) -> Rbac:
        """All roles and bindings of the cluster."""
        group = "/apis/rbac.authorization.k8s.io/v1"
        roles = (self._objects(group, plural, parse_rbac_role) for plural in ("clusterroles", "roles"))
        bindings = (self._objects(group, plural, parse_binding) for plural in ("clusterrolebindings", "rolebindings"))
        return Rbac(tuple(chain.from_iterable(roles)), tuple(chain.from_iterable(bindings)))

    def events(self, namespace: str) -> tuple[Event, ...]:
        """Events of a namespace, as they are listed."""
        return self._objects("/api/v1", "events", parse_event, namespace)

    # --- the cluster itself ------------------------------------------------------------------------------------------

    def version(self) -> tuple[Version, tuple[str, ...]]:
        """Version of the API server, and the ids of the reading."""
        ref = ObjectRef("Cluster", self.context)
        reading = self.api.get("/version", ref, parser=parse_server_version)
        return parse_server_version(reading.document), (reading.evidence,)

    def jwks(self) -> Jwks:
        """Keys that sign service-account tokens now."""
        reading = self.api.get("/openid/v1/jwks", ObjectRef("Cluster", self.context), parser=parse_jwks)
        return parse_jwks(reading.document, (reading.evidence,))

    def can_i(self, verb: str, group: str, resource: str, namespace: str = "") -> Right:
        """Asks whether the identity in use has a right (SelfSubjectAccessReview).

        Args:
            verb: ``get``, ``list``, ``create`` …
            group: API group; empty for core.
            resource: Plural name, with a subresource behind a slash: ``pods/log``; or a path: ``/openid/v1/jwks``.
            namespace: The namespace to ask about; empty for all namespaces.
        """
        asked = _resource_attributes(verb, group, resource, namespace)
        if resource.startswith("/"):
            asked = {"nonResourceAttributes": {"verb": verb, "path": resource}}
        _status, reading = self.api.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": asked},
            ObjectRef("SelfSubjectAccessReview", f"{verb} {resource}", namespace),
            parser=parse_review,
        )
        return parse_review(reading.document, (reading.evidence,))

    def may(self, user: str, groups: Sequence[str], verb: str, resource: str) -> Right:
        """Asks whether another identity has a right on a resource of the core group, in the whole cluster.

        A SubjectAccessReview asks every authorizer of the API server, as the request itself would.

        Args:
            user: Name of the user, e.g. ``system:serviceaccount:NAMESPACE:NAME``.
            groups: Groups that the user is in.
            verb: ``get``, ``create`` …
            resource: Plural name, with a subresource behind a slash: ``nodes/proxy``.
        """
        spec = {"user": user, "groups": [*groups], **_resource_attributes(verb, "", resource, "")}
        _status, reading = self.api.post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec},
            ObjectRef("SubjectAccessReview", f"{verb} {resource} as {user}"),
            parser=parse_subject_review,
        )
        return parse_subject_review(reading.document, (reading.evidence,))

    def dry_run_pod(self, namespace: str, document: Mapping[str, object]) -> DryRun:
        """Asks the API server for a server-side dry run of a pod: injection, admission and validation; it creates nothing.

        Raises:
            NotGiven: There is no right to create pods in that namespace.
            CouldNotTell: The API server does not decide: no such namespace, no answer.
        """
        name = maybe(document, "metadata.name", "", "a pod") or maybe(document, "metadata.generateName", "", "a pod")
        where = f"server-side dry run of Pod {namespace}/{name}"
        status, reading = self.api.post(
            f"/api/v1/namespaces/{namespace}/pods",
            document,
            ObjectRef("Pod", name, namespace),
            parser=parse_dry_run,
            query={"dryRun": "All"},
            # 400 and 403: an admission webhook or PodSecurity; 422: validation; 500: the webhook does not answer.
            refusals=frozenset({400, 403, 422, 500}),
        )
        dry_run = parse_dry_run(reading.document, (reading.evidence,), where)
        if status == 403 and (denied := denial(dry_run.message, where)) is not None:
            raise denied
        return dry_run

    # --- pods from inside --------------------------------------------------------------------------------------------

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        tail: int = 2000,
        timestamps: bool = False,
    ) -> Reading:
        """The end of a container's log, as text.

        Args:
            namespace: Of the pod.
            pod: Its name.
            previous: The log from before the container's last restart.
            tail: Lines.
            timestamps: Each line begins with the RFC 3339 time at which the container printed it, and a space.

        Raises:
            CouldNotTell: There is no log, e.g. because the container has not started.
            TooLarge: These lines are longer than the suite takes; where it is cut off, their end is missing.
        """
        query = {"container": container, "tailLines": str(tail), "limitBytes": str(self._sizes.log + SLACK)}
        return self.api.get(
            f"/api/v1/namespaces/{namespace}/pods/{pod}/log",
            ObjectRef("Pod", pod, namespace),
            query=query | {name: "true" for name, asked in (("previous", previous), ("timestamps", timestamps)) if asked},
            text=True,
            limit=("log", self._sizes.log),
        )

    def token_request(self, namespace: str, service_account: str, audience: str, seconds: int = 600) -> tuple[str, str]:
        """A fresh token of a service account (safety: namespaced, for an own service account).

        Returns:
            The token, a secret that no evidence holds, and the id of the evidence of its issuance.

        Raises:
            CouldNotTell: The API server does not issue it.
        """
        ref = ObjectRef("ServiceAccount", service_account, namespace)
        _status, reading = self.api.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [audience] if audience else [], "expirationSeconds": seconds},
            },
            ref,
            hidden_at="status.token",
        )
        return need(reading.document, "status.token", str, f"token of {ref}"), reading.evidence

    def exec_in(
        self, namespace: str, pod: str, container: str, argv: Sequence[str], *, parser: Callable[..., object] | None = None
    ) -> CommandResult:
        """Runs a program in a container; the caller makes sure that the program only reads.

        Raises:
            CouldNotTell: The program could not be started, or its output was cut off. A non-zero exit is an answer.
        """
        ref = ObjectRef("Pod", pod, namespace)
        done = self.execute(ref, container, argv)
        question = f"kubectl exec -n {namespace} {pod} -c {container} -- {done.line}"
        return done.recorded(self.recorder, ref, parser=parser, shown_as=question)

    def execute(self, pod: ObjectRef, container: str, argv: Sequence[str]) -> CommandResult:
        """As `exec_in`, for a reader that records the answer itself."""
        return self._streams.execute(pod, container, argv, timeout=self.patience.command)

    def port_forward(self, pod: ObjectRef, *ports: int) -> AbstractContextManager[tuple[ForwardedPort, ...]]:
        """Opens ports of a pod over one connection; several pods may be open at once, in several threads.

        Raises:
            CouldNotTell: The API server does not open the stream.
        """
        return self._streams.forward(pod, ports, timeout=self.patience.admin)

    # --- how lists and objects are read ------------------------------------------------------------------------------

    def _objects(
        self, group: str, plural: str, parse: Callable[..., T], namespace: str = "", selector: str = ""
    ) -> tuple[T, ...]:
        path = f"{group}/namespaces/{namespace}/{plural}" if namespace else f"{group}/{plural}"
        subject = ObjectRef("List", plural, namespace)
        query = {"labelSelector": selector} if selector else {}
        mask = list_of(kept_for(parse))
        return tuple(
            item
            for page in self.api.pages(path, subject, query=query, parser=parse, mask=mask)
            for item in parse_items(page.document, parse, (page.evidence,), path)
        )

    def _object(
        self,
        group: str,
        plural: str,
        ref: ObjectRef,
        parse: Callable[..., T],
        *,
        mask: Mask | None = None,
        hides: Callable[[Any], Iterable[str]] = lambda _document: (),
    ) -> T | Absent:
        scope = f"/namespaces/{ref.namespace}" if ref.namespace else ""
        path = f"{group}{scope}/{plural}/{ref.name}"
        reading = self.api.get(path, ref, parser=parse, mask=mask, absent=True, hides=hides)
        if reading.document is None:
            return Absent(ref, (reading.evidence,))
        return parse(reading.document, evidence=(reading.evidence,))


def _resource_attributes(verb: str, group: str, resource: str, namespace: str) -> dict[str, object]:
    """The question of an access review, as a part of its specification."""
    plural, _slash, subresource = resource.partition("/")
    attributes = {
        "verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace,
    }  # fmt: skip
    return {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
