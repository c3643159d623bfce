"""Teleport, read over HTTPS and through tctl."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from facts.document import Absent
from facts.errors import BadInput, CouldNotTell, NotGiven
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from facts.recorder import KeptInMemory
from facts.secret_forms import MARK
from observe.command import CommandResult
from providers.teleport.facts.resources import ClusterStatus, JoinToken, NoSession, selects
from providers.teleport.observe import session
from providers.teleport.observe.session import TeleportSession
from tests.data import document, text

PAGES: dict[str, tuple[int, str]] = {
    "/webapi/ping": (200, text("teleport/ping.json")),
    "/webapi/spiffe/bundle.json": (200, text("teleport/bundle.json")),
}


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = self.server.pages.get(self.path, (404, "nothing here"))  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:  # the test's output is not its log
        return


class _OverIpv6(HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def proxy(certificate: Path) -> Iterator[HTTPServer]:
    with _serving(HTTPServer(("127.0.0.1", 0), _Proxy), certificate) as server:
        yield server


@contextmanager
def _serving(server: HTTPServer, certificate: Path) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.pages = dict(PAGES)  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _open(proxy: HTTPServer, recorder: KeptInMemory, **options: Any) -> TeleportSession:
    return TeleportSession(f"127.0.0.1:{proxy.server_port}", recorder=recorder, timeout=5, **options)


def test_a_proxy_at_an_ipv6_address(recorder: KeptInMemory, certificate: Path) -> None:
    with _serving(_OverIpv6(("::1", 0), _Proxy), certificate) as server:
        address = f"[::1]:{server.server_port}"
        teleport = TeleportSession(address, recorder=recorder, timeout=5, ca=certificate)
        assert (teleport.proxy, teleport.ping().cluster_name) == (address, "teleport.conformance.test")
    (kept,) = recorder.evidence.values()
    assert kept.question == f"GET https://{address}/webapi/ping"


def test_the_public_endpoints_need_no_session(proxy: HTTPServer, recorder: KeptInMemory, certificate: Path) -> None:
    teleport = _open(proxy, recorder, ca=certificate)
    ping, bundle = teleport.ping(), teleport.bundle()
    assert (ping.cluster_name, ping.stand_in) == ("teleport.conformance.test", True)
    assert len(bundle.authorities) == 1
    kept = recorder.evidence[bundle.evidence[0]]
    assert kept.question == f"GET https://127.0.0.1:{proxy.server_port}/webapi/spiffe/bundle.json"
    assert kept.parser == "facts.provider.trust.parse_bundle"
    assert not teleport.has_admin


def test_an_unverifiable_proxy_says_so_unless_told_otherwise(proxy: HTTPServer, recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell) as caught:
        _open(proxy, recorder).ping()
    assert "--teleport-insecure" in caught.value.remedy
    assert _open(proxy, recorder, insecure=True).ping().cluster_name


def test_a_web_server_that_is_no_teleport(proxy: HTTPServer, recorder: KeptInMemory) -> None:
    teleport = _open(proxy, recorder, insecure=True)
    proxy.pages.clear()  # type: ignore[attr-defined]
    with pytest.raises(CouldNotTell) as caught:
        teleport.bundle()
    assert "HTTP 404" in caught.value.seen
    proxy.pages["/webapi/ping"] = (200, "<html>")  # type: ignore[attr-defined]
    with pytest.raises(CouldNotTell):
        teleport.ping()


def test_a_proxy_that_does_not_answer(recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell) as caught:
        TeleportSession("127.0.0.1:1", recorder=recorder, timeout=2).ping()
    assert "https://127.0.0.1:1/webapi/ping" in caught.value.where


@pytest.mark.parametrize("address", ["", "host:port", "https://", "fd00::1:3080", "[fd00::1"])
def test_an_address_that_is_none(recorder: KeptInMemory, address: str) -> None:
    with pytest.raises(BadInput):
        TeleportSession(address, recorder=recorder, timeout=2)


def test_the_default_port_and_a_missing_ca_file(recorder: KeptInMemory, tmp_path: Path) -> None:
    assert TeleportSession("https://example.teleport.sh/", recorder=recorder, timeout=2).proxy == "example.teleport.sh:443"
    with pytest.raises(BadInput):
        TeleportSession("example.teleport.sh", recorder=recorder, timeout=2, ca=tmp_path / "none.pem")


class _Tctl:
    """A tctl in a container, with captured answers."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        self.answers = {"status": (0, text("teleport/status.txt"), "")} | answers

    def __call__(self, words: Sequence[str], _stdin: str) -> CommandResult:
        key = words[0] if words[0] == "status" else words[1].partition("/")[0]
        code, out, err = self.answers[key]
        return CommandResult(("docker", "exec", "t", "tctl", *words), code, out, err, datetime.now(UTC))


