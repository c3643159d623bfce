"""The whole table of checks, and the requirements of core that it leaves out, each with the reason."""

from __future__ import annotations

from doctor.check import Section
from doctor.sections import cluster, istio, proxies, sockets, tbot, teleport, traffic

SECTIONS: tuple[Section, ...] = (
    cluster.SECTION,
    istio.SECTION,
    teleport.SECTION,
    tbot.SECTION,
    sockets.SECTION,
    proxies.SECTION,
    traffic.SECTION,
)

_GUIDES = "it compares the guide's own command with the ground truth, which is {}"

LEFT_OUT = {
    "INST-01": "it is about the tools of the person who certifies; the doctor runs neither kubectl nor istioctl",
    "ID-12": "it reads mount tables, with a program in the container of every proxy",
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
"""By id: requirements of core with a read-only scenario that no check judges."""
