"""The causes that concern one pod, or one namespace. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facts.evidence import ObjectRef
from judge.explain.diagnosis import Diagnosis
from judge.explain.found import FoundCause, OneOf, subjects_of
from judge.explain.realms import Realms


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the mesh: some pods, with what supplies and configures them.

    Attributes:
        inside: The realms that its pods belong to; see `judge.explain.realms`.
        realms: Which objects belong together.
        on_every_node: Any node may be one of its own.
    """

    inside: frozenset[str]
    realms: Realms
    on_every_node: bool = False

    @classmethod
    def of_pod(cls, pod: ObjectRef, realms: Realms) -> Place:
        """A pod, with its node, and with the tbot and the control plane that serve it."""
        return cls(realms.with_(pod), realms)

    @classmethod
    def of_namespace(cls, name: str, realms: Realms) -> Place:
        """The pods of a namespace with what serves them, and every node: any of them may run there."""
        pods = [pod.ref for pod in realms.pods.values() if pod.namespace == name]
        own = {str(ObjectRef("Namespace", name))}
        return cls(frozenset(own.union(*map(realms.with_, pods))), realms, on_every_node=True)

    def has(self, subject: ObjectRef) -> bool:
        """Tell whether a defect of an object concerns it."""
        if subject.kind == "Node" and self.on_every_node:
            return True
        return not self.inside.isdisjoint(self.realms.reached_from(subject) | self._lying(subject))

    def _lying(self, subject: ObjectRef) -> frozenset[str]:
        """The namespace of an object, where whole namespaces are asked about."""
        named = str(ObjectRef("Namespace", subject.namespace))
        return frozenset({named} if self.on_every_node else ())


def concerning(diagnosis: Diagnosis, place: Place) -> Diagnosis:
    """The diagnosis with what concerns a place alone: what names something in it, or the install as a whole.

    Every check stays, and every reading that failed.
    """
    return replace(
        diagnosis,
        causes=tuple(each for each in diagnosis.causes if _concerns(each, diagnosis, place)),
        classes=tuple(each for each in diagnosis.classes if _concerns(each, diagnosis, place)),
        undetermined=tuple(each for each in diagnosis.undetermined if _is_about(each.subjects, place)),
        waiting=tuple(each for each in diagnosis.waiting if place.has(each.subject)),
    )


def _concerns(found: FoundCause | OneOf, diagnosis: Diagnosis, place: Place) -> bool:
    under = [effect for effect in diagnosis.effects if not {*effect.explained_by}.isdisjoint(found.ids)]
    problems = (problem for each in (*found.members, *under) for problem in (*each.shown, *each.felt))
    return _is_about(subjects_of(problems), place)


def _is_about(named: Sequence[ObjectRef], place: Place) -> bool:
    return any(place.has(ref) for ref in named) or all(place.realms.is_of_install(ref) for ref in named)
