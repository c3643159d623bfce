"""Audit events, from files and only as far as they are about the certificates at hand."""

from __future__ import annotations

import json
import tarfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from facts.errors import CouldNotTell, NotGiven
from facts.recorder import KeptInMemory
from providers.teleport.installing.teleport import ContainerEvents
from providers.teleport.observe.audit import EventFiles, read_trail
from tests.data import HERE
from tests.unit.providers.teleport.facts.test_audit import event

SERIAL, OTHER = "a29", "b30"


def line(serial: str, **changes: Any) -> str:
    even = serial.zfill(len(serial) + len(serial) % 2)
    spelt = ":".join(even[i : i + 2] for i in range(0, len(even), 2))
    return json.dumps(event(serial_number=spelt, **changes)) + "\n"


def log(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_only_what_is_about_the_certificates_is_kept(tmp_path: Path, recorder: KeptInMemory) -> None:
    others = line(OTHER) + json.dumps({"event": "user.login", "user": "a-person", "serial": "0a:29"}) + "\n"
    path = log(tmp_path, "events.json", others + line(SERIAL) + "not json, and not looked at\n")
    trail = read_trail(EventFiles(path), [SERIAL], recorder)
    assert [e.serial for e in trail.issued] == [SERIAL]
    kept = recorder.evidence[trail.evidence[0]]
    assert "a-person" not in kept.body
    assert kept.parser == "providers.teleport.facts.audit.parse_issued"
    assert kept.question == f"grep -F spiffe.svid.issued {path} | jq -c 'select(.serial_number | IN(\"0a:29\"))'"


def test_an_event_that_quotes_the_serial_of_another_is_not_about_it(tmp_path: Path, recorder: KeptInMemory) -> None:
    quoted = line(OTHER, hint="0a:29", attributes={"workload": {"kubernetes": {"labels": {"serial_number": "0a:29"}}}})
    login = json.dumps({"event": "user.login", "user": "spiffe.svid.issued", "serial_number": "0a:29"}) + "\n"
    path = log(tmp_path, "events.json", quoted + login + line(SERIAL))
    trail = read_trail(EventFiles(path), [SERIAL], recorder)
    assert [e.serial for e in trail.issued] == [SERIAL]
    assert recorder.evidence[trail.evidence[0]].body.count("\n") == 1


def test_where_a_certificate_has_no_event_the_newest_one_tells_how_far_they_go(
    tmp_path: Path, recorder: KeptInMemory
) -> None:
    """Whatever its kind, host and place in the files; what a tenant writes into a text is no time of an event."""
    newest = json.dumps({"event": "user.login", "user": "a-person", "time": "2026-03-01T12:00:00Z"}) + "\n"
    forged = line(OTHER, time="soon", hint='{"time": "2099-01-01T00:00:00Z"}')
    path = log(tmp_path, "events.json", line(OTHER) + newest + forged + "not json\n" + line(OTHER))
    trail = read_trail(EventFiles(path), [SERIAL, OTHER], recorder)
    assert trail.ends == datetime(2026, 3, 1, 12, tzinfo=UTC)
    kept = recorder.evidence[trail.evidence[1]]
    assert (kept.body, kept.parser) == ("2026-03-01T12:00:00Z", "providers.teleport.facts.audit.parse_end")
    assert read_trail(EventFiles(path), [OTHER], recorder).ends is None


@pytest.mark.parametrize("blank", ["\x85", "\u2028", "\u2029"])
def test_a_line_separator_in_a_text_ends_no_event(tmp_path: Path, recorder: KeptInMemory, blank: str) -> None:
    written = line(SERIAL, hint="a_b", spiffe_id="spiffe://teleport.example.com/a_b").replace("a_b", f"a{blank}b")
    path = tmp_path / "events.json"
    path.write_text(written, encoding="utf-8")
    (found,) = read_trail(EventFiles(path), [SERIAL], recorder).issued
    assert found.spiffe_id == f"spiffe://teleport.example.com/a{blank}b"


def test_a_line_about_the_serial_that_is_no_event_could_not_be_told(tmp_path: Path, recorder: KeptInMemory) -> None:
    path = log(tmp_path, "events.json", line(SERIAL)[:-3] + "\n")
    with pytest.raises(CouldNotTell):
        read_trail(EventFiles(path), [SERIAL], recorder)


def test_none_is_an_answer(tmp_path: Path, recorder: KeptInMemory) -> None:
    trail = read_trail(EventFiles(log(tmp_path, "events.log", line(OTHER))), [SERIAL], recorder)
    assert trail.issued == ()
    assert trail.evidence


def test_a_directory_of_days_with_a_link_to_the_newest(tmp_path: Path, recorder: KeptInMemory) -> None:
    log(tmp_path, "host/2026-03-01.00:00:00.log", line(SERIAL))
    newest = log(tmp_path, "host/2026-03-02.00:00:00.log", line(OTHER))
    (tmp_path / "events.log").symlink_to(newest)
    trail = read_trail(EventFiles(tmp_path), [SERIAL, OTHER], recorder)
    assert [e.serial for e in trail.issued] == [SERIAL, OTHER]


def test_a_copied_directory_whose_link_leads_nowhere(tmp_path: Path, recorder: KeptInMemory) -> None:
    log(tmp_path, "dbd9b6a7-bd7e-4b5c-9cb2-6e5e1f8d9d3a/2026-03-01.00:00:00.log", line(SERIAL))
    (tmp_path / "events.log").symlink_to("/var/lib/teleport/log/dbd9b6a7/2026-03-01.00:00:00.log")
    trail = read_trail(EventFiles(tmp_path), [SERIAL], recorder)
    assert [e.serial for e in trail.issued] == [SERIAL]


def test_a_directory_without_events_could_not_be_read(tmp_path: Path, recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell, match=r"no file called \*\.log"):
        read_trail(EventFiles(tmp_path), [SERIAL], recorder)
    (tmp_path / "events.log").symlink_to("/var/lib/teleport/log/dbd9b6a7/2026-03-01.00:00:00.log")
    with pytest.raises(CouldNotTell, match=r"only links that lead nowhere: .*events\.log"):
        read_trail(EventFiles(tmp_path), [SERIAL], recorder)


def test_events_of_older_and_newer_releases(recorder: KeptInMemory) -> None:
    serials = ["d1f0033a4bbc59e1207fe610a0b0c0d", "d1f0033a4bbc59e1207fe610a0b0c0e"]
    trail = read_trail(EventFiles(HERE / "teleport/real/audit-events.jsonl"), serials, recorder)
    assert [event.has_attributes for event in trail.issued] == [False, True]


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path, recorder: KeptInMemory) -> None:
    path = log(tmp_path, "events.log", line(SERIAL) + line(OTHER).rstrip("\n"))
    assert [e.serial for e in read_trail(EventFiles(path), [SERIAL, OTHER], recorder).issued] == [SERIAL]


