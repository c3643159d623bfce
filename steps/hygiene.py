"""Steps of features/9_hygiene: HYG-01 to HYG-06."""

from __future__ import annotations

from pytest_bdd import given, then

from facts.errors import NotGiven
from facts.kubernetes.rbac import Rbac
from facts.teleport.tbot import Tbots
from judge.hygiene import in_force, rights
from judge.identity.proxies import ObservedProxies
from observe.install import Install
from settings import Settings
from steps.shared import Conclude

# Rights: HYG-02 and HYG-03.


@given("all roles and bindings of the cluster", target_fixture="rbac")
def rbac(install: Install) -> Rbac:
    return install.cluster.rbac()


@given("the subjects that may use tbot's service account, as the settings name them", target_fixture="expected_subjects")
def expected_subjects(settings: Settings) -> tuple[str, ...]:
    if settings.hygiene.expected_subjects is None:
        raise NotGiven(
            expected="the subjects that may use tbot's service account",
            seen="the settings name none",
            where="setting hygiene.expected_subjects",
            remedy='name them below [hygiene] in conformance.toml, e.g. expected_subjects = ["Group platform-admins"]',
        )
    return settings.hygiene.expected_subjects


@then("no other subject must be able to run pods as tbot's service account, to enter its pods or to get its token")
def only_expected_subjects_use_it(
    rbac: Rbac, expected_subjects: tuple[str, ...], install: Install, conclude: Conclude
) -> None:
    conclude(*(rights.only_expected_subjects_use_it(rbac, tbot, expected_subjects) for tbot in install.tbot.all().each))


@then("tbot's service account must have no right beside the one at the kubelet")
def may_do_only_what_attestation_needs(rbac: Rbac, install: Install, conclude: Conclude) -> None:
    conclude(*(rights.may_do_only_what_attestation_needs(rbac, tbot) for tbot in install.tbot.all().each))


# Changes in force: HYG-06.


@then("every pod of tbot must have started after its ConfigMap last changed")
def configuration_is_in_force(tbots: Tbots, conclude: Conclude) -> None:
    conclude(*(in_force.configuration_is_in_force(tbot) for tbot in tbots.each))


@then("each proxy must carry the SPIFFE ID that the workload identity's template yields for its pod now")
def identity_is_in_force(on_sockets: ObservedProxies, install: Install, conclude: Conclude) -> None:
    conclude(in_force.identity_is_in_force(on_sockets, install.teleport.identities(), install.teleport.bundle()))
