"""The first page has the facts of the install that were read, the API server's address among them."""

from __future__ import annotations

from dataclasses import replace

from facts.versions import Version
from judge.verdict import Authority
from reporting.collecting.run_facts import run_facts, silent_parts
from reporting.writing.html import to_html
from tests.unit.judge import builders as make
from tests.unit.reporting.sample import BODIES, report


def test_the_api_server_is_named_whether_or_not_its_version_was_read() -> None:
    found = run_facts("https://192.0.2.1:6443")
    assert (found.api_server, found.kubernetes_version, found.authority) == ("https://192.0.2.1:6443", "", Authority.UNKNOWN)
    assert run_facts("", version=Version.parse("v1.34.4", "x")).kubernetes_version == "1.34.4"
    assert "https://192.0.2.1:6443" in to_html(report(facts=found), BODIES)


def test_nodes_that_are_not_ready_are_named_with_their_pods() -> None:
    nodes = (make.node("up"), replace(make.node("down"), ready=False), replace(make.node("empty"), ready=False))
    pods = (make.pod("a", node="up"), make.pod("b", node="down"), make.pod("c", node="down"))
    assert silent_parts(nodes, pods) == (
        "node down is not Ready, with its 2 pods",
        "node empty is not Ready, with its 0 pods",
    )
