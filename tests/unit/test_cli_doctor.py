"""`conformance doctor`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

import cli
from doctor.document import SCHEMA_FILE
from doctor.opened import Patient
from facts.errors import CouldNotTell
from facts.recorder import QuestionsKept
from observe.requests import Kind, Requests
from settings import Settings
from tests.unit.doctor.installs import SHOP, Change, case, install, out_of_sight
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import Workload

ON_ISTIOD = Workload("b", identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})


class Asking:
    """The command, on an install that is a small mesh."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.settings: list[Settings] = []

    def __call__(self, *arguments: str, of: tuple[Workload, ...] = SHOP, change: Change = lambda _: None) -> tuple[int, str]:
        """The exit code, and what was printed."""
        requests = Requests()
        requests.count(Kind.API_SERVER)

        @contextmanager
        def opened(settings: Settings, *_: Any, **__: Any) -> Iterator[Patient]:
            self.settings.append(settings)
            yield Patient(replace(case(install(*of, change=change)), settings=settings), requests)

        self._monkeypatch.setattr(cli, "opened", opened)
        self._monkeypatch.setattr(cli, "recorder", QuestionsKept())
        self._monkeypatch.setattr("sys.argv", ["conformance", "doctor", "--context", "staging", *arguments])
        self._monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = self._capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asking:
    return Asking(monkeypatch, capsys)


def test_a_healthy_mesh(asking: Asking) -> None:
    code, said = asking()
    assert code == 0
    assert "\n✓ tbot is Ready on every node with injected pods (INST-13)\n" in said
    assert said.rstrip().endswith("✓ nothing found · exit 0")


def test_a_broken_mesh_ends_with_its_cause(asking: Asking) -> None:
    code, said = asking(of=(SHOP[0], ON_ISTIOD))
    assert code == 1
    assert "✕ template-not-requested: " in said
    assert "    Felt by " in said
    assert "begin with template-not-requested" in said.splitlines()[-1]


def test_what_cannot_be_read_is_not_determined(asking: Asking) -> None:
    def silent(facets: SimpleNamespace) -> None:
        def fails() -> None:
            raise CouldNotTell(expected="an answer", seen="password: hunter2hunter2", where="here", remedy="look")

        facets.teleport.ping = facets.teleport.bundle = fails

    code, said = asking(change=silent)
    assert code == 6
    assert "! every SPIFFE ID is its pod's own (ID-02): could not tell: expected an answer" in said
    assert "hunter2" not in said
    assert "✓ every SPIFFE ID follows the grammar (ID-05)" in said


def test_one_json_document_and_nothing_else(asking: Asking) -> None:
    code, said = asking("--json", of=(SHOP[0], ON_ISTIOD))
    document = json.loads(said)
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))).validate(document)
    assert (code, document["causes"][0]["id"]) == (1, "template-not-requested")
    assert document["causes"][0]["subjects"] == [{"kind": "Pod", "namespace": "shop", "name": "b"}]
    assert (document["requests"], document["requests_by_kind"]) == (1, {"API server": 1})


def test_no_secret_in_a_text_of_the_json_and_none_that_was_hidden_by_its_meaning(asking: Asking) -> None:
    def names_it(facets: SimpleNamespace) -> None:
        cli.recorder.hide("a-join-token-to-hide")
        facets.cluster.where = "password=hunter2hunter2 and a-join-token-to-hide"
        facets.rights.reviewed = lambda: (make.right(allowed=False),)

    asking("--json")
    _code, said = asking("--json", change=names_it)
    assert "hunter2" not in said
    assert any("password=[redacted]" in each["said"] for each in json.loads(said)["undetermined"])


def test_no_text_of_others_makes_a_line_of_its_own_or_a_control_character(asking: Asking) -> None:
    def hostile(facets: SimpleNamespace) -> None:
        facets.cluster.where = "here\n✓ nothing found · exit 0\x1b[2J\u202e"
        facets.rights.reviewed = lambda: (make.right(allowed=False),)

    for arguments in ((), ("--json",)):
        _code, said = asking(*arguments, change=hostile)
        assert not {"\x1b", "\u202e"} & {*said}
        assert [line for line in said.splitlines() if line.startswith("✓ nothing found")] == []


def test_a_pod_has_its_story_and_only_the_causes_that_concern_it(asking: Asking) -> None:
    on_istiod = replace(ON_ISTIOD, name="c")
    code, said = asking("--pod", "shop/c", of=(*SHOP, on_istiod))
    assert code == 1
    assert "Pod shop/c: who issued its certificate\n" in said
    assert "✕ issuer: istiod issued its certificate" in said
    assert "✕ socket mount: workload-socket is an emptyDir" in said
    code, said = asking("--pod", "shop/a", "--json", of=(SHOP[0], SHOP[1]))
    assert (code, json.loads(said)["pod"]["pod"]["name"]) == (0, "a")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (out_of_sight("a", silent=True), "saw its node node-2 is not Ready (Pod shop/a)"),
        (
            out_of_sight("a", silent=False, terminating=True, due="2026-03-01T12:00:00Z"),
            "saw it was deleted, and terminates",
        ),
    ],
    ids=["on a silent node", "terminating"],
)
def test_a_pod_that_nobody_can_ask_is_not_called_unknown(asking: Asking, change: Change, said: str) -> None:
    code, printed = asking("--pod", "shop/a", change=change)
    assert code == 6
    assert said in printed


