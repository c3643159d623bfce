"""Deployments, DaemonSets and CronJobs, as the Kubernetes API has them.

Every parser takes the decoded JSON of one object. Source: the Kubernetes API reference, apps/v1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Count, Declared, Flag, Many, Read, Text, read
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Condition, Pod, condition_holds, named, object_with
from facts.kubernetes.pod_spec import PROXY, TEMPLATES, Annotations, Labels, PodSpec, Spec
from facts.masks import NAME, WORDS, Fields, Items, Prepared, keeps


def named_templates(annotations: Mapping[str, str]) -> list[str]:
    """The injection templates that annotations name."""
    return [name.strip() for name in annotations.get(TEMPLATES, "").split(",") if name.strip()]


@dataclass(frozen=True, slots=True)
class PodTemplate(Declared):
    """The template of a Deployment or DaemonSet."""

    labels: Annotated[Labels, At("metadata.labels")]
    annotations: Annotated[Annotations, At("metadata.annotations")]
    spec: Spec

    @property
    def is_gateway(self) -> bool:
        """Its proxy is a router, or the injector is to make it one; beside an application it is a sidecar."""
        proxy = self.spec.container(PROXY)
        if proxy is not None and proxy.args:
            return proxy.is_router
        return "gateway" in named_templates(self.annotations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller(Declared):
    """A controller of pods.

    Attributes:
        selector: ``matchLabels`` of its selector.
        generation: Of the specification.
        observed_generation: The one that the status speaks of.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    uid: Annotated[Text, At("metadata.uid")]
    selector: Annotated[Labels, At("spec.selector.matchLabels")]
    generation: Annotated[int, At("metadata.generation")]
    observed_generation: Annotated[Count, At("status.observedGeneration")]
    template: Annotated[PodTemplate, At("spec.template")]
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The object as the subject of a reading."""
        return ObjectRef(type(self).__name__, self.name, self.namespace, self.uid)

    @property
    def label_selector(self) -> str:
        """Its selector as the API server takes it in a query."""
        return ",".join(f"{key}={value}" for key, value in self.selector.items())

    @property
    def is_current(self) -> bool:
        """The status speaks of the present specification."""
        return self.observed_generation >= self.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Controller):
    """A Deployment.

    Attributes:
        desired: Replicas wanted.
        updated: Replicas of the present template.
    """

    labels: Annotated[Labels, At("metadata.labels")]
    desired: Annotated[int, Field(default=1), At("spec.replicas")]
    updated: Annotated[Count, At("status.updatedReplicas")]
    available: Annotated[Count, At("status.availableReplicas")]
    conditions: Annotated[Many[Condition], At("status.conditions")]

    @property
    def is_at_zero(self) -> bool:
        """It is scaled to 0."""
        return self.desired == 0

    @property
    def is_available(self) -> bool:
        """The condition Available is True, for the present specification, with at least one replica wanted."""
        return self.is_current and self.desired > 0 and condition_holds(self.conditions, "Available")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSet(Controller):
    """A DaemonSet.

    Attributes:
        desired: Nodes that should run it.
        updated: Nodes that run the present template.
        ready: Nodes where it is ready.
        available: Nodes where it is available.
    """

    desired: Annotated[Count, At("status.desiredNumberScheduled")]
    updated: Annotated[Count, At("status.updatedNumberScheduled")]
    ready: Annotated[Count, At("status.numberReady")]
    available: Annotated[Count, At("status.numberAvailable")]

    @property
    def is_complete(self) -> bool:
        """Every node that should run it runs the present template, ready; there is at least one."""
        return self.is_current and 0 < self.desired == self.updated == self.ready

    def owns(self, pod: Pod) -> bool:
        """Tell whether a pod is one of its pods."""
        return pod.namespace == self.namespace and pod.owner == f"DaemonSet/{self.name}"


RESTARTS = re.compile(r"\brollout\s{1,99}restart\b|\bdelete\s{1,99}(?:-\S{1,99}\s{1,99}){0,9}pods?\b")
"""Commands of kubectl that restart workloads. Bounded, since anybody may write a CronJob."""


def _words(spec: PodSpec) -> str:
    return "\n".join(word for c in spec.containers for word in (*c.command, *c.args))


def _restarting(spec: Any) -> Any:
    """The specification of pods that restart workloads; of others, whose commands are nobody's business, no container."""
    if not isinstance(spec, Mapping):
        return spec
    containers = [c for key in _CONTAINERS if isinstance(spec.get(key), list) for c in spec[key] if isinstance(c, Mapping)]
    listed = [words for c in containers for key in ("command", "args") if isinstance(words := c.get(key), list)]
    if RESTARTS.search("\n".join(str(word) for words in listed for word in words)):
        return spec
    return {key: [] if key in _CONTAINERS else each for key, each in spec.items()}


_CONTAINERS = ("initContainers", "containers")
_WORDS = Prepared(
    _restarting, Fields(dict.fromkeys(_CONTAINERS, Items(Fields({"name": NAME, "command": WORDS, "args": WORDS}))))
)


@dataclass(frozen=True, slots=True)
class CronJob(Declared):
    """A CronJob.

    Attributes:
        schedule: As it is written, e.g. ``*/45 * * * *``.
        suspended: It starts nothing for now.
        words: The commands and arguments of its containers, in one text; evidence keeps them where they restart something.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    schedule: Annotated[str, At("spec.schedule")]
    suspended: Annotated[Flag, At("spec.suspend")]
    words: Annotated[str, At("spec.jobTemplate.spec.template.spec"), Read(Spec, _words), _WORDS]
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The CronJob as the subject of a reading."""
        return ObjectRef("CronJob", self.name, self.namespace)


@keeps(object_with(CronJob))
def parse_cron_job(document: Any, evidence: tuple[str, ...] = ()) -> CronJob:
    """Reads a batch/v1 CronJob.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(CronJob, document, named("CronJob", document), evidence=evidence)


@keeps(object_with(Deployment))
def parse_deployment(document: Any, evidence: tuple[str, ...] = ()) -> Deployment:
    """Reads an apps/v1 Deployment.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(Deployment, document, named("Deployment", document), evidence=evidence)


@keeps(object_with(DaemonSet))
def parse_daemon_set(document: Any, evidence: tuple[str, ...] = ()) -> DaemonSet:
    """Reads an apps/v1 DaemonSet.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(DaemonSet, document, named("DaemonSet", document), evidence=evidence)
