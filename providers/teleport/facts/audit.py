"""Teleport's audit events of issued SVIDs: one JSON object a line, event ``spiffe.svid.issued``.

Source: Teleport, audit event reference; serial numbers are hexadecimal with colons. Refusals are not audited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from facts.declared import At, Declared, Flag, Given, Read, Text, mask_of, read
from facts.document import damaged, decoded, maybe, when
from facts.masks import KEYS, TEXT, Lines, keeps, lines, only
from facts.redaction import beginning
from facts.svid import serial_of

ISSUED = "spiffe.svid.issued"


@dataclass(frozen=True, slots=True)
class IssuedSvid(Declared):
    """An audited issuance.

    Attributes:
        serial: As `facts.svid.Certificate.serial` spells it.
        spiffe_id: The whole ID.
        has_attributes: The event has the attributes that the SVID was issued for; releases before about 17.5 leave them out.
        namespace: Attribute ``workload.kubernetes.namespace``; empty when not given, as all of these.
        service_account: Attribute ``workload.kubernetes.service_account``.
        pod_name: Attribute ``workload.kubernetes.pod_name``.
        pod_uid: Attribute ``workload.kubernetes.pod_uid``.
    """

    serial: Annotated[str, At("serial_number"), Read(str, serial_of)]
    spiffe_id: str
    has_attributes: Annotated[Given, At("attributes"), KEYS]
    attested: Annotated[Flag, At("attributes.workload.kubernetes.attested")]
    namespace: Annotated[Text, At("attributes.workload.kubernetes.namespace")]
    service_account: Annotated[Text, At("attributes.workload.kubernetes.service_account")]
    pod_name: Annotated[Text, At("attributes.workload.kubernetes.pod_name")]
    pod_uid: Annotated[Text, At("attributes.workload.kubernetes.pod_uid")]


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The audited issuances of some serials.

    Attributes:
        source: Where the events were read.
        issued: By serial.
        evidence: Ids of the readings.
        ends: Time of the newest event of any kind, UTC; None where there is none, and where every serial has its event.
    """

    source: str
    issued: tuple[IssuedSvid, ...]
    evidence: tuple[str, ...]
    ends: datetime | None = None


@keeps(Lines(mask_of(IssuedSvid).merged(only("event", "svid_type", "uid"))))
def parse_issued(text: str) -> tuple[IssuedSvid, ...]:
    """Reads the X.509 issuances among audit events, one JSON object a line; other events are passed over.

    Raises:
        CouldNotTell: A line is no event.
    """
    written = [line for line in lines(text) if line.strip()]
    return tuple(event for line in written if (event := _issued(decoded(line))) is not None)


@keeps(TEXT)
def parse_end(text: str) -> datetime:
    """Reads the time of an event.

    Raises:
        CouldNotTell: It is no time.
    """
    return when(text, "the newest audit event")


def _issued(event: Any) -> IssuedSvid | None:
    where = "audit events"
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise damaged("a JSON object with the field event on each line", beginning(repr(event), 80), where)
    if event["event"] != ISSUED or maybe(event, "svid_type", "x509", where) != "x509":
        return None
    return read(IssuedSvid, event, f"audit event {maybe(event, 'uid', '', where)}")
