"""tbot: its pods on the nodes, its configuration and its rights."""

from __future__ import annotations

from checks import diagnosis
from doctor.check import Check, Needs, Section, probes_of
from providers.teleport.checks import tbot

SECTION = Section(
    "tbot",
    (
        Check(
            "tbot is Ready on every node with injected pods",
            lambda case: [tbot.is_ready_on_every_node(case.install)],
            "INST-13",
        ),
        Check("nothing keeps tbot off such a node", lambda case: diagnosis.without_tbot(case.install)),
        Check("no tbot waits for the directory of its socket", lambda case: diagnosis.without_directory(case.install)),
        Check(
            "Teleport hears of every tbot",
            lambda case: diagnosis.unheard_of(case.install),
            needs=frozenset({Needs.SESSION}),
        ),
        Check("no log of tbot shows what keeps it from Teleport", lambda case: diagnosis.kept_from_teleport(case.install)),
        Check(
            "Teleport can be reached from every node of tbot",
            lambda case: diagnosis.unreached(case.install, probes_of(case)),
            needs=frozenset({Needs.PROBES}),
        ),
        Check(
            "no setting of tbot breaks joining or attestation",
            lambda case: tbot.configurations_are_sound(case.install),
            "INST-13",
        ),
        Check(
            "tbot may ask the kubelet, and do nothing else there",
            lambda case: tbot.rights_are_what_attestation_needs(case.install),
            "INST-18",
        ),
    ),
)