def _with(recorder: KeptInMemory, **answers: tuple[int, str, str]) -> TeleportSession:
    return TeleportSession("example.org", recorder=recorder, timeout=2, tctl=_Tctl(**answers))


def test_resources_through_tctl_show_as_tctl(recorder: KeptInMemory) -> None:
    teleport = _with(
        recorder,
        token=(0, text("teleport/token.json"), ""),
        status=(0, text("teleport/status.txt"), ""),
        bot_instance=(0, text("teleport/bot_instances.json"), ""),
    )
    token = teleport.token("istio-tbot-k8s-join")
    assert isinstance(token, JoinToken)
    kept = recorder.evidence[token.evidence[0]]
    assert kept.question == "tctl get token/istio-tbot-k8s-join --format=json"
    assert (kept.parser, kept.exit_code) == ("providers.teleport.facts.resources.parse_join_token", 0)
    status = teleport.status()
    assert isinstance(status, ClusterStatus)
    assert status.cluster_name == "teleport.conformance.test"
    assert len(teleport.bot_instances()) == 2
    assert teleport.has_admin


@pytest.mark.parametrize(
    "answer",
    [
        (1, "", 'ERROR: provision_token "x" doesn\'t exist\n'),
        (1, "", "ERROR: role x is not found\n"),
        (1, "", "ERROR: bot x not found\n"),
        (1, "", '\x1b[31mERROR: \x1b[0mfetching bot\n\tfetching bot user\n\t\tuser "bot-x" not found\n\n'),
        (0, "[]", ""),
    ],
)
def test_a_resource_that_does_not_exist_is_an_answer(recorder: KeptInMemory, answer: tuple[int, str, str]) -> None:
    found = _with(recorder, bot=answer).bot("x")
    assert isinstance(found, Absent)
    assert str(found) == "Teleport bot/x does not exist"
    assert found.evidence == tuple(recorder.evidence)


@pytest.mark.parametrize("release", ["18", "19"])
def test_nothing_of_what_teleport_says_is_absent_is_an_error(recorder: KeptInMemory, release: str) -> None:
    def answers(kind: str) -> tuple[int, str, str]:
        return 1, "", text(f"teleport/real/{kind}.stderr")

    teleport = _with(
        recorder,
        token=answers("token-absent"),
        bot=answers(f"bot-absent.{release}"),
        role=answers("role-absent"),
    )
    found = (
        teleport.token("istio-tbot-k8s-join"),
        teleport.bot("istio-tbot"),
        teleport.role("istio-workload-identity-issuer"),
    )
    assert all(isinstance(each, Absent) for each in found)
    assert not any("\x1b" in evidence.body for evidence in recorder.evidence.values())


def test_the_absence_of_another_user_is_none_of_the_resource(recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell):
        _with(recorder, bot=(1, "", '\x1b[31mERROR: \x1b[0muser "alice" not found\n\n')).bot("istio-tbot")


