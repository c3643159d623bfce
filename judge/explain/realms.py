"""Realms: what the object of a cause has in common with the object that shows its effect. Pure.

A realm is an object by its name, or something that several objects belong to: a node, a namespace, a tbot, a tbot on one
node, a control plane. What is not known to belong to anything shares nothing but itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facts.evidence import ObjectRef
from facts.istio.control_planes import ControlPlanes
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Labelled, Pod
from providers.teleport.facts.tbot import Tbot, Tbots
from providers.teleport.judge.teleport import TELEPORT

OF_PODS = ("Deployment", "DaemonSet", "StatefulSet")
"""Kinds whose pods the control plane of their namespace injects."""

EVERYWHERE = ""
"""The realm of the install as a whole: every object lies in it, and what is about the whole install reaches it."""


@dataclass(frozen=True, slots=True)
class Realms:
    """An install, as far as it tells which objects belong together.

    Attributes:
        pods: All pods, by the name that problems have.
        tbots: Every tbot that serves the mesh; None where it is not known.
        planes: Istio's control planes; None where they are not known.
        namespaces: Namespaces by name.
        injections: By the name of a dry run: the title of the control plane that was to inject its pod.
        cluster_name: Teleport's, which is to be the trust domain of the mesh; empty where it is not known.
    """

    pods: Mapping[str, Pod] = field(default_factory=dict)
    tbots: Tbots | None = None
    planes: ControlPlanes | None = None
    namespaces: Mapping[str, Labelled] = field(default_factory=dict)
    injections: Mapping[str, str] = field(default_factory=dict)
    cluster_name: str = ""

    def reached_from(self, subject: ObjectRef) -> frozenset[str]:
        """The realms to which a defect of an object extends.

        Of a pod of tbot: what this tbot serves on its node. Of tbot's DaemonSet or configuration: what it serves at all. Of
        istiod: what its control plane configures.
        """
        name = str(subject)
        own = {name}
        if name in self.pods:
            node = self.pods[name].node
            own |= {_on(tbot, node) for tbot in self._tbots() if node in tbot.pods and str(tbot.pods[node].ref) == name}
            return frozenset(own)
        own |= self._served_by(name)
        for plane in self.planes or ():
            its_own = (plane.config_map, *(deployment.ref for deployment in plane.istiod))
            own |= {plane.title} if name in map(str, its_own) else set()
        return frozenset(own)

    def extent_of(self, subject: ObjectRef) -> frozenset[str]:
        """The realms of `reached_from`, and everything where the object is one of the whole install.

        Where several tbots join or issue by different names, a workload identity reaches what those serve that select it by
        its name. Nothing tells which of them a role or a bot of Teleport serves: such an object reaches nothing else then.
        """
        own = self.reached_from(subject)
        if not self.is_of_install(subject):
            return own
        if self.has_one_bot or subject.kind != TELEPORT:
            return own | {EVERYWHERE}
        return own | {str(tbot.daemon_set.ref) for tbot in self._tbots() if str(subject) in _selected_by(tbot)}

    def is_of_install(self, subject: ObjectRef) -> bool:
        """Tell whether an object lies in no namespace of workloads and on no node, as far as is known.

        A role of Teleport is such an object, and what Istio or tbot has beside its pods, unless it is known whom it serves.
        """
        if subject.kind in ("Pod", "Node", "Namespace"):
            return False
        if self.reached_from(subject) != {str(subject)} or self._served_by(str(subject)):
            return False
        homes = {tbot.daemon_set.namespace for tbot in self._tbots()} | {plane.namespace for plane in self.planes or ()}
        return not subject.namespace or subject.namespace in homes

    def with_(self, subject: ObjectRef) -> frozenset[str]:
        """The realms that an object belongs to; everything belongs to the install."""
        own = {EVERYWHERE, str(subject), *([str(ObjectRef("Namespace", subject.namespace))] if subject.namespace else ())}
        if subject.kind == "Node":
            there = [tbot for tbot in self._tbots() if subject.name in tbot.pods]
            own |= _realms_of(there[0], subject.name) if len(there) == 1 else set()
        elif str(subject) in self.pods:
            own |= self._of_pod(self.pods[str(subject)])
        elif subject.kind in OF_PODS and self.planes is not None:
            own |= _title(self.planes.injecting(self.namespaces.get(subject.namespace))) | self._served_by(str(subject))
        else:
            own |= self._served_by(str(subject))
        return frozenset({*own, *filter(None, [self.injections.get(str(subject))])})

    @property
    def meant(self) -> tuple[str, ...]:
        """Titles of the control planes whose trust domain is Teleport's name, where others have another one; else none."""
        planes = self.planes.in_trust_domain(self.cluster_name) if self.planes is not None else ()
        return tuple(plane.title for plane in planes) if planes != tuple(self.planes or ()) else ()

    def maybe_of_others(self, subject: ObjectRef) -> frozenset[str]:
        """Titles of the control planes of an object, where none of them is among those that are `meant`; else none.

        They may belong to a mesh of its own. Of a node, the pods with a proxy decide.
        """
        if not (meant := self.meant):
            return frozenset()
        if subject.kind == "Node":
            there = [pod for pod in self.pods.values() if pod.node == subject.name and pod.is_injected and not pod.has_ended]
            reached = {title for pod in there for title in self._planes_of(pod)}
        else:
            reached = {*self.with_(subject), *self.reached_from(subject)}
        titles = frozenset(plane.title for plane in self.planes or () if plane.title in reached)
        return titles if titles.isdisjoint(meant) else frozenset()

    def _planes_of(self, pod: Pod) -> set[str]:
        return _title(self.planes.of(pod, self.namespaces.get(pod.namespace))) if self.planes is not None else set()

    def _of_pod(self, pod: Pod) -> set[str]:
        own = {str(ObjectRef("Node", pod.node))} if pod.node else set()
        if pod.is_injected and self.tbots is not None and pod.node:
            is_known = not self.tbots.may_be_unread(pod.node, pod.socket_on_node)
            for tbot in self.tbots.serving(pod.node, pod.socket_on_node) if is_known else ():
                own |= _realms_of(tbot, pod.node)
        if pod.is_injected:
            own |= self._planes_of(pod)
        for tbot in self._tbots():
            own |= _realms_of(tbot, pod.node) if tbot.runs(pod) else set()
        return own

    def _served_by(self, name: str) -> set[str]:
        """The tbots that an object serves which is none of their pods."""
        return {str(tbot.daemon_set.ref) for tbot in self._tbots() if name in _objects_of(tbot)}

    @property
    def has_one_bot(self) -> bool:
        """Every tbot joins by one token and asks for the same identities, so what Teleport has for one it has for all.

        One that could not be read may serve the mesh as well, by another token.
        """
        return self.tbots is None or (len({_asks_by(tbot) for tbot in self.tbots.each}) <= 1 and not self.tbots.unread)

    def _tbots(self) -> tuple[Tbot, ...]:
        return self.tbots.each if self.tbots is not None else ()


