"""Turns the waivers of the settings into those of the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from facts.catalogue import About, Catalogue
from facts.errors import BadInput
from judge.waivers import Waiver
from settings import Waived


def waivers(decided: Mapping[str, Sequence[Waived]], catalogue: Catalogue, today: date) -> dict[str, tuple[Waiver, ...]]:
    """The waivers of a run, by requirement.

    Args:
        decided: As the settings have them.
        catalogue: All requirements.
        today: In UTC; a waiver whose last day is over is kept, so that the report says so, and has no effect.

    Raises:
        BadInput: One is for a requirement that does not exist, or is not about the install.
    """
    unknown = [requirement for requirement in decided if requirement not in catalogue]
    if unknown:
        raise BadInput(
            expected="waivers for requirements of the catalogue",
            seen=", ".join(unknown),
            where="settings: waivers",
            remedy="`conformance plan --profile all` lists the requirements with their ids",
        )
    others = [requirement for requirement in decided if catalogue[requirement].about is not About.INSTALL]
    if others:
        raise BadInput(
            expected="waivers for requirements about the install",
            seen=f"{', '.join(others)}, by which the suite tests itself or proves again what Istio documents",
            where="settings: waivers",
            remedy="leave it out: where such a proof fails, nothing else that the run says can be relied on",
        )
    return {
        requirement: tuple(
            Waiver(
                requirement,
                each.owner,
                each.justification,
                expired=each.last_day < today,
                last_day=each.last_day,
                approver=each.approver,
                ticket=each.ticket,
                subjects=each.subjects,
            )
            for each in several
        )
        for requirement, several in decided.items()
    }