def test_a_second_factor_that_teleport_asks_for(recorder: KeptInMemory) -> None:
    answer = (1, "", "\x1b[31mERROR: \x1b[0mfailed to perform MFA\n\tstdin is not a terminal\n\n")
    with pytest.raises(CouldNotTell) as caught:
        _with(recorder, token=answer).token("istio-tbot-k8s-join")
    assert "tctl -i IDENTITY_FILE" in caught.value.remedy
    assert "\x1b" not in caught.value.seen


def test_too_many_requests_are_no_answer_yet(
    proxy: HTTPServer, recorder: KeptInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "REFILL", 0.01)
    refusals = [(429, "rate limit exceeded")] * 2

    class Pages(dict[str, tuple[int, str]]):
        def get(self, path: str, default: Any = None) -> Any:
            return refusals.pop() if refusals else super().get(path, default)

    proxy.pages = Pages(PAGES)  # type: ignore[attr-defined]
    assert _open(proxy, recorder, insecure=True).bundle().authorities
    (kept,) = recorder.evidence.values()
    assert kept.parser == "facts.provider.trust.parse_bundle"


def test_too_many_requests_all_the_time_are_told(
    proxy: HTTPServer, recorder: KeptInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "REFILL", 0.01)
    monkeypatch.setattr(session, "PATIENCE", 0.01)
    proxy.pages["/webapi/ping"] = (429, "rate limit exceeded")  # type: ignore[attr-defined]
    with pytest.raises(CouldNotTell, match="HTTP 429: rate limit exceeded") as caught:
        _open(proxy, recorder, insecure=True).ping()
    assert "by address" in caught.value.remedy


@pytest.mark.parametrize(
    "answer",
    [
        (127, "", "sh: 1: tctl: not found\n"),
        (126, "", 'OCI runtime exec failed: exec: "tctl": executable file not found in $PATH: unknown\n'),
        (1, "", "Error response from daemon: No such container: teleport, it does not exist\n"),
        (1, "", 'Error from server (NotFound): deployments.apps "teleport" not found\n'),
    ],
)
def test_a_tctl_that_cannot_be_run_says_nothing_about_resources(
    recorder: KeptInMemory, answer: tuple[int, str, str]
) -> None:
    with pytest.raises(CouldNotTell):
        _with(recorder, bot=answer).bot("x")
    with pytest.raises(CouldNotTell):
        _with(recorder, bot_instance=answer).bot_instances()


def test_all_workload_identities_for_a_selector_by_labels(recorder: KeptInMemory) -> None:
    one = document("teleport/workload_identity.json")
    listed = one if isinstance(one, list) else [one]
    found = _with(recorder, workload_identity=(0, json.dumps(listed), "")).workload_identities()
    (identity,) = found.identities
    assert (identity.name, found.evidence) == ("istio-workloads", tuple(recorder.evidence))
    assert selects({"env": ("dev", "test")}, identity.labels)
    assert not selects({"env": ("prod",)}, identity.labels)
    assert not selects({}, identity.labels)
    assert selects({"*": ("*",)}, identity.labels)


def test_what_a_session_that_does_not_work_or_may_not_read_keeps_from_being_known_was_not_given(
    recorder: KeptInMemory,
) -> None:
    expired = (1, "", "ERROR: your credentials have expired, please login using tsh login\n")
    with pytest.raises(NotGiven) as caught:
        _with(recorder, role=expired, status=expired).role("x")
    assert "tsh login" in caught.value.remedy
    unreachable = (1, "", "ERROR: could not connect to the Auth Service: /var/lib/teleport/admin.sock: Permission denied\n")
    with pytest.raises(NotGiven):
        _with(recorder, bot_instance=unreachable, status=unreachable).bot_instances()
    denied = (1, "", 'ERROR: access denied to perform action "read" on "role"\n')
    with pytest.raises(NotGiven) as caught:
        _with(recorder, role=denied).role("x")
    assert "what it may read" in caught.value.remedy