UNKNOWN = Realms()
"""Realms where nothing is known of what belongs together."""


def _objects_of(tbot: Tbot) -> frozenset[str]:
    """What exists once for a tbot, whatever the node."""
    namespace = tbot.daemon_set.namespace
    config_map = ObjectRef("ConfigMap", tbot.config_map, namespace)
    token = ObjectRef("Teleport", f"token/{tbot.config.token}")
    account = ObjectRef("ServiceAccount", tbot.service_account.partition(":")[2], namespace)
    return frozenset(map(str, (tbot.daemon_set.ref, config_map, token, account)))


def _selected_by(tbot: Tbot) -> frozenset[str]:
    """The workload identities that a tbot selects by name."""
    names = (each.selector_name for each in tbot.config.services if each.selector_name)
    return frozenset(str(ObjectRef(TELEPORT, f"workload_identity/{name}")) for name in names)


def _asks_by(tbot: Tbot) -> tuple[str, str, frozenset[tuple[str, str]]]:
    """The names by which a tbot joins and issues. Of a token that is a secret, its configuration has a mark alone."""
    selectors = frozenset((each.selector_name, str(each.selector_labels)) for each in tbot.config.services)
    return tbot.config.token, tbot.join_secret, selectors


def _on(tbot: Tbot, node: str) -> str:
    return f"{tbot.daemon_set.ref} on node {node}"


def _realms_of(tbot: Tbot, node: str) -> set[str]:
    return {str(tbot.daemon_set.ref), _on(tbot, node)}


def _title(plane: Mesh | None) -> set[str]:
    return {plane.title} if plane is not None else set()
