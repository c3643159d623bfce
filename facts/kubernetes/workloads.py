"""What the Kubernetes API says about Deployments and DaemonSets.

Every parser takes the decoded JSON of one object. Source: the Kubernetes API reference, apps/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import maybe, need, text_map
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Condition, condition_holds, conditions_of, named
from facts.kubernetes.pod_spec import PROXY, PodSpec, parse_pod_spec

TEMPLATES = "inject.istio.io/templates"
"""Annotation that names the injection templates of a pod."""


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """The template of a Deployment or DaemonSet."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: PodSpec

    @property
    def is_gateway(self) -> bool:
        """Its proxy is a router, or the injector is to make it one; beside an application it is a sidecar."""
        proxy = self.spec.container(PROXY)
        if proxy is not None and proxy.args:
            return proxy.is_router
        return "gateway" in [name.strip() for name in self.annotations.get(TEMPLATES, "").split(",")]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Its uid.
        labels: Its labels.
        annotations: Its annotations.
        selector: ``matchLabels`` of its selector.
        generation: Of the specification.
        observed_generation: The one that the status speaks of.
        desired: Replicas wanted.
        updated: Replicas of the present template.
        ready: Replicas ready.
        available: Replicas available.
        conditions: All conditions.
        template: Its pod template.
        evidence: Ids of the readings it was made from.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    generation: int
    observed_generation: int
    desired: int
    updated: int
    ready: int
    available: int
    conditions: tuple[Condition, ...]
    template: PodTemplate
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The Deployment as the subject of a reading."""
        return ObjectRef("Deployment", self.name, self.namespace, self.uid)

    @property
    def is_current(self) -> bool:
        """The status speaks of the present specification."""
        return self.observed_generation >= self.generation

    @property
    def is_available(self) -> bool:
        """The condition Available is True, for the present specification, with at least one replica wanted."""
        return self.is_current and self.desired > 0 and condition_holds(self.conditions, "Available")


@dataclass(frozen=True, slots=True)
class DaemonSet:
    """A DaemonSet.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Its uid.
        labels: Its labels.
        annotations: Its annotations.
        selector: ``matchLabels`` of its selector.
        generation: Of the specification.
        observed_generation: The one that the status speaks of.
        desired: Nodes that should run it.
        current: Nodes that run it.
        updated: Nodes that run the present template.
        ready: Nodes where it is ready.
        available: Nodes where it is available.
        misscheduled: Nodes that run it and should not.
        template: Its pod template.
        evidence: Ids of the readings it was made from.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    generation: int
    observed_generation: int
    desired: int
    current: int
    updated: int
    ready: int
    available: int
    misscheduled: int
    template: PodTemplate
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The DaemonSet as the subject of a reading."""
        return ObjectRef("DaemonSet", self.name, self.namespace, self.uid)

    @property
    def is_current(self) -> bool:
        """The status speaks of the present specification."""
        return self.observed_generation >= self.generation

    @property
    def is_complete(self) -> bool:
        """Every node that should run it runs the present template, ready; there is at least one."""
        return self.is_current and 0 < self.desired == self.updated == self.ready


@dataclass(frozen=True, slots=True)
class CronJob:
    """A CronJob.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        schedule: As it is written, e.g. ``*/45 * * * *``.
        suspended: It starts nothing for now.
        words: Everything that its containers are told to run, in one text.
        evidence: Ids of the readings it was made from.
    """

    namespace: str
    name: str
    schedule: str
    suspended: bool
    words: str
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The CronJob as the subject of a reading."""
        return ObjectRef("CronJob", self.name, self.namespace)


def parse_cron_job(document: Any, evidence: tuple[str, ...] = ()) -> CronJob:
    """Reads a batch/v1 CronJob.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("CronJob", document)
    template = need(document, "spec.jobTemplate.spec.template.spec", dict, where)
    containers = parse_pod_spec(template, {}, where).containers
    return CronJob(
        namespace=maybe(document, "metadata.namespace", "", where),
        name=need(document, "metadata.name", str, where),
        schedule=need(document, "spec.schedule", str, where),
        suspended=maybe(document, "spec.suspend", False, where),
        words="\n".join(word for c in containers for word in (*c.command, *c.args)),
        evidence=evidence,
    )


def parse_deployment(document: Any, evidence: tuple[str, ...] = ()) -> Deployment:
    """Reads an apps/v1 Deployment.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("Deployment", document)
    return Deployment(
        namespace=maybe(document, "metadata.namespace", "", where),
        name=need(document, "metadata.name", str, where),
        uid=maybe(document, "metadata.uid", "", where),
        labels=text_map(document, "metadata.labels", where),
        annotations=text_map(document, "metadata.annotations", where),
        selector=text_map(document, "spec.selector.matchLabels", where),
        generation=need(document, "metadata.generation", int, where),
        observed_generation=maybe(document, "status.observedGeneration", 0, where),
        desired=maybe(document, "spec.replicas", 1, where),
        updated=maybe(document, "status.updatedReplicas", 0, where),
        ready=maybe(document, "status.readyReplicas", 0, where),
        available=maybe(document, "status.availableReplicas", 0, where),
        conditions=conditions_of(maybe(document, "status", dict[str, Any](), where), where),
        template=_template(document, where),
        evidence=evidence,
    )


def parse_daemon_set(document: Any, evidence: tuple[str, ...] = ()) -> DaemonSet:
    """Reads an apps/v1 DaemonSet.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("DaemonSet", document)
    return DaemonSet(
        namespace=maybe(document, "metadata.namespace", "", where),
        name=need(document, "metadata.name", str, where),
        uid=maybe(document, "metadata.uid", "", where),
        labels=text_map(document, "metadata.labels", where),
        annotations=text_map(document, "metadata.annotations", where),
        selector=text_map(document, "spec.selector.matchLabels", where),
        generation=need(document, "metadata.generation", int, where),
        observed_generation=maybe(document, "status.observedGeneration", 0, where),
        desired=maybe(document, "status.desiredNumberScheduled", 0, where),
        current=maybe(document, "status.currentNumberScheduled", 0, where),
        updated=maybe(document, "status.updatedNumberScheduled", 0, where),
        ready=maybe(document, "status.numberReady", 0, where),
        available=maybe(document, "status.numberAvailable", 0, where),
        misscheduled=maybe(document, "status.numberMisscheduled", 0, where),
        template=_template(document, where),
        evidence=evidence,
    )


def _template(document: Any, where: str) -> PodTemplate:
    return PodTemplate(
        labels=text_map(document, "spec.template.metadata.labels", where),
        annotations=text_map(document, "spec.template.metadata.annotations", where),
        spec=parse_pod_spec(need(document, "spec.template.spec", dict, where), {}, where),
    )
