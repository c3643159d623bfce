"""The whole table of checks. Scenarios, the doctor and the page of requirements are queries of it."""

from __future__ import annotations

from collections.abc import Iterator

from checks.check import Check, Part, Reading
from checks.parts import cluster, istio, proxies, sockets, traffic
from providers.teleport.parts import tbot, teleport

PARTS: tuple[Part, ...] = (
    cluster.PART,
    istio.PART,
    teleport.PART,
    tbot.PART,
    sockets.PART,
    proxies.PART,
    traffic.PART,
)
"""Every part, in the order in which the parts depend on each other."""

_GUIDES = "it compares the guide's own command with the ground truth, which is {}"

LEFT_OUT = {
    "CHK-1": _GUIDES.format("INST-05 to INST-07"),
    "CHK-2": _GUIDES.format("INST-09 and INST-10"),
    "CHK-3": _GUIDES.format("INST-11"),
    "CHK-4": _GUIDES.format("INST-12"),
    "CHK-5": _GUIDES.format("INST-13"),
    "CHK-6": _GUIDES.format("ID-01 and ID-03"),
    "CHK-7": _GUIDES.format("INST-15 and ID-01 to ID-03"),
    "CHK-8": _GUIDES.format("INST-15 and ID-01"),
    "CHK-9": _GUIDES.format("ID-01"),
}
"""By id: requirements of core with a read-only scenario that no check judges, each with the reason."""


def checks() -> Iterator[Check]:
    """Yield every check."""
    for part in PARTS:
        yield from part.checks


def readings() -> Iterator[Reading]:
    """Yield every reading that a sentence asks for."""
    for part in PARTS:
        yield from part.readings


def for_the_doctor() -> tuple[Part, ...]:
    """The parts with the checks that the doctor runs."""
    return tuple(Part(part.name, tuple(check for check in part.checks if not check.left_out)) for part in PARTS)
