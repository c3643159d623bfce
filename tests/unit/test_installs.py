"""The comparison of what the suite says of others' layouts with the table, and the table itself."""

from __future__ import annotations

import pytest

from provision.installing.variant import RECOMMENDED
from tests.installs import fleet, in_cluster
from tests.installs.layout import RUNS, Expected, differences, expected
from tests.installs.layouts import LAYOUTS
from tests.lab.certified import Certified

NOTHING: dict[str, list[str]] = {}


def said(result: str, **verdicts: str) -> Certified:
    """What a run said; underscores in the names stand for hyphens."""
    named = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    reasons = {name: ["because"] for name, verdict in named.items() if verdict != "pass"}
    return Certified(0, result, named, reasons, NOTHING, NOTHING, "", frozenset())


def test_the_table_has_every_run_of_every_layout() -> None:
    """No layout is taken without knowing what is expected of it, and none is in the table that is not there."""
    assert {name: set(rows) for name, rows in expected().items()} == {name: set(RUNS) for name in LAYOUTS}


def test_every_fault_is_found() -> None:
    """With its fault each layout fails, and something fails in it that holds without."""
    for name, rows in expected().items():
        without, faulty = rows["namespaced"], rows["with its fault"]
        assert faulty.result == "fail", name
        failing = {r for r, verdict in faulty.otherwise.items() if verdict == "fail"}
        assert failing - {r for r, verdict in without.otherwise.items() if verdict == "fail"}, name


def test_what_is_as_expected_is_no_difference() -> None:
    """A verdict other than pass is expected where the table has it; what the safety class leaves out is not compared."""
    seen = said("fail", ID_01="pass", ID_02="fail", ID_08="skipped")
    assert list(differences(Expected("fail", {"ID-02": "fail"}), seen)) == []


def test_differences_name_the_requirement_and_the_reason() -> None:
    """Another result, a failure that is not due, a pass that is not due, and a requirement that was not judged."""
    seen = said("pass", ID_01="fail", ID_02="pass")
    assert list(differences(Expected("fail", {"ID-02": "fail", "ID-03": "fail"}), seen)) == [
        "result pass, expected fail",
        "ID-01 fail, expected pass: because",
        "ID-02 pass, expected fail",
        "ID-03 was not judged, expected fail",
    ]


VARIABLES = dict.fromkeys(("TRUST_DOMAIN", "TBOT_IMAGE", "SOCKET_DIRECTORY"), "any")


def test_a_tbot_with_the_usual_token_of_its_pod_keeps_nothing_of_the_projected_one() -> None:
    """The patch deletes the volume, its mount and the variable, each by the key that the API server merges by."""
    (own,) = RECOMMENDED.documents("tbot-daemonset.yaml", VARIABLES)
    usual = in_cluster.of_usual_token(own)
    assert usual["volumes"] == [{"name": "join-token", "$patch": "delete"}]
    (container,) = usual["containers"]
    assert container["env"] == [{"name": "KUBERNETES_TOKEN_PATH", "$patch": "delete"}]
    assert container["volumeMounts"] == [{"mountPath": "/var/run/secrets/tokens", "$patch": "delete"}]
    (restored,) = in_cluster.of_projected_token(own)["containers"]
    assert restored["env"][0]["value"] == "/var/run/secrets/tokens/join-token"
    assert restored["volumeMounts"][0]["readOnly"]


def test_what_fails_beside_a_run_is_not_lost() -> None:
    """A fleet that is not rolled any more proves nothing."""

    def fail() -> None:
        raise LookupError("the fleet is gone")

    with pytest.raises(LookupError, match="the fleet is gone"), fleet.meanwhile(fail, 0):
        pass
