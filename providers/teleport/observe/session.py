"""Reader of Teleport: its public endpoints, which need no session, and its resources through an admin tctl."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from facts.document import Absent, decoded, yaml_as_written
from facts.errors import BadInput, CouldNotTell, NotGiven
from facts.evidence import ObjectRef, evidence_of
from facts.masks import Mask
from facts.provider.trust import TrustBundle, parse_bundle
from facts.recorder import Recorder
from facts.redaction import beginning
from facts.traffic.addresses import host_and_port, with_port
from observe.command import CommandResult
from observe.requests import Kind, Requests
from observe.tools import Tctl, no_admin_session
from observe.wait import NotYet, Pace, eventually
from observe.web import get, trust
from providers.teleport.facts.join_tokens import JoinTokens, listing, parse_join_tokens
from providers.teleport.facts.resources import (
    Bot,
    BotInstance,
    ClusterStatus,
    JoinToken,
    NoSession,
    Ping,
    Role,
    WorkloadIdentities,
    parse_bot,
    parse_bot_instances,
    parse_join_token,
    parse_ping,
    parse_role,
    parse_status,
    parse_workload_identities,
)
from providers.teleport.facts.tbot_config import BY_NAME_ALONE
from providers.teleport.facts.tctl import remedy_for, says_absent, says_denied, says_session_ended
from settings import DEFAULT_SIZES

T = TypeVar("T")

LIMIT = DEFAULT_SIZES.teleport
"""Bytes that one answer may have where the caller has no setting."""

_CANNOT_RUN = (126, 127)
"""Exit codes of a shell or container runtime that could not start tctl."""

REFILL = 3.0
"""Seconds after which Teleport's proxy takes one more request for the bundle: it allows 20 a minute from one address."""

PATIENCE = 3
"""Timeouts of one request that the suite waits while the proxy answers that there were too many (HTTP 429)."""


def is_not_there(result: CommandResult, name: str) -> bool:
    """Return whether tctl says that a resource does not exist.

    Args:
        result: Answer of tctl.
        name: Name of the resource, without its kind.
    """
    return result.exit_code not in (0, *_CANNOT_RUN) and says_absent(result.stderr, name)


@dataclass(frozen=True, slots=True)
class TeleportAddress:
    """Address at which this machine reaches Teleport.

    Attributes:
        proxy: HOST:PORT of the proxy; empty where the suite has to find it in tbot's configuration.
        insecure: True where the suite must not verify its certificate.
        ca: Certificates to verify it with; None for the system's.
    """

    proxy: str
    insecure: bool = False
    ca: Path | None = None

    @property
    def unverified(self) -> str:
        """The line to Teleport, if nobody verifies who answers there, and what switched that off; else empty."""
        return "Teleport's proxy (--teleport-insecure)" if self.insecure else ""


