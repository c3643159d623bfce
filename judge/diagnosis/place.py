"""The causes that concern one pod, or one namespace. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facts.evidence import ObjectRef
from judge.diagnosis.diagnosis import IN_PLACES, Ambiguous, Diagnosis, FoundCause, members_of


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the mesh.

    Attributes:
        has: Tells whether a pod or a node is in it.
    """

    has: Callable[[ObjectRef], bool]

    @classmethod
    def of_pod(cls, pod: ObjectRef, node: str) -> Place:
        """A pod, with its node."""
        return cls(lambda ref: str(ref) == str(pod) or (ref.kind == "Node" and ref.name == node))

    @classmethod
    def of_namespace(cls, name: str) -> Place:
        """The pods of a namespace, with every node: any of them may run there."""
        return cls(lambda ref: ref.kind == "Node" or ref.namespace == name)


def concerning(diagnosis: Diagnosis, place: Place) -> Diagnosis:
    """The diagnosis with what concerns a place alone: what names something in it, or the install as a whole.

    Every check stays, and every reading that failed.
    """
    return replace(
        diagnosis,
        causes=tuple(each for each in diagnosis.causes if _concerns(each, diagnosis, place)),
        classes=tuple(each for each in diagnosis.classes if _concerns(each, diagnosis, place)),
        undetermined=tuple(each for each in diagnosis.undetermined if _is_about(each.subjects, place)),
    )


def _concerns(found: FoundCause | Ambiguous, diagnosis: Diagnosis, place: Place) -> bool:
    members = members_of(found)
    under = [effect for effect in diagnosis.effects if not {*effect.explained_by}.isdisjoint(found.ids)]
    return _is_about(
        [ref for each in (*members, *under) for ref in (*each.subjects, *(problem.subject for problem in each.felt))], place
    )


def _is_about(named: Sequence[ObjectRef], place: Place) -> bool:
    lying = [ref for ref in named if ref.kind in IN_PLACES]
    return any(place.has(ref) for ref in lying) or not lying
