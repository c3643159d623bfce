"""The doctor on the lab as people with few rights: it still ends, with what it could tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.doctor.answer import CAUSE_NAMED, NOT_DETERMINED, Look, Way
from facts.recorder import KeptInMemory
from observe.doctor import Doctor
from observe.kubernetes.needed import Role
from provision import certifier
from provision.faults import FAULTS, Operator
from provision.faults.changes import applied
from provision.faults.surroundings.operator import kubeconfig_of
from settings import Names
from tests.lab.conftest import Lab

SECONDS = 20
"""Within which the doctor answers on the lab."""

STANDING = {fault.cause for fault in FAULTS.values() if fault.standing}


def look(lab: Lab, operator: Operator, way: Way = Way.READER) -> Look:
    authority, patience = lab.scene.installation.authority, lab.scene.patience
    seen = Doctor(
        kubeconfig=operator.kubeconfig,
        context=operator.context,
        directory=lab.scene.installation.directory,
        proxy=authority.proxy,
        ca=authority.ca,
        insecure=authority.insecure,
        tctl=operator.tctl,
        recorder=KeptInMemory(),
        timeout=patience.doctor,
    ).look(way)
    assert seen.answer.seconds <= SECONDS
    return seen


def named(seen: Look) -> set[str]:
    return {cause.id for cause in seen.answer.causes}


@pytest.fixture(scope="module")
def of_administrator(lab: Lab) -> Look:
    """What the doctor says to somebody who may do anything in the cluster."""
    return look(lab, lab.scene.operator)


def test_the_certifier_of_the_manifests_is_told_what_an_administrator_is_told(
    lab: Lab, of_administrator: Look, tmp_path: Path
) -> None:
    with applied(lab.scene, *certifier.documents(Names(), (Role.READ_ONLY,))):
        file = kubeconfig_of(lab.scene, tmp_path, certifier.NAMESPACE, certifier.ACCOUNT)
        seen = look(lab, Operator(file, lab.scene.operator.context, lab.scene.operator.tctl))
    assert (named(seen), seen.exit_code) == (named(of_administrator), of_administrator.exit_code)
    assert [each.said for each in seen.answer.undetermined] == []


def test_somebody_who_may_only_get_list_and_watch_is_told_what_could_be_told(lab: Lab, of_administrator: Look) -> None:
    assert (named(of_administrator), of_administrator.exit_code) == (STANDING & named(of_administrator), CAUSE_NAMED)
    with FAULTS["account-with-view"].inject(lab.scene) as operator:
        assert operator is not None
        seen = look(lab, operator)
    assert seen.exit_code == NOT_DETERMINED
    assert named(seen) <= named(of_administrator)
    said = "\n".join(each.said for each in seen.answer.undetermined)
    assert "get pods/portforward" in said