def test_the_story_of_a_pod_that_no_node_takes_says_so(asking: Asking) -> None:
    def waiting(facets: SimpleNamespace) -> None:
        pending = make.pod("pending", namespace="shop", node="", phase="Pending", ready=False)
        pods = (*facets.cluster.pods(), pending)
        facets.cluster.pods = facets.cluster.living_pods = lambda: pods

    _code, said = asking("--pod", "shop/pending", change=waiting)
    assert "saw no node takes it, so that it does not run (Pod shop/pending)" in said


def test_a_defect_in_one_line_of_a_pods_story_leaves_the_others(asking: Asking) -> None:
    def broken(facets: SimpleNamespace) -> None:
        def fails() -> None:
            raise KeyError("gone")

        facets.istio.authorities = fails

    _code, said = asking("--pod", "shop/a", change=broken)
    assert "? issuer: a defect in the suite: KeyError: 'gone' (in " in said
    assert "✓ validity: " in said


def test_a_text_of_any_length_does_not_stand_whole_in_a_pods_story(asking: Asking) -> None:
    long = Workload("a", pod={"annotations": {"inject.istio.io/templates": "a" * 200_000}})
    _code, said = asking("--pod", "shop/a", "--json", of=(long, SHOP[1]))
    (line,) = [each for each in json.loads(said)["pod"]["lines"] if each["title"] == "template"]
    assert len(line["said"]) < 1100


def test_what_is_so_by_design_is_nothing_found(asking: Asking) -> None:
    def in_ambient(facets: SimpleNamespace) -> None:
        namespaces = (*facets.cluster.namespaces(), make.namespace("calm", labels={"istio.io/dataplane-mode": "ambient"}))
        facets.cluster.namespaces = facets.cluster.namespaces_of_install = lambda: namespaces

    enrolled = Workload("z", namespace="calm", pod={"injected": False, "socket": None})
    code, said = asking(of=(*SHOP, enrolled), change=in_ambient)
    assert code == 0
    assert "ambient-by-design: " in said
    assert said.rstrip().endswith("▲ nothing is broken; by design: ambient-by-design · exit 0")


def test_a_namespace_has_only_the_causes_that_concern_it(asking: Asking) -> None:
    assert asking("-n", "shop", of=(SHOP[0], ON_ISTIOD))[0] == 1
    code, said = asking("-n", "bank", of=(SHOP[0], ON_ISTIOD, Workload("c", namespace="bank")))
    assert code == 0
    assert "✕ Teleport issued every certificate (ID-03)" in said


def test_a_namespace_that_is_not_there(asking: Asking) -> None:
    code, said = asking("-n", "shpo", of=(SHOP[0], ON_ISTIOD))
    assert code == 4
    assert "expected the name of a namespace of the cluster, such as shop; saw shpo (--namespace)" in said


def test_a_pod_and_a_namespace_are_concerned_by_the_tbot_that_serves_them(asking: Asking) -> None:
    def frozen(facets: SimpleNamespace) -> None:
        tbot = facets.tbot.all().first
        waits = tuple(replace(c, ready=False) for c in tbot.pods[make.NODE].containers)
        pod = replace(tbot.pods[make.NODE], ready=False, spec=replace(tbot.pods[make.NODE].spec, containers=waits))
        tbots, pods = make.tbots(replace(tbot, pods={make.NODE: pod})), (*facets.cluster.pods(), pod)
        facets.tbot.all, facets.cluster.pods = lambda: tbots, lambda: pods

    for arguments in (("-n", "shop"), ("--pod", "shop/a"), ()):
        code, said = asking(*arguments, change=frozen)
        assert code == 1
        assert "begin with tbot-not-answering" in said


def test_a_pod_that_is_not_there(asking: Asking) -> None:
    code, said = asking("--pod", "shop/none")
    assert code == 4
    assert "expected NAMESPACE/NAME of a living pod, such as shop/a, shop/b; saw shop/none (--pod)" in said


def test_the_options_are_settings(asking: Asking) -> None:
    asking("--teleport-proxy", "teleport.example.com:443", "--allow", "namespaced", "--tctl", "tctl --debug")
    (settings,) = asking.settings
    assert (settings.teleport_proxy, settings.tctl) == ("teleport.example.com:443", "tctl --debug")
    assert settings.allowed_safety == {"read-only", "namespaced"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--allow", "disruptive"), "expected namespaced, the only class beyond read-only that the doctor uses"),
        (("--allow", "all"), "allow"),
        ((), "expected one of the contexts staging; saw 'prod'"),
    ],
)
def test_bad_input(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text("{apiVersion: v1, kind: Config, contexts: [{name: staging, context: {cluster: c, user: u}}]}")
    words = ["conformance", "doctor", "--context", "prod", "--kubeconfig", str(config), *arguments]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 4
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
