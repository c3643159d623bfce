"""What tbot's selectors take of Teleport's workload identities."""

from __future__ import annotations

import pytest

from facts.document import Absent
from providers.teleport.facts.issuing import Issuing, each_once, selected
from providers.teleport.facts.resources import WorkloadIdentities
from tests.unit.judge import builders as make

DEV, BATCH = make.identity(), make.identity(name="batch", maximum_ttl=600)
PROD = make.identity(name="prod", labels={"env": "prod"})
ALL = WorkloadIdentities((DEV, BATCH, PROD), ("ev-all",))


def test_a_selector_by_name_takes_one() -> None:
    assert selected("batch", {}, ALL) == (BATCH,)
    assert selected("batch", {"env": ("prod",)}, ALL) == (BATCH,), "the name goes before the labels"


def test_a_selector_by_labels_takes_all_that_have_them() -> None:
    assert selected("", {"env": ("dev",)}, ALL) == (DEV, BATCH)
    assert selected("", {"env": ("dev", "prod")}, ALL) == (DEV, BATCH, PROD)


@pytest.mark.parametrize(
    ("name", "labels", "subject"),
    [
        ("none", {}, "workload_identity/none"),
        ("", {"team": ("b", "a"), "env": ("dev",)}, "workload_identity with env: dev, team: b|a"),
    ],
)
def test_a_selector_that_takes_none(name: str, labels: dict[str, tuple[str, ...]], subject: str) -> None:
    (absent,) = selected(name, labels, ALL)
    assert isinstance(absent, Absent)
    assert (absent.subject.name, absent.evidence) == (subject, ("ev-all",))


def test_the_most_generous_of_several() -> None:
    service = make.workload_api()
    assert Issuing(service, (BATCH, make.identity(name="x", maximum_ttl=60)), ()).longest_allowed == 600
    assert Issuing(service, (DEV, BATCH), ()).longest_allowed == 86400
    assert Issuing(service, (make.absent("workload_identity/x"),), ()).longest_allowed is None
    assert Issuing(service, None, ()).longest_allowed is None


def test_what_several_selectors_take_counts_once() -> None:
    absent = make.absent("workload_identity/x")
    assert each_once([DEV, absent, BATCH, DEV, absent]) == (DEV, absent, BATCH)


def test_grants_stand_on_their_roles_and_on_all_identities() -> None:
    assert make.grants(make.role(), DEV).evidence == ("ev-role", "ev-identity")
