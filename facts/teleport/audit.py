"""Teleport's audit events of issued SVIDs: one JSON object a line, event ``spiffe.svid.issued``.

Source: Teleport, audit event reference; serial numbers are hexadecimal with colons. Refusals are not audited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facts.document import damaged, decoded, maybe, need, when
from facts.svid import serial_of

ISSUED = "spiffe.svid.issued"


@dataclass(frozen=True, slots=True)
class IssuedSvid:
    """An audited issuance.

    Attributes:
        serial: As `facts.svid.Certificate.serial` spells it.
        spiffe_id: The whole ID.
        time: UTC.
        workload_identity: Name of the resource it was issued by; empty when not given.
        attested: The workload was attested by Kubernetes.
        namespace: Attribute ``workload.kubernetes.namespace``; empty when not given, as all of these.
        service_account: Attribute ``workload.kubernetes.service_account``.
        pod_name: Attribute ``workload.kubernetes.pod_name``.
        pod_uid: Attribute ``workload.kubernetes.pod_uid``.
    """

    serial: str
    spiffe_id: str
    time: datetime
    workload_identity: str
    attested: bool
    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The audited issuances of some serials.

    Attributes:
        source: Where the events were read.
        issued: By serial.
        evidence: Ids of the readings.
    """

    source: str
    issued: tuple[IssuedSvid, ...]
    evidence: tuple[str, ...]


def parse_issued(text: str) -> tuple[IssuedSvid, ...]:
    """Reads the X.509 issuances among audit events, one JSON object a line; other events are passed over.

    Raises:
        CouldNotTell: A line is no event.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return tuple(event for line in lines if (event := _issued(decoded(line))) is not None)


def _issued(event: Any) -> IssuedSvid | None:
    where = "audit events"
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise damaged("a JSON object with the field event on each line", repr(event)[:80], where)
    if event["event"] != ISSUED or maybe(event, "svid_type", "x509", where) != "x509":
        return None
    where = f"audit event {maybe(event, 'uid', '', where)}"
    kubernetes = maybe(event, "attributes.workload.kubernetes", dict[str, Any](), where)
    return IssuedSvid(
        serial=serial_of(need(event, "serial_number", str, where)),
        spiffe_id=need(event, "spiffe_id", str, where),
        time=when(need(event, "time", str, where), where),
        workload_identity=maybe(event, "workload_identity", "", where),
        attested=maybe(kubernetes, "attested", False, where),
        namespace=maybe(kubernetes, "namespace", "", where),
        service_account=maybe(kubernetes, "service_account", "", where),
        pod_name=maybe(kubernetes, "pod_name", "", where),
        pod_uid=maybe(kubernetes, "pod_uid", "", where),
    )
