"""The handshakes of a mesh on the page and on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.mtls.pairs import table_of
from judge.mtls.peers import Refusal
from judge.mtls.table import Meant
from judge.mtls.told import Handshakes, told
from reporting.model import Report
from reporting.writing import words
from reporting.writing.html import to_html
from reporting.writing.terminal import summary
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, Workload, ends
from tests.unit.reporting.sample import BODIES, report

ON_ISTIOD = Workload("odd", identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})
PAST = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}}
MESH = (
    Workload("a", more=[built.passthrough()]),
    ON_ISTIOD,
    Workload("open", namespace="legacy", inbound=PERMISSIVE),
    Workload("off", namespace="legacy", inbound=DISABLED, marked=False),
    Workload("past", namespace="legacy", pod=PAST, marked=False),
)


def section(*workloads: Workload, meant: Meant | None = None) -> Handshakes:
    made = ends(*workloads)
    return told(made, table_of(made, meant or Meant()))


def printed(of: Report) -> str:
    return "\n".join(line for line, _ in summary(of, Path("reports/run")))


@pytest.fixture
def judged() -> Report:
    return report(handshakes=section(*MESH))


def test_the_whole_in_one_sentence(judged: Report) -> None:
    said = (
        "2 pairs of 2 classes cannot shake hands (6 ways, 1 cause: template-not-requested);"
        " the handshake completes on 9 ways, plain text goes through on 10 ways"
    )
    assert judged.handshakes is not None
    assert judged.handshakes.in_short == said
    assert said in printed(judged)
    assert said in to_html(judged, BODIES)
    assert section(Workload("a")).in_short == (
        "0 pairs of 1 class cannot shake hands (0 ways); the handshake completes on 1 way, plain text goes through on 0 ways"
    )


def test_the_terminal_has_a_line_for_what_is_refused_and_for_each_namespace_with_plain_text(judged: Report) -> None:
    lines = printed(judged).splitlines()
    first = lines.index("Who can shake hands with whom")
    assert lines[first + 2].startswith("✕ class 1 to class 2, port 8080: the client refuses: the certificate leads")
    assert lines[first + 3].startswith("    4 ways, such as Pod shop/a to Pod shop/odd")
    assert lines[first + 3].endswith("; cause: template-not-requested")
    said = "▲ namespace legacy: of 3 pods, these take plain text: 1 beside mutual TLS, 1 only, 1 past the proxy"
    assert said in lines


def test_the_page_has_classes_a_matrix_and_who_takes_plain_text(judged: Report) -> None:
    page = to_html(judged, BODIES)
    assert '<h2 id="handshakes">' in page
    for caption in ("Classes of proxies", "From the class of a client", "What is refused", "Who takes plain text"):
        assert caption in page
    assert "CN=istiod" in page
    assert "the client refuses: the certificate leads to no authority" in page
    assert "1 to any address outside of the mesh&#39;s Services" in page.replace("&amp;#39;", "&#39;")


def test_a_mesh_with_many_classes_has_no_matrix(monkeypatch: pytest.MonkeyPatch, judged: Report) -> None:
    monkeypatch.setattr(words, "MATRIX", 1)
    page = to_html(judged, BODIES)
    assert "From the class of a client" not in page
    assert "With 2 classes there is no matrix" in page


def test_a_run_that_judged_none_says_nothing() -> None:
    assert "shake hands" not in printed(report())
    assert "shake hands" not in to_html(report(), BODIES)


def test_what_is_declared_closed_is_in_the_matrix_and_not_among_what_is_refused() -> None:
    closed = Meant(closed=frozenset({("shop", "far"), ("far", "shop")}))
    far = Workload("far", namespace="far", identity=make.istiod_proxy)
    made = section(Workload("a"), far, meant=closed)
    assert made.refused == ()
    (cell,) = made.between(1, 2)
    assert (cell.ways, cell.declared_closed, words.word_of_cell(cell)) == (1, True, "not-applicable")
    assert "(declared closed)" in to_html(report(handshakes=made), BODIES)


def test_what_a_policy_refuses_looks_like_the_finding_that_it_is() -> None:
    sends_plain = Workload("a", clusters={"b": built.cluster(Workload("b").host, 80)})
    made = section(sends_plain, Workload("b"), ON_ISTIOD)
    looks = {cell.said.partition(": ")[2]: words.word_of_cell(cell) for c in (1, 2) for cell in made.between(1, c)}
    assert looks[Refusal.PLAIN_AGAINST_TLS.value] == "finding"
    assert looks[Refusal.AUTHORITY.value] == "fail"
    lines = printed(report(handshakes=made)).splitlines()
    assert any(line.startswith("▲ class 1 to class 1, port 8080: the server refuses: it takes TLS only") for line in lines)
    assert any(line.startswith("✕ class 1 to class 2, port 8080: the client refuses: the certificate") for line in lines)
