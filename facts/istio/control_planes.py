"""All control planes of Istio in a cluster, and which of them a pod or a namespace belongs to.

A namespace or a pod names a revision, or a tag, which stands for a revision. The injector writes the revision itself into
each pod that it injects. Sources: Istio, "Canary upgrades" and "Stable revision labels"; the webhooks of its chart, whose
selectors decide what asks for injection; its injector, which decides what it leaves alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

from facts.declared import At, Declared, read
from facts.errors import CouldNotTell
from facts.istio.mesh import DEFAULT_REVISION, Mesh
from facts.kubernetes.label_selector import LabelSelector, labels_that_fit
from facts.kubernetes.objects import Labelled, Pod, named, object_with
from facts.kubernetes.pod_spec import INJECT, INJECTED_BY, REVISION, Labels, PodSpec, injected_by, revision_in
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.masks import keeps

INJECTION = "istio-injection"
"""Label of a namespace that asks the default revision for injection (``enabled``), or refuses that of any revision."""
TAG = "istio.io/tag"
"""Label of a webhook that is a tag; its label `REVISION` names the revision behind it."""
_TRUE = ("y", "yes", "true", "on")
"""Values of `INJECT` that Istio takes for a yes, in any case."""


class Injectable(Protocol):
    """A pod, or the template of pods, as injection looks at it."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations, those that a fact keeps."""

    @property
    def spec(self) -> PodSpec:
        """Its specification."""


@dataclass(frozen=True, slots=True)
class Webhook(Declared):
    """A MutatingWebhookConfiguration.

    Attributes:
        evidence: Ids of the readings it was made from.
    """

    name: Annotated[str, At("metadata.name")]
    labels: Annotated[Labels, At("metadata.labels")]
    evidence: tuple[str, ...] = ()


@keeps(object_with(Webhook))
def parse_webhook(document: Any, evidence: tuple[str, ...] = ()) -> Webhook:
    """Reads an admissionregistration.k8s.io/v1 MutatingWebhookConfiguration.

    Raises:
        CouldNotTell: It is none.
    """
    return read(Webhook, document, named("MutatingWebhookConfiguration", document), evidence=evidence)


def tags_of(webhooks: Iterable[Webhook]) -> Mapping[str, str]:
    """Revision by tag."""
    return {w.labels[TAG]: w.labels.get(REVISION, "") for w in webhooks if TAG in w.labels}


@dataclass(frozen=True, slots=True)
class Orphan:
    """A pod with a proxy whose control plane is not known.

    Attributes:
        revision: The revision or tag that it names; empty where neither it nor its namespace names one.
        is_there: istiod of that revision is there; its configuration could not be read.
    """

    pod: Pod
    revision: str
    is_there: bool = False


@dataclass(frozen=True, slots=True)
class UnreadPlane:
    """An istiod whose configuration could not be read.

    Attributes:
        namespace: Where it runs.
        revision: Its revision; ``default`` where it has none.
    """

    namespace: str
    revision: str
    why: CouldNotTell


@dataclass(frozen=True, slots=True)
class PodsOfPlanes:
    """Pods with a proxy by their control planes.

    Attributes:
        of_each: Every control plane with its pods, perhaps none.
        orphans: The pods of which no control plane is known.
    """

    of_each: tuple[tuple[Mesh, tuple[Pod, ...]], ...]
    orphans: tuple[Orphan, ...]


