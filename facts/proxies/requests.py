"""Requests that a proxy has sent for its application, by workload and service, as Istio's standard metrics count them.

Sources: Istio's standard metrics (``istio_requests_total``, ``istio_tcp_connections_opened_total``) and its Envoy filter
``istio.stats``, which sets ``istio_build`` wherever it is configured; Envoy's admin documentation
(``/stats/prometheus``); Prometheus' text format.

A proxy counts a request as *source*, and the proxy of the server counts it again as *destination*. Only the source counts
the requests that never arrive, and those are what a migration is about; its own pod is known from the API server. Of what
servers have counted, only the names of their callers are read: they show that a caller which has counted nothing does call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from facts.document import counter, damaged
from facts.masks import NAME, Mask, keeps, lines
from facts.redaction import Hiding, beginning

REQUESTS = "/stats/prometheus?usedonly&filter=istio_(requests_total|tcp_connections_opened_total|build)"
"""The question for Envoy's admin interface. Envoy compares the filter with a name that begins with ``istiocustom.``."""

COUNTED = ("istio_requests_total", "istio_tcp_connections_opened_total")
"""Of TCP a connection counts like a request: it takes one handshake, and fails as a whole."""
BUILD = "istio_build"
_REPORTER, _SERVICE = "reporter", "destination_service"
_SOURCE, _DESTINATION = "source", "destination"
_OTHER_END = {_SOURCE: "destination", _DESTINATION: "source"}
"""Prefix of the labels of the other end, by who reports."""
_UNKNOWN = ("", "unknown")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_WHERE = "istio_requests_total of the proxy"


@dataclass(frozen=True, slots=True)
class Called:
    """The far end of requests, as the source's proxy knows it.

    Attributes:
        workload: ``namespace/name``, as Istio names workloads; empty where the proxy does not know it, as of requests
            that reached none.
        service: Host of the service, e.g. ``cart.shop.svc.cluster.local``; empty where there is none.
        address: IP address of the endpoint, where requests are counted by endpoints (`facts.proxies.endpoint_requests`).
    """

    workload: str = ""
    service: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class SentRequests:
    """Requests that one proxy has sent since its start.

    Attributes:
        is_counting: The proxy counts requests: without, that none is counted says nothing.
        sent: Number of requests, and of TCP connections, by their far end.
        callers: Workloads that it has taken requests from, as Istio names them.
        read_at: UTC time of the reading.
        evidence: Ids of the readings.
    """

    is_counting: bool
    sent: Mapping[Called, int]
    callers: frozenset[str]
    read_at: datetime
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sample:
    """One line in Prometheus' text format."""

    metric: str
    labels: Mapping[str, str]
    value: str

    @classmethod
    def read(cls, line: str) -> _Sample | None:
        """A sample of one of the metrics; None for any other line."""
        metric, _brace, rest = line.partition("{")
        labels, brace, value = rest.rpartition("}")
        if metric not in (*COUNTED, BUILD) or not brace:
            return None
        found = {name: _ESCAPED.sub(_unescaped, text) for name, text in _LABEL.findall(labels)}
        return cls(metric, found, value.strip())

    @property
    def other_end(self) -> str:
        """``namespace/name`` of the workload at the other end; empty where the proxy does not know it."""
        namespace, name = (_known(self.labels.get(label, "")) for label in self._of_other_end)
        return f"{namespace}/{name}" if namespace and name else ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The labels that are read."""
        return (_REPORTER, *self._of_other_end, *((_SERVICE,) if self.reporter == _SOURCE else ()))

    @property
    def reporter(self) -> str:
        """``source``, ``destination``, or another; empty for what is no count."""
        return self.labels.get(_REPORTER, "") if self.metric in COUNTED else ""

    @property
    def _of_other_end(self) -> tuple[str, ...]:
        end = _OTHER_END.get(self.reporter)
        return (f"{end}_workload_namespace", f"{end}_workload") if end else ()

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in self.labels.items())
        return f"{self.metric}{{{labels}}} {self.value}"


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class _Samples(Mask):
    """A text in Prometheus' format: of the metrics of this module, the labels that are read; of nothing else anything."""

    __slots__ = ()

    is_of_text: ClassVar[bool] = True

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        kept = (
            replace(
                sample,
                labels={name: NAME.kept(sample.labels[name], hiding) for name in sample.kept if name in sample.labels},
                value=hiding.text(sample.value),
            )
            for sample in _samples(str(value))
        )
        return "".join(f"{sample}\n" for sample in kept)


def _samples(text: str) -> Iterator[_Sample]:
    return (sample for line in lines(text) if (sample := _Sample.read(line)) is not None)


@keeps(_Samples())
def parse_requests(document: Any, read_at: datetime, evidence: tuple[str, ...] = ()) -> SentRequests:
    """Reads an answer to `REQUESTS`.

    Args:
        document: The text, as evidence keeps it.
        read_at: UTC time of the answer.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: It is no text, or a count in it is no number.
    """
    if not isinstance(document, str):
        raise damaged("a text in Prometheus' format", repr(beginning(repr(document), 80)), _WHERE)
    sent: Counter[Called] = Counter()
    callers, is_counting = set[str](), False
    for sample in _samples(document):
        is_counting = True
        if sample.reporter == _SOURCE:
            called = Called(sample.other_end, _known(sample.labels.get(_SERVICE, "")))
            sent[called] += counter(sample.value, _WHERE)
        elif sample.reporter == _DESTINATION:
            callers |= {sample.other_end} - {""}
    return SentRequests(is_counting, dict(sent), frozenset(callers), read_at, evidence)


def _known(text: str) -> str:
    return "" if text in _UNKNOWN else text
