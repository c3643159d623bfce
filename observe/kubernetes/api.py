"""Requests to the API server: each answer is one piece of evidence, each refusal an error with a remedy.

The kubernetes client does TLS and authentication; bodies stay raw JSON. One ApiClient serves all threads: its pool
of connections is thread-safe, and what is not (the client's ``stream`` swaps a method of the shared client during an
exec) is not used here, see `observe.kubernetes.streams`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
import yaml
from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from facts.document import Reading, decoded, maybe, need
from facts.errors import BadInput, CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.masks import Mask
from facts.recorder import Recorder
from facts.redaction import beginning
from observe.kubernetes import credentials
from observe.kubernetes.denial import denial
from observe.limits import PIECE, joined, too_large
from observe.requests import Kind, Requests
from settings import Sizes

USER_AGENT = "istio-teleport-conformance"

PAGE = 500
"""Objects that one page of a list has, as in kubectl."""

# The kubernetes client raises these for a damaged kubeconfig; most are not its own ConfigException.
_MISSHAPEN = (TypeError, AttributeError, LookupError)
_UNUSABLE = (ConfigException, yaml.YAMLError, OSError, ValueError, *_MISSHAPEN)


def contexts(kubeconfig: Path | None) -> tuple[str, ...]:
    """Names of the contexts in a kubeconfig.

    Args:
        kubeconfig: The file; None means ``$KUBECONFIG``, else ``~/.kube/config``.

    Raises:
        BadInput: The file is missing or damaged.
    """
    where = str(kubeconfig) if kubeconfig else "$KUBECONFIG or ~/.kube/config"
    if kubeconfig is not None and not kubeconfig.is_file():
        raise BadInput(
            expected="a kubeconfig",
            seen="it is not a file" if kubeconfig.exists() else "there is no such file",
            where=where,
            remedy="name an existing file with --kubeconfig",
        )
    try:
        # The client's own list of contexts requires a current context, which a kubeconfig need not have.
        merged = KubeConfigMerger(str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)).config
        return tuple(str(context.value["name"]) for context in merged.value["contexts"]) if merged else ()
    except _UNUSABLE as error:
        raise _bad_kubeconfig(where, error) from error


def must_have_context(kubeconfig: Path | None, context: str) -> None:
    """Checks that a context exists; the current one is never assumed.

    Raises:
        BadInput: It does not; lists those that do.
    """
    known = contexts(kubeconfig)
    if context not in known:
        raise BadInput(
            expected=f"one of the contexts {', '.join(sorted(known))}" if known else "a kubeconfig with contexts",
            seen=repr(context) if known and context else "none",
            where=str(kubeconfig or "$KUBECONFIG or ~/.kube/config"),
            remedy="name one of them with --context" if known else "name the file with --kubeconfig",
        )


def connect(kubeconfig: Path | None, context: str, *, retries: int = 0) -> client.ApiClient:
    """A client for a context. It sends no request yet, but runs a credential plug-in of the kubeconfig.

    Args:
        kubeconfig: The file; None means ``$KUBECONFIG``, else ``~/.kube/config``.
        context: Name of the context.
        retries: Times that a request is sent again if no connection is made. None for a reading: its deadline is that of one
            attempt, and silent repeats would hide a flaky API server.

    Raises:
        BadInput: The kubeconfig or the context cannot be used.
    """
    must_have_context(kubeconfig, context)
    configuration = client.Configuration()
    configuration.retries = urllib3.Retry(total=retries, redirect=0)
    configuration.connection_pool_maxsize = 16
    try:
        credentials.load(kubeconfig, context, configuration)
    except _UNUSABLE as error:
        raise _bad_kubeconfig(str(kubeconfig or "kubeconfig"), error) from error
    made = client.ApiClient(configuration)
    made.user_agent = USER_AGENT
    return made


def _bad_kubeconfig(where: str, error: Exception) -> BadInput:
    return BadInput(
        expected="a kubeconfig that can be read",
        seen="another document" if isinstance(error, _MISSHAPEN) else " ".join(str(error).split()),
        where=where,
        remedy="check it with `kubectl --kubeconfig … config view`, and that its credential plug-in works",
    )


class Api:
    """Requests to one API server, each recorded.

    Attributes:
        host: Address of the API server.
        context: Name of the context, for messages.
        client: The kubernetes client's ApiClient; its configuration also opens streams.
        requests: Counts them.
    """

    def __init__(
        self,
        api_client: client.ApiClient,
        context: str,
        recorder: Recorder,
        timeout: float,
        sizes: Sizes,
        *,
        requests: Requests,
    ) -> None:
        self.client = api_client
        self.requests = requests
        self._sizes = sizes
        self.host: str = api_client.configuration.host
        self.context = context
        self._recorder = recorder
        self._timeout = timeout

    @property
    def unverified(self) -> str:
        """The line to the API server, if nobody verifies who answers there, and what switched that off; else empty."""
        address = urlsplit(self.host)
        if address.scheme != "https":
            # `kubectl proxy` listens on this machine alone, and verifies the API server itself.
            local = address.hostname in ("127.0.0.1", "::1", "localhost")
            return "" if local else f"the API server ({address.scheme} in the kubeconfig)"
        verified = self.client.configuration.verify_ssl
        return "" if verified else "the API server (insecure-skip-tls-verify in the kubeconfig)"

    def recording_to(self, recorder: Recorder) -> Api:
        """The same API server over the same connections, whose readings go elsewhere."""
        return Api(self.client, self.context, recorder, self._timeout, self._sizes, requests=self.requests)

    def close(self) -> None:
        """Closes all connections."""
        self.client.close()

    def must_answer(self) -> None:
        """Checks that the API server answers and accepts the credentials, so that an unusable one costs one timeout.

        Raises:
            CouldNotTell: It does not answer, or rejects the credentials.
        """
        status, body, _read_at = self.request("GET", "/version", None)
        if status == 401:
            self._must_be_fine(status, body, "GET /version")

    def get(
        self,
        path: str,
        subject: ObjectRef,
        *,
        parser: Callable[..., object] | None = None,
        mask: Mask | None = None,
        query: Mapping[str, str] | None = None,
        absent: bool = False,
        text: bool = False,
        limit: tuple[str, int] | None = None,
        hides: Callable[[Any], Iterable[str]] = lambda _document: (),
    ) -> Reading:
        """One GET.

        Args:
            path: E.g. ``/api/v1/nodes``.
            subject: The object of the question; an answer that is an object adds uid and resourceVersion.
            parser: The function in ``facts`` that turns the answer into facts.
            mask: What evidence keeps of the answer, where the parser does not say it: it reads the items of a list.
            query: Query parameters.
            absent: 404 is an answer; the reading's document is None then.
            text: The answer is text and stays so, even where it happens to be JSON (a log).
            limit: Field of `settings.Sizes` and bytes that the answer may have; those of any answer where none are given.
            hides: Takes the whole answer, decoded; returns secrets in it that only their meaning tells.

        Raises:
            CouldNotTell: No answer, or a refusal.
            TooLarge: The answer is larger than allowed.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        status, body, read_at = self.request("GET", target, None, limit)
        question = f"GET {target}"
        if status == 404 and absent:
            recorded = evidence_of(question, subject, body, read_at=read_at)
            return Reading(None, self._recorder.record(recorded), read_at)
        self._must_be_fine(status, body, question)
        secrets = tuple(hides(decoded(body)))
        self._recorder.hide(*secrets)
        return self._reading(question, subject, body, read_at, parser=parser, mask=mask, named_secrets=secrets, text=text)

    def pages(
        self,
        path: str,
        subject: ObjectRef,
        *,
        parser: Callable[..., object],
        query: Mapping[str, str],
        mask: Mask | None = None,
    ) -> Iterator[Reading]:
        """A list, page by page; each page is a reading of its own.

        Args:
            path: E.g. ``/api/v1/pods``.
            subject: The object of the question.
            parser: The function in ``facts`` that turns an item into facts.
            query: Query parameters.
            mask: What is kept of a page, see `facts.evidence.evidence_of`.

        Raises:
            CouldNotTell: No answer, or a refusal; also of a later page.
            TooLarge: A page is larger than allowed, or all pages together are.
        """
        left, following = self._sizes.objects, ""
        while True:
            asked = {**query, "limit": str(PAGE)} | ({"continue": following} if following else {})
            target = f"{path}?{urlencode(asked)}"
            status, body, read_at = self.request("GET", target, None)
            self._must_be_fine(status, body, f"GET {target}")
            left -= len(body.encode())
            if left < 0:
                raise too_large(self._sizes.objects, "objects", f"GET {path} (context {self.context})")
            # Not of the reading, which may hold less than the answer: a list that ends early would be taken for the whole.
            following = maybe(decoded(body), "metadata.continue", "", f"GET {path}")
            yield self._reading(f"GET {target}", subject, body, read_at, parser=parser, mask=mask)
            if not following:
                return

    def post(
        self,
        path: str,
        document: Mapping[str, object],
        subject: ObjectRef,
        *,
        parser: Callable[..., object] | None = None,
        query: Mapping[str, str] | None = None,
        refusals: frozenset[int] = frozenset(),
        hidden_at: str = "",
    ) -> tuple[int, Reading]:
        """One POST that changes nothing: a review, or a dry run.

        Args:
            path: E.g. ``/apis/authorization.k8s.io/v1/selfsubjectaccessreviews``.
            document: The body.
            subject: The object of the question.
            parser: The function in ``facts`` that turns the answer into facts.
            query: Query parameters.
            refusals: Status codes that are an answer.
            hidden_at: Path of a field of the answer that is a secret: the caller gets it, the evidence does not.

        Returns:
            The status code and the reading.

        Raises:
            CouldNotTell: No answer, or another refusal.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        question = f"POST {target} {json.dumps(document, sort_keys=True)}"
        status, body, read_at = self.request("POST", target, document)
        if status not in refusals:
            self._must_be_fine(status, body, question)
        if not hidden_at:
            return status, self._reading(question, subject, body, read_at, parser=parser)
        whole = decoded(body)
        value = need(whole, hidden_at, str, question.partition(" {")[0])
        reading = self._reading(question, subject, body, read_at, parser=parser, named_secrets=(value,))
        return status, Reading(whole, reading.evidence, read_at)

    def _reading(
        self,
        question: str,
        subject: ObjectRef,
        body: str,
        read_at: datetime,
        *,
        parser: Callable[..., object] | None = None,
        mask: Mask | None = None,
        named_secrets: Iterable[str] = (),
        text: bool = False,
    ) -> Reading:
        """Records what is kept of an answer and decodes that again, so that parsers see nothing else."""
        document = decoded(body)
        metadata = document.get("metadata") if isinstance(document, Mapping) else None
        if isinstance(metadata, Mapping):
            uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
            subject = replace(subject, uid=subject.uid or uid, resource_version=subject.resource_version or version)
        recorded = evidence_of(
            question, subject, body, read_at=read_at, parser=parser, mask=mask, named_secrets=named_secrets, text=text
        )
        seen = recorded.body if text else decoded(recorded.body)
        return Reading(seen, self._recorder.record(recorded), read_at)

    def request(
        self, method: str, target: str, document: Mapping[str, object] | None, limit: tuple[str, int] | None = None
    ) -> tuple[int, str, datetime]:
        """One HTTP request: status, body, time. Not recorded.

        Raises:
            CouldNotTell: There is no answer, or it did not end in time.
            TooLarge: The answer is larger than allowed.
        """
        setting, most = limit or ("api", self._sizes.api)
        where = f"{method} {self.host}{target} (context {self.context})"
        until = time.monotonic() + self._timeout
        if not self.client.configuration.verify_ssl:
            # The kubeconfig says not to verify; urllib3 would warn at each request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        headers = {"Accept": "application/json, */*"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        parameters = self.client.param_serialize(
            method, target, header_params=headers, body=document, auth_settings=["BearerToken"]
        )
        self.requests.count(Kind.API_SERVER)
        try:
            response = self.client.call_api(*parameters, _request_timeout=self._timeout)
            with contextlib.closing(response.response) as answer:
                body = joined(self._pieces(answer, until), most, lambda: too_large(most, setting, where))
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise CouldNotTell(
                expected=f"an answer of the API server within {self._timeout:g} s",
                seen=_cause(error),
                where=where,
                remedy=f"check that `kubectl --context {self.context} version` answers, VPN and proxy included",
            ) from error
        return int(response.status), body.decode(errors="replace"), datetime.now(UTC)

    def _pieces(self, answer: urllib3.BaseHTTPResponse, until: float) -> Iterator[bytes]:
        """The body of an answer in pieces, of which the last must come in time: the client's timeout is that of one read.

        Raises:
            TimeoutError: It did not.
        """
        while piece := answer.read1(PIECE):
            if time.monotonic() > until:
                raise TimeoutError("the answer did not end in time")
            yield piece

    def _must_be_fine(self, status: int, body: str, question: str) -> None:
        """Checks the status of an answer.

        Raises:
            NotGiven: The identity in use lacks a right; names it.
            CouldNotTell: Any other refusal.
        """
        if 200 <= status < 300:
            return
        document = decoded(body)
        words = str(document.get("message", "")) if isinstance(document, Mapping) else beginning(body, 300)
        where = f"{question.partition(' {')[0]} (context {self.context})"
        if status == 403 and (denied := denial(words, where)) is not None:
            raise denied
        expected, remedy = {
            401: (
                "the API server to accept the credentials",
                f"log in again; `kubectl --context {self.context} auth whoami` must answer",
            ),
            403: (
                "the API server to admit the request",
                "read the API server's words: a policy may forbid the request",
            ),
            404: ("the object", "check its name and namespace in the settings (`conformance.toml`, [names])"),
            410: ("the rest of the list", "the list took too long to read; run again when the API server is less busy"),
            429: ("the API server to take the request", "the API server is overloaded; run again when it is not"),
        }.get(status, ("the API server to answer the request", "read the API server's words; its log may say more"))
        raise CouldNotTell(
            expected=expected,
            seen=f"HTTP {status}: {words}",
            where=where,
            remedy=remedy,
        )


def _cause(error: Exception) -> str:
    """The innermost error: urllib3 wraps the reason several times."""
    reason = getattr(error, "reason", None)
    return f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else f"{type(error).__name__}: {error}"