@dataclass(frozen=True, slots=True)
class ControlPlanes:
    """Istio's control planes in a cluster.

    Attributes:
        planes: At least one; where the settings name a namespace of Istio, those in it come first.
        tags: Revision by tag.
        evidence: Ids of all readings.
        unread: Further control planes, whose configuration could not be read.
        lost_gateways: Gateways that name a revision or tag of which there is no control plane.
    """

    planes: tuple[Mesh, ...]
    tags: Mapping[str, str]
    evidence: tuple[str, ...]
    unread: tuple[UnreadPlane, ...] = ()
    lost_gateways: tuple[Deployment | DaemonSet, ...] = ()

    def __iter__(self) -> Iterator[Mesh]:
        return iter(self.planes)

    @property
    def only(self) -> Mesh | None:
        """The control plane of a cluster that has one."""
        return self.planes[0] if len(self.planes) == 1 and not self.unread else None

    def in_trust_domain(self, name: str) -> tuple[Mesh, ...]:
        """The control planes with this trust domain. Beside one of them, another one may be of a mesh of its own."""
        return tuple(plane for plane in self.planes if plane.trust_domain == name)

    def of_revision(self, revision: str) -> Mesh | None:
        """The control plane of a revision."""
        return next((plane for plane in self.planes if plane.revision == revision), None)

    def called(self, name: str) -> Mesh | None:
        """The control plane behind a tag or a revision; a tag wins, since it takes the webhooks of that name over."""
        return self.of_revision(self.tags.get(name, name))

    def unread_called(self, name: str) -> UnreadPlane | None:
        """The control plane behind a tag or a revision, if it is there and its configuration could not be read."""
        revision = self.tags.get(name, name)
        return next((plane for plane in self.unread if plane.revision == revision), None)

    def of(self, pod: Pod, namespace: Labelled | None = None) -> Mesh | None:
        """The control plane of a pod with a proxy: the one that injected it.

        Args:
            namespace: Its namespace; decides where the pod says nothing.

        Returns:
            None where the cluster has no control plane that the pod itself names, or several and nothing tells which.
        """
        if revision := _injector_of(pod):
            return self.of_revision(revision)
        if name := _own_name_of(pod):
            return self.called(name)  # the only control plane does not configure a proxy that looks for another one
        return self.called(asks_for(_labels_of(namespace), {})) or self.only

    def sorted_out(self, pods: Iterable[Pod], namespaces: Iterable[Labelled]) -> PodsOfPlanes:
        """Pods with a proxy by their control planes.

        Args:
            pods: Pods with a proxy.
            namespaces: Their namespaces.
        """
        by_name = {namespace.name: namespace for namespace in namespaces}
        found = [(pod, by_name.get(pod.namespace)) for pod in pods]
        plane_of = {pod.uid: self.of(pod, namespace) for pod, namespace in found}
        return PodsOfPlanes(
            tuple((plane, tuple(pod for pod, _ in found if plane_of[pod.uid] is plane)) for plane in self.planes),
            tuple(self._orphan(pod, namespace) for pod, namespace in found if plane_of[pod.uid] is None),
        )

    def _orphan(self, pod: Pod, namespace: Labelled | None) -> Orphan:
        name = _injector_of(pod) or _own_name_of(pod) or asks_for(_labels_of(namespace), {})
        return Orphan(pod, name, self.unread_called(name) is not None)

    def injecting(self, namespace: Labelled | None, pod: Injectable | None = None) -> Mesh | None:
        """The control plane that injects new pods of a namespace, or this pod or template; None where none does."""
        name = asks_for(_labels_of(namespace), pod.labels if pod else {})
        return self.called(name) if name else None

    def unwatched(self, namespaces: Iterable[Labelled]) -> tuple[Labelled, ...]:
        """Namespaces that no istiod watches, by the discovery selectors of the mesh configurations.

        Empty while a configuration could not be read: its istiod may watch any of them.
        """
        if self.unread:
            return ()
        return tuple(n for n in namespaces if not any(plane.watches(n) for plane in self.planes))

    def labels_in(self, mesh: Mesh, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Labels for a new namespace in which a control plane is to inject pods and watch them.

        Args:
            mesh: The control plane.
            labels: The other labels of the namespace.

        Raises:
            CouldNotTell: No labels fit any of its discovery selectors.
        """
        others = {key: value for key, value in labels.items() if key not in (INJECTION, REVISION)}
        names = dict.fromkeys([mesh.revision, *sorted(self.tags)])
        ways = [{REVISION: name} for name in names if self.called(name) == mesh]
        if self.called(DEFAULT_REVISION) == mesh:
            ways.insert(0, {INJECTION: "enabled"})
        selectors = mesh.selectors_in_force
        for way in ways:
            if (found := _fitting_one_of(selectors, {**others, **way})) is not None:
                return found
        raise CouldNotTell(
            expected="labels with which istiod injects the pods of a namespace of the suite, and watches them",
            seen=f"none fit its discoverySelectors ({'; '.join(map(str, selectors)) or 'there are none'}) with"
            f" {' or '.join(f'{key}={value}' for way in ways for key, value in way.items()) or 'a label of its revision'}",
            where=str(mesh.config_map),
            remedy="add a selector to meshConfig.discoverySelectors that only asks for labels that the suite can set, such"
            " as matchLabels {istio-discovery: enabled}; or run without --allow, which makes no namespaces",
        )

    @property
    def gateways(self) -> tuple[Deployment | DaemonSet, ...]:
        """The gateways of all control planes, and those that belong to none."""
        return (*(gateway for plane in self.planes for gateway in plane.gateways), *self.lost_gateways)

    def with_gateways(self, gateways: Iterable[Deployment | DaemonSet]) -> ControlPlanes:
        """The same with these gateways, each at the control plane that it names; one that names none follows the first.

        One whose control plane could not be read is at none.
        """
        named = [(gateway, named_by(gateway)) for gateway in gateways]
        owned = [(g, self.called(name) if name else self.planes[0], name) for g, name in named]
        return replace(
            self,
            planes=tuple(replace(p, gateways=tuple(g for g, of, _ in owned if of is p)) for p in self.planes),
            lost_gateways=tuple(g for g, of, name in owned if of is None and self.unread_called(name) is None),
        )

    def with_gateways_outside(self, namespaces: Iterable[str]) -> ControlPlanes:
        """The same without the gateways in some namespaces."""
        left = frozenset(namespaces)

        def outside(gateways: Iterable[Deployment | DaemonSet]) -> tuple[Deployment | DaemonSet, ...]:
            return tuple(g for g in gateways if g.namespace not in left)

        planes = tuple(replace(p, gateways=outside(p.gateways)) for p in self.planes)
        return replace(self, planes=planes, lost_gateways=outside(self.lost_gateways))


def named_by(gateway: Deployment | DaemonSet) -> str:
    """Revision or tag that a gateway names for its pods; empty where it names none."""
    return gateway.template.labels.get(REVISION) or gateway.template.annotations.get(REVISION, "")


def _fitting_one_of(selectors: Collection[LabelSelector], labels: Mapping[str, str]) -> Mapping[str, str] | None:
    """These labels, and those that are missing to fit a selector; None where no selector can be fitted."""
    if not selectors:
        return labels
    fitting = (labels_that_fit(selector, labels, (INJECTION, REVISION)) for selector in selectors)
    return next((found for found in fitting if found is not None), None)


def _injector_of(pod: Pod) -> str:
    """Revision of the injector, by what it wrote into the pod."""
    return injected_by(pod.annotations.get(INJECTED_BY, ""))


def _own_name_of(pod: Pod) -> str:
    """Revision or tag that a pod names itself; charts name it on gateways that they make."""
    return revision_in(pod.annotations.get(REVISION)) or pod.labels.get(REVISION, "")


def _labels_of(namespace: Labelled | None) -> Mapping[str, str]:
    return namespace.labels if namespace else {}


def asks_for(namespace: Mapping[str, str], pod: Mapping[str, str]) -> str:
    """Revision or tag that is asked to inject a pod; empty where none is.

    Any value of `INJECTION` keeps the webhooks of the revisions off a namespace; only ``enabled`` leads to the default one.

    Args:
        namespace: Labels of the namespace.
        pod: Labels of the pod, which count where the namespace says nothing.
    """
    if INJECTION in namespace:
        return DEFAULT_REVISION if namespace[INJECTION] == "enabled" else ""
    if REVISION in namespace:
        return namespace[REVISION]
    return pod.get(REVISION, "") or (DEFAULT_REVISION if pod.get(INJECT) == "true" else "")


def why_it_refuses(pod: Injectable) -> str:
    """The reason for which a pod by itself is not injected; empty where it does not refuse."""
    if pod.spec.host_network:
        return "it is on the node's own network, which Istio never redirects"
    said = _asks_itself(pod)
    return f"it refuses injection with {INJECT}: {said}" if said and said.lower() not in _TRUE else ""


def why_istio_refuses(pod: Injectable, namespace: Labelled | None, mesh: Mesh | None) -> str:
    """The reason for which Istio is configured not to inject a pod; empty where it is not.

    Args:
        pod: The pod, or the template of pods.
        mesh: The control plane that is asked to inject it, where one is.
    """
    if namespace is not None and namespace.labels.get(INJECTION, "enabled") != "enabled":
        return f"its namespace has {INJECTION}={namespace.labels[INJECTION]}, which keeps every revision off"
    if mesh is None or _asks_itself(pod):
        return ""
    injector = mesh.injector
    for selector in injector.never_inject:
        if not selector.is_empty and selector.fits(pod.labels):
            return f"neverInjectSelector of {mesh.title} fits its labels: {selector}"
    always = any(not selector.is_empty and selector.fits(pod.labels) for selector in injector.always_inject)
    if injector.policy != "enabled" and not always:
        return f"{mesh.title} has the policy {injector.policy}, and injects only what asks for it"
    return ""


def _asks_itself(pod: Injectable) -> str:
    """What a pod says about its own injection; its label wins over its annotation."""
    return pod.labels.get(INJECT) or pod.annotations.get(INJECT, "")