class TeleportSession:
    """One Teleport cluster.

    Attributes:
        proxy: HOST:PORT of its proxy.
        has_admin: An admin tctl was given.
        requests: Counts them.
    """

    def __init__(
        self,
        proxy: str,
        *,
        recorder: Recorder,
        timeout: float,
        limit: int = LIMIT,
        tctl: Tctl | None = None,
        insecure: bool = False,
        ca: Path | None = None,
        requests: Requests | None = None,
    ) -> None:
        """Open a Teleport without sending a request.

        Args:
            proxy: HOST or HOST:PORT; the port is 443 where none is given.
            recorder: Where the readings go.
            timeout: Seconds for one request, from the connection to the end of the answer.
            limit: Bytes that one answer of the proxy may have.
            tctl: Runs an admin tctl; None where there is none.
            insecure: The proxy's certificate is not verified.
            ca: Certificates to verify the proxy with; the system's where none are given.
            requests: Counts its requests with those of other readers; a count of its own where none is given.

        Raises:
            BadInput: The address or the CA file cannot be used.
        """
        try:
            host, port = host_and_port(proxy.removeprefix("https://").rstrip("/"))
        except ValueError as error:
            raise BadInput(
                expected="HOST or HOST:PORT of Teleport's proxy, an IPv6 address in brackets",
                seen=repr(proxy),
                where="--teleport-proxy",
                remedy="give the address that tbot's configuration has as proxy_server",
            ) from error
        try:
            self._tls = trust(ca=ca, insecure=insecure)
        except OSError as error:
            raise BadInput(
                expected="certificates in PEM",
                seen=str(error),
                where=str(ca),
                remedy="name a file that holds the proxy's CA, or its own certificate (--teleport-ca)",
            ) from error
        self._host, self._port = host, port or 443
        self.proxy = with_port(self._host, self._port)
        self._recorder = recorder
        self._timeout = timeout
        self._limit = limit
        self._tctl = tctl
        self.requests = requests or Requests()

    @property
    def has_admin(self) -> bool:
        """An admin tctl was given."""
        return self._tctl is not None

    # --- public endpoints --------------------------------------------------------------------------------------------

    def ping(self) -> Ping:
        """The proxy's answer about itself.

        Raises:
            CouldNotTell: It does not answer, or its answer names no cluster.
        """
        document, evidence = self._get("/webapi/ping", parse_ping)
        return parse_ping(document, (evidence,))

    def bundle(self) -> TrustBundle:
        """The SPIFFE trust bundle. The document does not name its trust domain, so neither does the fact.

        Raises:
            CouldNotTell: It does not answer, or its answer is no bundle.
        """
        document, evidence = self._get("/webapi/spiffe/bundle.json", parse_bundle)
        return parse_bundle(document, evidence=(evidence,))

    # --- through an admin tctl ---------------------------------------------------------------------------------------

    def tctl(self, words: Sequence[str], stdin: str = "") -> CommandResult:
        """Runs tctl without recording the answer; the recorder hides names of tokens that are secrets.

        A non-zero exit is an answer.

        Args:
            words: Arguments, without the program.
            stdin: Standard input.

        Raises:
            CouldNotTell: There is no admin session, or tctl did not end in time.
        """
        result = self._run(words, stdin)
        self._recorder.hide(*_join_secrets(result.stdout))
        return result

    def _run(self, words: Sequence[str], stdin: str = "") -> CommandResult:
        if self._tctl is None:
            raise no_admin_session(f"tctl {' '.join(words)}")
        self.requests.count(Kind.TCTL)
        return self._tctl(words, stdin)

    def status(self) -> ClusterStatus | NoSession:
        """The answer of ``tctl status``. A session that does not work is an answer too.

        Raises:
            CouldNotTell: There is no admin session, tctl did not end in time, or its answer is not understood.
        """
        result, evidence = self._ask(["status"], ObjectRef("Teleport", "status"), parse_status)
        if result.exit_code != 0:
            said = f"exit code {result.exit_code}: {result.tail()}"
            return NoSession(said, says_session_ended(result.stderr), (evidence,))
        return parse_status(result.stdout, (evidence,))

    def token(self, name: str) -> JoinToken | Absent:
        """A join token."""
        return self._resource("token", name, parse_join_token)

    def role(self, name: str) -> Role | Absent:
        """A role."""
        return self._resource("role", name, parse_role)

    def bot(self, name: str) -> Bot | Absent:
        """A bot."""
        return self._resource("bot", name, parse_bot)

    def workload_identities(self) -> WorkloadIdentities:
        """All workload_identity resources.

        Raises:
            CouldNotTell: There is no admin session, or it does not work.
        """
        return self._every("workload_identity", parse_workload_identities)

    def bot_instances(self) -> tuple[BotInstance, ...]:
        """All bot instances.

        Raises:
            CouldNotTell: There is no admin session, or it does not work.
        """
        return self._every("bot_instance", parse_bot_instances)

    def tokens(self, known: Collection[str]) -> JoinTokens:
        """All join tokens; no name of one is kept or shown, but those that are known.

        Args:
            known: Names in tbot's configuration, without those that are secrets.

        Raises:
            NotGiven: There is no admin session, or it may not list tokens.
            CouldNotTell: The session does not work.
        """
        words = ["get", "token", "--format=json"]
        result = self._run(words)
        # The mask drops the others' names. They are words such as `node`, which hidden everywhere would spoil the report.
        secrets = [name for name in _join_secrets(result.stdout) if name in known]
        self._recorder.hide(*secrets)
        result, evidence = self._recorded(
            result, words, ObjectRef("Teleport", "token"), parse_join_tokens, secrets=secrets, mask=listing(known)
        )
        if result.exit_code != 0 and says_denied(result.stderr):
            raise NotGiven(
                expected="the right to list join tokens",
                seen=result.tail(),
                where=f"tctl {' '.join(words)}",
                remedy="give the session the rights of manifests/certifier-teleport-role.yaml",
            )
        self._must_have_worked(result)
        return parse_join_tokens(decoded(result.stdout), (evidence,))

    def _every(self, kind: str, parse: Callable[..., T]) -> T:
        result, evidence = self._ask(["get", kind, "--format=json"], ObjectRef("Teleport", kind), parse)
        self._must_have_worked(result)
        return parse(decoded(result.stdout), (evidence,))

    def _resource(self, kind: str, name: str, parse: Callable[..., T]) -> T | Absent:
        subject = ObjectRef("Teleport", f"{kind}/{name}")
        result, evidence = self._ask(["get", f"{kind}/{name}", "--format=json"], subject, parse)
        nothing = result.exit_code == 0 and decoded(result.stdout) == []
        if nothing or is_not_there(result, name):
            return Absent(subject, (evidence,))
        self._must_have_worked(result)
        return parse(decoded(result.stdout), evidence=(evidence,))

    def _ask(self, words: Sequence[str], subject: ObjectRef, parse: Callable[..., object]) -> tuple[CommandResult, str]:
        result = self.tctl(words)
        return self._recorded(result, words, subject, parse, secrets=_join_secrets(result.stdout))

    def _recorded(
        self,
        result: CommandResult,
        words: Sequence[str],
        subject: ObjectRef,
        parse: Callable[..., object],
        *,
        secrets: Sequence[str],
        mask: Mask | None = None,
    ) -> tuple[CommandResult, str]:
        line = f"tctl {' '.join(words)}"
        recorded = result.recorded(self._recorder, subject, parser=parse, shown_as=line, named_secrets=secrets, mask=mask)
        return recorded, recorded.evidence[0]

    def _must_have_worked(self, result: CommandResult) -> None:
        """Check that tctl answered.

        Raises:
            NotGiven: The session does not work, or may not read this; that says nothing about the install.
            CouldNotTell: tctl failed for another reason.
        """
        if result.exit_code == 0:
            return
        lacking = says_denied(result.stderr) or isinstance(self.status(), NoSession)
        failed = NotGiven if lacking else CouldNotTell
        raise failed(
            expected="tctl to answer",
            seen=f"exit code {result.exit_code}: {result.tail()}",
            where=result.line,
            remedy=remedy_for(result.stderr, "check the session with `tctl status`, and what it may read"),
        )

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def _answer(self, path: str, url: str) -> tuple[int, str]:
        """Status and body of an answer; that there were too many requests is none yet."""
        self.requests.count(Kind.TELEPORT)
        try:
            status, body = get(
                self._host, self._port, path,
                tls=self._tls, timeout=self._timeout, limit=self._limit, headers={"Accept": "application/json"},
            )  # fmt: skip
        except ssl.SSLCertVerificationError as error:
            raise CouldNotTell(
                expected="a certificate of Teleport's proxy that can be verified",
                seen=error.verify_message,
                where=url,
                remedy="give its CA with --teleport-ca; with --teleport-insecure the result is inconclusive at best",
            ) from error
        except (http.client.HTTPException, OSError) as error:
            raise CouldNotTell(
                expected=f"an answer of Teleport's proxy within {self._timeout:g} s",
                seen=f"{type(error).__name__}: {error}",
                where=url,
                remedy="check the address (--teleport-proxy) and that this machine may reach it",
            ) from error
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise NotYet(f"HTTP {status}: {beginning(body, 200)}")
        return status, body

    def _get(self, path: str, parse: Callable[..., object]) -> tuple[Any, str]:
        url = f"https://{self.proxy}{path}"
        status, body = eventually(
            f"Teleport's proxy answers GET {url}",
            lambda: self._answer(path, url),
            Pace(PATIENCE * self._timeout, REFILL),
            remedy="Teleport limits requests by address: find what else asks it from there, or try again in a minute",
        )
        recorded = evidence_of(
            f"GET {url}",
            ObjectRef("Teleport", self.proxy),
            body,
            read_at=datetime.now(UTC),
            parser=parse if status == 200 else None,
        )
        evidence = self._recorder.record(recorded)
        if status != 200:
            raise CouldNotTell(
                expected="HTTP 200",
                seen=f"HTTP {status}: {beginning(body, 200)}",
                where=url,
                remedy="is this the web address of Teleport's proxy, and a release with SPIFFE bundles (15.2 or later)?",
            )
        return decoded(recorded.body), evidence


def _join_secrets(text: str) -> list[str]:
    """Names of tokens with join method `token`, where the name is the secret. tctl prints YAML unless asked for JSON."""
    documents = decoded(text)
    if isinstance(documents, str):
        try:
            documents = yaml_as_written(text) if "kind:" in text else []
        except ValueError:
            return []
    return [str(name) for token in _tokens(documents) if (name := _of(token, "metadata").get("name"))]


def _tokens(documents: Any) -> Iterator[Mapping[str, Any]]:
    """Token resources with join method `token` in what tctl printed: a resource, or lists of them."""
    if isinstance(documents, list):
        for each in documents:
            yield from _tokens(each)
    elif (
        isinstance(documents, Mapping)
        and documents.get("kind") == "token"
        and str(_of(documents, "spec").get("join_method") or "") in BY_NAME_ALONE
    ):
        yield documents


def _of(resource: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return part if isinstance(part := resource.get(key), Mapping) else {}