def test_a_reading_that_fails_although_the_session_works_could_not_be_made(recorder: KeptInMemory) -> None:
    failed = (1, "", "ERROR: rpc error: context deadline exceeded\n")
    with pytest.raises(CouldNotTell) as caught:
        _with(recorder, role=failed).role("x")
    assert not isinstance(caught.value, NotGiven)


@pytest.mark.parametrize(
    ("said", "expired"),
    [
        ("ERROR: your credentials have expired, please login using tsh login\n", True),
        ("ERROR: could not connect to the Auth Service: /var/lib/teleport/admin.sock: Permission denied\n", False),
    ],
)
def test_that_the_session_does_not_work_is_what_status_tells(recorder: KeptInMemory, said: str, *, expired: bool) -> None:
    status = _with(recorder, status=(1, "", said)).status()
    assert isinstance(status, NoSession)
    assert said.strip() in status.said
    assert status.expired is expired
    assert status.evidence == tuple(recorder.evidence)


def test_without_a_session_the_error_says_what_to_give(recorder: KeptInMemory) -> None:
    teleport = TeleportSession("example.org", recorder=recorder, timeout=2)
    with pytest.raises(CouldNotTell) as caught:
        teleport.status()
    assert "--tctl" in caught.value.remedy


def test_the_name_of_a_secret_token_is_in_no_evidence(recorder: KeptInMemory) -> None:
    secret = {"kind": "token", "metadata": {"name": "a-secret-token-name"}, "spec": {"roles": ["Node"]}}
    answer = (0, json.dumps([secret, *document("teleport/token.json")]), "")
    with pytest.raises(CouldNotTell):
        _with(recorder, token=answer).token("istio-tbot-k8s-join")
    (kept,) = recorder.evidence.values()
    assert "a-secret-token-name" not in kept.body
    assert "istio-tbot-k8s-join" in kept.body


@pytest.mark.parametrize("name", ["a-secret-token-name", "s3cret"])
@pytest.mark.parametrize("labels", [{}, {"note": "kind: x"}])
@pytest.mark.parametrize("nested", [False, True])
def test_the_name_of_a_secret_token_goes_however_tctl_answers(
    recorder: KeptInMemory, name: str, labels: dict[str, str], *, nested: bool
) -> None:
    secret = {"kind": "token", "metadata": {"name": name, "labels": labels}, "spec": {"roles": ["Bot"], "bot_name": "b"}}
    said: Any = [[secret]] if nested else [secret]
    session = _with(recorder, token=(0, json.dumps(said), ""))
    if nested:
        with pytest.raises(CouldNotTell):
            session.token(name)
    else:
        token = session.token(name)
        assert isinstance(token, JoinToken)
        assert token.name == MARK
    recorder.conclude(
        Finding("INST-10", Holds.NO, "it", "x", (Problem(ObjectRef("Teleport", f"token/{name}"), "is wrong"),))
    )
    assert name not in repr((recorder.evidence, recorder.findings))


def test_damaged_token_resources_hold_no_name_and_break_no_reading(recorder: KeptInMemory) -> None:
    damages: list[dict[str, Any]] = [
        {"metadata": 1},
        {"metadata": {"name": None}},
        {"spec": [], "metadata": []},
        {"spec": "x"},
    ]
    for damage in damages:
        assert _with(recorder, token=(0, json.dumps([{"kind": "token", **damage}]), "")).tctl(["get", "token/x"])
    assert recorder.hidden == ()


def test_the_guides_own_command_prints_yaml_and_keeps_no_secret_either(recorder: KeptInMemory) -> None:
    name = "a-secret-token-name"
    said = f"kind: token\nmetadata:\n  name: {name}\nspec:\n  join_method: token\n  roles:\n  - Bot\nversion: v2\n"
    result = _with(recorder, token=(0, said, "")).tctl(["get", f"token/{name}"])
    recorder.record(result.as_evidence(ObjectRef("Command", "tctl"), shown_as=f"tctl get token/{name}"))
    assert name not in repr(recorder.evidence)
    by_kubernetes = said.replace("join_method: token", "join_method: kubernetes")
    result = _with(recorder, token=(0, by_kubernetes.replace(name, "not-a-secret"), "")).tctl(["get", "token/not-a-secret"])
    recorder.record(result.as_evidence(ObjectRef("Command", "tctl")))
    assert "name: not-a-secret" in [*recorder.evidence.values()][-1].body


