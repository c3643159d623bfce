"""The guide's own read commands: which there are, how they are renamed, and what a person concludes from their answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facts.guide import FILE_MOUNTED, FOUND
from observe.command import CommandResult
from observe.guide.commands import GuideCommand, NoPodToAsk, about, conclusion
from settings import Names

FEATURE = Path(__file__).parents[4] / "features" / "2_checklist" / "checklist.feature"
COMMANDS = re.findall(r'the suite runs the guide\'s command "(.+)"', FEATURE.read_text(encoding="utf-8"))

OTHERS = Names(
    istio_namespace="istio",
    tbot_namespace="machine-id",
    app_namespace="shop",
    token="t",
    role="r",
    workload_identity="w",
)


def found(text: str, names: Names | None = None, *, app: str = "app-1", tbot: str = "tbot-1") -> GuideCommand:
    return GuideCommand.of(text, names or Names(), app_pod=lambda: app, tbot_pod=lambda: tbot)


def concluded(text: str, stdout: str, exit_code: int = 0, stderr: str = "") -> tuple[bool, str]:
    return conclusion(found(text), CommandResult(("x",), exit_code, stdout, stderr, datetime.now(UTC)))


def test_the_checklist_has_nine_items() -> None:
    assert len(COMMANDS) == len(set(COMMANDS)) == 9


@pytest.mark.parametrize("text", COMMANDS)
def test_every_command_of_the_checklist_is_known_and_only_reads(text: str) -> None:
    command = found(text)
    assert command.program in ("kubectl", "tctl")
    assert command.words[1] in ("get", "logs", "exec")
    if command.words[1] == "exec":
        assert command.words[command.words.index("--") + 1] == "ls"
    assert command.about == about(text) in ("istio", "resources", "tbot", "app")


@pytest.mark.parametrize("text", COMMANDS)
def test_with_the_guides_names_a_command_is_run_as_it_is_written(text: str) -> None:
    written = text.replace("$POD_NAME", "app-1").replace("<pod-name>", "tbot-1").split()
    assert list(found(text).words) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kubectl get pods -n istio-system", "kubectl get pods -n istio"),
        ("tctl get token/istio-tbot-k8s-join", "tctl get token/t"),
        ("tctl get role/istio-workload-identity-issuer", "tctl get role/r"),
        ("tctl get workload_identity/istio-workloads", "tctl get workload_identity/w"),
        ("kubectl get pods -n teleport-system", "kubectl get pods -n machine-id"),
        ("kubectl logs -n teleport-system <pod-name>", "kubectl logs -n machine-id tbot-1"),
        ("kubectl logs -n test-app $POD_NAME -c istio-proxy", "kubectl logs -n shop app-1 -c istio-proxy"),
    ],
)
def test_this_installs_names_take_the_place_of_the_guides(text: str, words: str) -> None:
    assert " ".join(found(text, OTHERS).words) == words


def test_a_name_that_is_another_name_of_the_guide_is_left_alone() -> None:
    swapped = Names(istio_namespace="test-app", app_namespace="istio-system")
    assert found("kubectl get pods -n istio-system", swapped).words[-1] == "test-app"
    assert found("kubectl get pods -n test-app", swapped).words[-1] == "istio-system"


def test_a_name_is_one_word_whatever_it_holds() -> None:
    assert found("kubectl logs -n test-app $POD_NAME -c istio-proxy", app="test-app-6b7").words[4] == "test-app-6b7"


@pytest.mark.parametrize(
    ("text", "pods"),
    [
        ("kubectl logs -n teleport-system <pod-name>", {"tbot": ""}),
        ("kubectl logs -n test-app $POD_NAME -c istio-proxy", {"app": ""}),
    ],
)
def test_a_command_about_a_pod_that_does_not_exist(text: str, pods: dict[str, str]) -> None:
    with pytest.raises(NoPodToAsk, match="there is none") as raised:
        found(text, **pods)  # type: ignore[arg-type]
    assert "kubectl describe" in raised.value.remedy


def test_a_command_that_is_not_the_guides() -> None:
    with pytest.raises(KeyError):
        found("kubectl delete namespace test-app")


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_that_fails_is_never_healthy(text: str) -> None:
    healthy, said = concluded(text, "", exit_code=1, stderr="error: forbidden")
    assert not healthy
    assert said == "the command fails with exit code 1: error: forbidden"


PODS = "NAME        READY   STATUS             RESTARTS      AGE\n"
TABLES = ["kubectl get pods -n istio-system", "kubectl get pods -n teleport-system", "kubectl get pods -n test-app"]


@pytest.mark.parametrize("text", TABLES)
def test_pods_that_are_all_running(text: str) -> None:
    rows = "a 2/2 Running 0 1m\nb 2/2 Running 3 (5m ago) 1m\n"
    assert concluded(text, PODS + rows) == (True, "all 2 pods are Running and ready (2/2)")


@pytest.mark.parametrize("text", TABLES)
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "there is no pod"),
        ("a 2/2 Running 0 1m\nb 1/2 Running 0 1m\n", "not Running or not ready: b"),
        ("a 0/2 Init:1/2 0 1m\n", "not Running or not ready: a"),
        ("a 0/1 CrashLoopBackOff 7 (2m ago) 1m\n", "not Running or not ready: a"),
        ("a 1/1 Terminating 0 1m\n", "not Running or not ready: a"),
        ("a\n", "not Running or not ready: a"),
    ],
)
def test_pods_that_are_not(text: str, rows: str, said: str) -> None:
    assert concluded(text, PODS + rows) == (False, said)
    assert concluded(text, "") == (False, "there is no pod")


@pytest.mark.parametrize("text", [c for c in COMMANDS if c.startswith("tctl")])
def test_a_resource_that_can_be_fetched_is_all_the_guide_wants(text: str) -> None:
    assert concluded(text, "kind: anything\n") == (True, "the command succeeds, so it was created")


def test_a_log_without_errors() -> None:
    log = "2026-03-01T12:00:00Z INFO [TBOT:SVC:] Listener opened\n2026-03-01T12:00:01Z WARN no errors here\n"
    assert concluded("kubectl logs -n teleport-system <pod-name>", log) == (True, "the log shows no errors")


@pytest.mark.parametrize(
    "line", ["2026-03-01T12:00:00Z ERROR [TBOT] denied", "2026-03-01T12:00:00Z ERRO [TBOT] denied", '{"level": "error"}']
)
def test_a_log_with_errors(line: str) -> None:
    answer = concluded("kubectl logs -n teleport-system <pod-name>", f"INFO fine\n{line}\n")
    assert answer == (False, "the log has 1 errors")


LISTING = next(c for c in COMMANDS if "ls -la" in c)


def test_a_socket_in_the_listing() -> None:
    listing = "total 0\ndrwxr-xr-x 2 root root 60 Dec 5 17:14 .\nsrwxrwxrwx 1 root root 0 Dec 5 17:14 socket\n"
    assert concluded(LISTING, listing) == (True, "a socket is listed")


def test_a_listing_without_a_socket() -> None:
    listing = "total 0\ndrwxr-xr-x 2 root root 60 Dec 5 17:14 .\n-rw-r--r-- 1 root root 0 Dec 5 17:14 socket\n"
    assert concluded(LISTING, listing) == (False, "no socket is listed")


PROXY_LOG = "kubectl logs -n test-app $POD_NAME -c istio-proxy"


def test_both_log_lines_of_the_guide() -> None:
    log = f"info {FOUND} at var/run/secrets/workload-spiffe-uds/socket\ninfo {FILE_MOUNTED}. Skipping connecting to CA\n"
    assert concluded(PROXY_LOG, log) == (True, "both log lines are printed")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (f"info {FOUND}\n", f"only '{FOUND}' is printed"),
        (f"info {FILE_MOUNTED}\n", f"only '{FILE_MOUNTED}' is printed"),
        ("info CA Endpoint istiod.istio-system.svc:15012\n", "none is printed"),
    ],
)
def test_one_log_line_or_none(log: str, said: str) -> None:
    healthy, words = concluded(PROXY_LOG, log)
    assert not healthy
    assert words.endswith(said)