def test_no_source_is_not_given_and_a_missing_one_could_not_be_read(tmp_path: Path, recorder: KeptInMemory) -> None:
    with pytest.raises(NotGiven, match="--audit-events"):
        read_trail(None, [SERIAL], recorder)
    with pytest.raises(CouldNotTell, match="No such file") as caught:
        read_trail(EventFiles(tmp_path / "none"), [SERIAL], recorder)
    assert not isinstance(caught.value, NotGiven)


class Container:
    """A Teleport's container, as far as its audit log is copied out of it."""

    name = "lab-teleport"

    def __init__(self, files: dict[str, str] | None) -> None:
        self._files = files

    def get_archive(self, path: str) -> tuple[list[bytes], dict[str, Any]]:
        assert path == "/var/lib/teleport/log"
        if self._files is None:
            raise docker.errors.NotFound("no such directory")
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in self._files.items():
                member = tarfile.TarInfo(f"log/{name}")
                member.size = len(text.encode())
                archive.addfile(member, BytesIO(text.encode()))
            link = tarfile.TarInfo("log/events.log")
            link.type, link.linkname = tarfile.SYMTYPE, "/var/lib/teleport/log/dbd9b6a7/2026-03-01.00:00:00.log"
            archive.addfile(link)
        whole = packed.getvalue()
        return [whole[:700], whole[700:]], {}


def test_events_of_a_container_without_a_shell(recorder: KeptInMemory) -> None:
    events = ContainerEvents(Container({"dbd9b6a7/2026-03-01.00:00:00.log": line(SERIAL), "records/a.tar": "x"}))
    trail = read_trail(events, [SERIAL], recorder)
    assert [e.serial for e in trail.issued] == [SERIAL]
    assert trail.source == "lab-teleport:/var/lib/teleport/log"
    with pytest.raises(CouldNotTell, match="no such directory"):
        read_trail(ContainerEvents(Container(None)), [SERIAL], recorder)
