"""tbot: its pods on the nodes, its configuration and its rights."""

from __future__ import annotations

from collections.abc import Sequence

from checks import diagnosis
from checks.check import PROBES, SESSION, Case, Check, Part, Reading
from facts.errors import NotGiven
from facts.kubernetes.access import Right
from facts.kubernetes.rbac import Rbac
from judge.hygiene import in_force, rights
from providers.teleport.checks import tbot
from providers.teleport.facts.tbot import Tbots


def tbots(case: Case) -> Tbots:
    """The DaemonSets of tbot, their pods and their configuration."""
    return case.install.tbot.all()


def kubelet_rights(case: Case) -> Sequence[Sequence[Right]]:
    """The API server's answers about the rights of tbot's service accounts at the kubelet."""
    return [case.install.tbot.kubelet_rights(each) for each in case.of(tbots).each]


def rbac(case: Case) -> Rbac:
    """All roles and bindings of the cluster."""
    return case.install.cluster.rbac()


def expected_subjects(case: Case) -> tuple[str, ...]:
    """The subjects that may use tbot's service account, as the settings name them.

    Raises:
        NotGiven: They name none.
    """
    subjects = case.settings.hygiene.expected_subjects
    if subjects is None:
        raise NotGiven(
            expected="the subjects that may use tbot's service account",
            seen="the settings name none",
            where="setting hygiene.expected_subjects",
            remedy='name them below [hygiene] in conformance.toml, e.g. expected_subjects = ["Group platform-admins"]',
        )
    return subjects


_HYGIENE = "it belongs to the profile hygiene, and breaks nothing today"

PART = Part(
    "tbot",
    (
        Check(
            "tbot is Ready on every node with injected pods",
            lambda case: [tbot.is_ready_on_every_node(case.install)],
            "INST-13",
            then="a Ready tbot pod must run on each of those nodes",
        ),
        Check("nothing keeps tbot off such a node", lambda case: diagnosis.without_tbot(case.install)),
        Check("no tbot waits for the directory of its socket", lambda case: diagnosis.without_directory(case.install)),
        Check("Teleport hears of every tbot", lambda case: diagnosis.unheard_of(case.install), needs=SESSION),
        Check("no log of tbot shows what keeps it from Teleport", lambda case: diagnosis.kept_from_teleport(case.install)),
        Check(
            "Teleport can be reached from every node of tbot",
            lambda case: diagnosis.unreached(case.install, case.probe_pods),
            needs=PROBES,
        ),
        Check(
            "no setting of tbot breaks joining or attestation",
            lambda case: tbot.configurations_are_sound(case.install),
            "INST-13",
            then="tbot's configuration must have no setting that breaks joining or attestation",
        ),
        Check(
            "tbot may ask the kubelet, and do nothing else there",
            lambda case: tbot.rights_are_what_attestation_needs(case.install),
            "INST-18",
            then="the service account must be able to list a kubelet's pods, and to do nothing else there",
        ),
        Check(
            "only expected subjects can use tbot's service account",
            lambda case: [
                rights.only_expected_subjects_use_it(case.of(rbac), each, case.of(expected_subjects))
                for each in case.of(tbots).each
            ],
            "HYG-02",
            then="no other subject must be able to run pods as tbot's service account, to enter its pods or to get its"
            " token",
            left_out=_HYGIENE,
        ),
        Check(
            "tbot's service account has no right that attestation does not need",
            lambda case: [rights.may_do_only_what_attestation_needs(case.of(rbac), each) for each in case.of(tbots).each],
            "HYG-03",
            then="tbot's service account must have no right beside the one at the kubelet",
            left_out=_HYGIENE,
        ),
        Check(
            "tbot was restarted after the last change of its configuration",
            lambda case: [in_force.configuration_is_in_force(each) for each in case.of(tbots).each],
            "HYG-06",
            then="every pod of tbot must have started after its ConfigMap last changed",
            left_out=_HYGIENE,
        ),
    ),
    (
        Reading(("tbot's DaemonSet, its pods and its configuration",), tbots),
        Reading(("the nodes that host injected pods",), lambda case: case.install.proxies.pods_by_node()),
        Reading(("tbot's version, as its bot instances report it",), lambda case: case.install.teleport.bot_instances()),
        Reading(("the API server's answers about the rights of tbot's service account at the kubelet",), kubelet_rights),
        Reading(("all roles and bindings of the cluster",), rbac),
        Reading(("the subjects that may use tbot's service account, as the settings name them",), expected_subjects),
    ),
)
