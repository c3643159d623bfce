"""Reader of Teleport's audit events; it keeps only the events about the certificates in question.

An audit log is long, and its events about other certificates do not belong in a report.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import ENOENT
from pathlib import Path
from typing import Protocol

from facts.errors import CouldNotTell, NotGiven
from facts.evidence import ObjectRef, evidence_of
from facts.masks import json_or_text
from facts.recorder import Recorder
from providers.teleport.facts.audit import ISSUED, AuditTrail, parse_end, parse_issued


class AuditEvents(Protocol):
    """A source of audit events."""

    @property
    def name(self) -> str:
        """The name that people know it by."""

    def lines(self) -> Iterator[str]:
        """All events, one JSON object a line, oldest file first.

        Raises:
            CouldNotTell: The source cannot be read.
        """


@dataclass(frozen=True, slots=True)
class EventFiles:
    """Audit events in a file, or in the files ``*.log`` below a directory (Teleport writes one for each host and day)."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def lines(self) -> Iterator[str]:
        """All lines; see `AuditEvents.lines`."""
        try:
            for file in self._files():
                with file.open(encoding="utf-8", errors="replace") as opened:
                    yield from opened
        except OSError as error:
            raise CouldNotTell(
                expected="audit events of Teleport, one JSON object a line",
                seen=str(error),
                where=f"setting audit_events: {self.path}",
                remedy="name the file or directory that Teleport's events are written to, readable for this user",
            ) from error

    def _files(self) -> list[Path]:
        """The file itself, or the files below the directory, by name.

        Raises:
            OSError: There is none. Teleport's ``events.log`` is an absolute link to the newest file; in a copy of the
                directory it leads nowhere.
        """
        if not self.path.is_dir():
            return [self.path]
        files = sorted({path.resolve() for path in self.path.rglob("*.log") if path.is_file()})
        if not files:
            links = [str(path) for path in self.path.rglob("*.log")]
            seen = f"only links that lead nowhere: {', '.join(links)}" if links else "no file called *.log"
            raise FileNotFoundError(ENOENT, seen, str(self.path))
        return files


def read_trail(source: AuditEvents | None, serials: Iterable[str], recorder: Recorder) -> AuditTrail:
    """The audited issuances of some serials.

    Args:
        source: The source of the events; None where you gave none.
        serials: As `facts.svid.Certificate.serial` spells them.
        recorder: Takes the lines that are about them.

    Raises:
        NotGiven: There is no source.
        CouldNotTell: The source cannot be read, or one of its lines is no event.
    """
    if source is None:
        raise NotGiven(
            expected="the audit events of Teleport",
            seen="no source of them",
            where="setting audit_events",
            remedy="give a file of JSON lines, or the directory that Teleport writes them to, with --audit-events",
        )
    serials = frozenset(serials)
    spelt = tuple(_with_colons(serial) for serial in sorted(serials))
    # Teleport is still writing a last line without a line break.
    found = [line for line in source.lines() if line.endswith("\n") and _is_about(line, spelt)]
    recorded = evidence_of(
        f"grep -F {ISSUED} {source.name} | jq -c 'select(.serial_number | IN({', '.join(map(json.dumps, spelt))}))'",
        ObjectRef("Teleport", "audit events"),
        "".join(found),
        read_at=datetime.now(UTC),
        parser=parse_issued,
    )
    issued, evidence = parse_issued(recorded.body), (recorder.record(recorded),)
    if {event.serial for event in issued}.issuperset(serials):
        return AuditTrail(source.name, issued, evidence)
    # What was issued after the newest event cannot be among them: they may be a copy of an earlier moment.
    newest = max(filter(None, map(_time_of, source.lines())), default=None)
    if newest is None:
        return AuditTrail(source.name, issued, evidence)
    end = evidence_of(
        f"jq -r .time {source.name} | sort | tail -n 1",
        ObjectRef("Teleport", "audit events"),
        newest[1],
        read_at=datetime.now(UTC),
        parser=parse_end,
    )
    return AuditTrail(source.name, issued, (*evidence, recorder.record(end)), parse_end(end.body))


def _time_of(line: str) -> tuple[datetime, str] | None:
    """The time of a line, parsed and as it stands there; None where the line is no event with a time."""
    event = json_or_text(line)
    written = event.get("time") if isinstance(event, Mapping) else None
    with suppress(CouldNotTell):
        return (parse_end(written), written) if isinstance(written, str) else None
    return None


def _is_about(line: str, spelt: Collection[str]) -> bool:
    """Tell whether a line is the issuance of one of the serials; one that cannot be decoded is, if it names one.

    A tenant chooses other texts of an event, such as a label, and may quote another's serial there.
    """
    if ISSUED not in line or not any(serial in line for serial in spelt):  # spares decoding the rest of a long log
        return False
    event = json_or_text(line)
    return not isinstance(event, Mapping) or (event.get("event") == ISSUED and event.get("serial_number") in spelt)


def _with_colons(serial: str) -> str:
    """A serial as Teleport's events spell it: pairs of digits with colons between, leading zero included."""
    even = serial.zfill(len(serial) + len(serial) % 2)
    return ":".join(even[at : at + 2] for at in range(0, len(even), 2))