def _listed(name: str, method: str) -> dict[str, Any]:
    return {"kind": "token", "metadata": {"name": name}, "spec": {"bot_name": "istio-tbot", "join_method": method}}


def test_all_tokens_are_listed_without_a_name_that_is_not_known(recorder: KeptInMemory) -> None:
    said = json.dumps([_listed("own-token", "kubernetes"), _listed("other-token", "iam"), _listed("a-secret-name", "token")])
    found = _with(recorder, token=(0, said, "")).tokens(("own-token",))
    assert [t.name for t in found.tokens] == ["own-token", MARK, MARK]
    assert [t.join_method for t in found.tokens] == ["kubernetes", "iam", "token"]
    (kept,) = recorder.evidence.values()
    assert (kept.question, kept.parser) == (
        "tctl get token --format=json",
        "providers.teleport.facts.join_tokens.parse_join_tokens",
    )
    assert "own-token" in kept.body
    assert not [name for name in ("other-token", "a-secret-name") if name in repr(recorder.evidence)]


def test_of_all_tokens_only_the_name_that_tbot_has_is_hidden_elsewhere(recorder: KeptInMemory) -> None:
    """A stranger's token may be called like a word of the report."""
    said = json.dumps([_listed("teleport", "token"), _listed("own-token", "token"), _listed("completed", "token")])
    found = _with(recorder, token=(0, said, "")).tokens(("own-token",))
    assert [t.name for t in found.tokens] == [MARK] * 3
    assert recorder.hidden == ("own-token",)


def test_a_failing_list_of_tokens_leaves_what_was_said_of_the_failure_alone(recorder: KeptInMemory) -> None:
    said = json.dumps([_listed("other-token", "iam"), _listed("a-secret-name", "token")])
    with pytest.raises(NotGiven) as caught:
        _with(recorder, token=(1, said, "ERROR: access denied")).tokens(())
    (kept,) = recorder.evidence.values()
    assert "access denied" in kept.body
    assert not [n for n in ("other-token", "a-secret-name") if n in kept.body + str(caught.value)]


@pytest.mark.parametrize("kind", ["bot", "role", "token", "workload_identity", "bot_instance"])
def test_a_failing_get_of_any_kind_leaves_nothing_of_what_it_printed(recorder: KeptInMemory, kind: str) -> None:
    printed = json.dumps([{"kind": kind, "metadata": {"name": "of-another-team", "labels": {"note": "private"}}}])
    session = _with(recorder, **{kind: (1, printed, "ERROR: connection problem")})
    every = {"workload_identity": session.workload_identities, "bot_instance": session.bot_instances}
    read = every.get(kind) or (lambda: getattr(session, kind)("x"))
    with pytest.raises(CouldNotTell) as caught:
        read()
    said = repr(recorder.evidence) + str(caught.value)
    assert "connection problem" in said
    assert "of-another-team" not in said
    assert "private" not in said


def test_without_the_right_to_list_tokens_nothing_is_told(recorder: KeptInMemory) -> None:
    denied = (1, "", '\x1b[31mERROR: \x1b[0maccess denied to perform action "list" on "token"\n')
    with pytest.raises(NotGiven) as caught:
        _with(recorder, token=denied).tokens(())
    assert "access denied" in caught.value.seen
    expired = (1, "", "ERROR: your credentials have expired, please login using tsh login\n")
    with pytest.raises(CouldNotTell) as other:
        _with(recorder, token=expired).tokens(())
    assert not isinstance(other.value, NotGiven)
    with pytest.raises(NotGiven):
        TeleportSession("example.org", recorder=recorder, timeout=2).tokens(())
