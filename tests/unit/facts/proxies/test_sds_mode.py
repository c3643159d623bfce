"""The decision on the source of a proxy's identity, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies.envoy import AgentMetrics, Bootstrap, Secret, Validator
from facts.proxies.sds_mode import Decision, SdsMode, SecretState, decide, is_counted
from facts.versions import Version
from tests.unit.judge.certificates import svid

COUNTED, SERVERS = "2026-03-01T12:00:00Z/3", "2026-03-01T12:00:00.5Z"
FOUND = Bootstrap(Version(1, 36), has_files_cluster=True, socket_path="/x", file_credential=True)
NONE_FOUND = replace(FOUND, has_files_cluster=False, file_credential=False)
LEAF = Secret("default", SERVERS, datetime(2026, 3, 1, tzinfo=UTC), (svid("shop", "alpha"),), Validator.NONE, {})
ROOT = Secret("ROOTCA", SERVERS, None, (), Validator.SPIFFE, {})
PLAIN = replace(ROOT, validator=Validator.TRUSTED_CA, version_info=COUNTED)
QUIET = AgentMetrics(0, certificate_held=False)
FROM_FILES: dict[str, Any] = {"bootstrap": NONE_FOUND, "leaf": replace(LEAF, version_info=COUNTED), "root": PLAIN}


def decided(**changes: Any) -> Decision:
    given: dict[str, Any] = {
        "bootstrap": FOUND, "state": SecretState.ACTIVE, "leaf": LEAF, "root": ROOT, "agent": QUIET,
        "own_path": "/ns/shop/sa/alpha",
    }  # fmt: skip
    return decide(**(given | changes))


def counted(leaf: Secret) -> Secret:
    return replace(leaf, version_info=COUNTED)


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({}, SdsMode.EXTERNAL),
        ({"root": replace(ROOT, validator=Validator.TRUSTED_CA)}, SdsMode.EXTERNAL),
        ({"leaf": counted(LEAF)}, SdsMode.EXTERNAL),
        ({"root": replace(ROOT, version_info=COUNTED)}, SdsMode.EXTERNAL),
        ({"own_path": "/ns/shop/sa/other"}, SdsMode.EXTERNAL),
        ({"own_path": "/ns/shop/sa/other", "leaf": counted(LEAF)}, SdsMode.TAKEOVER),
        ({"leaf": counted(LEAF), "root": PLAIN}, SdsMode.TAKEOVER),
        ({"leaf": counted(LEAF), "root": replace(PLAIN, version_info=SERVERS)}, SdsMode.TAKEOVER),
        ({"root": PLAIN}, SdsMode.TAKEOVER),
        ({"bootstrap": NONE_FOUND}, SdsMode.RACE),
        ({"bootstrap": NONE_FOUND, "root": PLAIN}, SdsMode.RACE),
        ({"bootstrap": NONE_FOUND, "leaf": counted(LEAF)}, SdsMode.RACE),
        (FROM_FILES, SdsMode.FILES),
        (
            {
                "bootstrap": NONE_FOUND,
                "leaf": counted(LEAF),
                "root": PLAIN,
                "agent": AgentMetrics(1, certificate_held=False),
            },
            SdsMode.ISTIO_CA,
        ),
        (FROM_FILES | {"agent": AgentMetrics(0, certificate_held=True)}, SdsMode.ISTIO_CA),
        ({"state": SecretState.WARMING}, SdsMode.SILENT),
        ({"leaf": None}, SdsMode.SILENT),
        ({"root": None}, SdsMode.SILENT),
        ({"state": SecretState.ABSENT, "leaf": None, "root": None, "bootstrap": NONE_FOUND}, SdsMode.UNASKED),
    ],
)
def test_each_mode_by_the_facts_that_decide_it(changes: dict[str, Any], mode: SdsMode) -> None:
    assert decided(**changes).mode is mode


@pytest.mark.parametrize(("cluster", "credential"), [(True, False), (False, True)])
def test_a_bootstrap_that_contradicts_itself_decides_nothing(cluster: bool, credential: bool) -> None:
    with pytest.raises(CouldNotTell) as caught:
        decided(bootstrap=replace(FOUND, has_files_cluster=cluster, file_credential=credential))
    words = {True: "present", False: "absent"}
    assert caught.value.seen == f"cluster {words[cluster]}, metadata {words[credential]}"


def test_the_facts_are_told_as_sentences() -> None:
    told = " | ".join(decided(agent=AgentMetrics(2, certificate_held=True)).decided_by)
    assert "the agent found a socket at its start" in told
    assert "ROOTCA is a SPIFFE validator, which Istio's agent never writes" in told
    assert f"version_info of default, {SERVERS}, is not one that Istio's agent writes" in told
    assert "the agent sent 2 certificate requests and holds a certificate of its own" in told
    assert "the agent found no socket at its start" in decided(bootstrap=NONE_FOUND).decided_by[0]
    assert "the secret default is warming" in decided(state=SecretState.WARMING).decided_by[1]
    assert "ROOTCA is not" in decided(root=None).decided_by[1]
    assert "ROOTCA holds no authority" in decided(root=replace(ROOT, validator=Validator.NONE)).decided_by
    files = decided(bootstrap=NONE_FOUND, leaf=counted(LEAF), root=PLAIN).decided_by
    assert files[1:] == (
        "ROOTCA is a plain trusted_ca",
        f"version_info of default, {COUNTED}, is one that Istio's agent writes",
        "the agent never asked for a certificate",
    )
    assert decided().decided_by[-1] == "the agent sent 0 certificate requests"


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, "the URI SAN is the pod's own"),
        (
            {"own_path": "/ns/a/sa/b"},
            f"the URI SAN {LEAF.chain[0].uri_sans[0]} is not the pod's own /ns/a/sa/b",
        ),
        ({"leaf": replace(counted(LEAF), chain=())}, "the URI SAN is missing is not the pod's own /ns/shop/sa/alpha"),
    ],
)
def test_a_takeover_names_the_identity_that_was_served(changes: dict[str, Any], whose: str) -> None:
    given = {"leaf": counted(LEAF), "root": PLAIN} | changes
    told = decided(**given).decided_by
    assert told[-2:] == (f"version_info of ROOTCA, {COUNTED}, is one that Istio's agent writes", whose)


@pytest.mark.parametrize(
    ("version", "agents"),
    [(COUNTED, True), (SERVERS, False), ("3", False), (f" {COUNTED}", False), (f"{COUNTED}x", False), ("", False)],
)
def test_the_versions_of_istios_agent_count(version: str, agents: bool) -> None:
    assert is_counted(version) is agents


def test_modes_and_states_have_the_names_of_the_report() -> None:
    assert [m.value for m in SdsMode] == ["external", "race", "istio-ca", "files", "silent", "unasked", "takeover"]
    assert [s.value for s in SecretState] == ["active", "warming", "absent"]


def test_each_mode_is_told_in_plain_words_and_with_its_name() -> None:
    told = {mode: mode.told for mode in SdsMode}
    assert len({*told.values()}) == len(SdsMode)
    for mode, words in told.items():
        assert words.endswith(f" (mode {mode.value})")
