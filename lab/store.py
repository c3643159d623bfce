"""The cache: finished parts under their content keys, records of what they hold, and the lock of who builds.

Layout below the cache directory:
    parts/<name>/<key>/     a finished part; appears by one rename, so it is whole or absent
    records/<name>.json     what the newest build of the part was
    tmp/                    parts being built; whatever is there when nobody builds is rubbish
    logs/<name>.log         what the commands of the newest build of the part wrote
    debs/                   Debian packages, kept between builds
    bundle/                 the result, see lab.bundle
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from lab.errors import LabError


def cache_directory() -> Path:
    """Where everything built lives: `CONFORMANCE_CACHE`, else the user's cache directory."""
    if chosen := os.environ.get("CONFORMANCE_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "istio-teleport-conformance"


@dataclass(frozen=True, slots=True)
class Record:
    """What one finished part is.

    Attributes:
        name: Name of the part.
        version: Version shown to people.
        key: SHA-256 over its inputs.
        size: Bytes, of its files or of its images as Docker counts them.
        sha256: SHA-256 over its files (path and content), or over the ids of its images.
        seconds: How long it took to build.
        images: Image reference → image id, of the images it left in Docker.
    """

    name: str
    version: str
    key: str
    size: int
    sha256: str
    seconds: float
    images: dict[str, str] = field(default_factory=dict)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(path: Path) -> tuple[str, int]:
    """SHA-256 over the relative path, the executable bit and the content of every file below `path`, and their total size.

    A file stands for itself. Python's compiled files are left out.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
    digest, size = hashlib.sha256(), 0
    for file in files:
        name = file.name if file == path else file.relative_to(path).as_posix()
        digest.update(f"{name}\0{os.access(file, os.X_OK)}\0{file_digest(file)}\n".encode())
        size += file.stat().st_size
    return digest.hexdigest(), size


def content_key(inputs: object) -> str:
    """Key of a part whose inputs are this JSON-like value; the machine's architecture is always one of them."""
    text = json.dumps([platform.machine(), inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """The parts below one cache directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def must_be_own(self) -> None:
        """Refuse a cache that others may write to: what lies in it is run, often by root.

        Raises:
            LabError: Its group or everybody may write to it.
        """
        if self.directory.is_dir() and (mode := self.directory.stat().st_mode) & 0o022:
            raise LabError(
                f"expected a cache that only its owner may write to, {self.directory} has mode {mode & 0o7777:04o}. See that"
                f" nobody has put anything there, then type: chmod go-w {shlex.quote(str(self.directory))}; or set"
                " CONFORMANCE_CACHE to another directory."
            )

    def part_directory(self, name: str, key: str) -> Path:
        """Where the files of a finished part are."""
        return self.directory / "parts" / name / key[:16]

    def log(self, name: str) -> Path:
        """Where the commands of a part write what they have to say."""
        path = self.directory / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def record(self, name: str) -> Record | None:
        """The record of the newest finished build of a part; None if there is none, or one of another format."""
        try:
            return Record(**json.loads(self._record_file(name).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _record_file(self, name: str) -> Path:
        return self.directory / "records" / f"{name}.json"

    def current(self, name: str, key: str) -> Record | None:
        """The record of the part if it was built from inputs with this key and its files are there."""
        record = self.record(name)
        if record is None or record.key != key or not self.part_directory(name, key).is_dir():
            return None
        return record

    @contextmanager
    def drafting(self, name: str) -> Iterator[Path]:
        """An empty directory for a part that is being built; removed at the end if it was not committed."""
        place = self.directory / "tmp"
        place.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
        draft.chmod(0o755)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def commit(self, draft: Path, record: Record) -> None:
        """Make a draft the finished part that the record describes; older builds of the part are removed."""
        target = self.part_directory(record.name, record.key)
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(target)
        write_json(self._record_file(record.name), asdict(record))
        for other in target.parent.iterdir():
            if other != target:
                shutil.rmtree(other)

    def sweep(self) -> None:
        """Remove what a build that was killed left behind; only for the holder of the lock."""
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)

    @contextmanager
    def lock(self, purpose: str, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the cache's lock named `purpose`.

        While another process has it, waits, after `waiting` was told in a sentence who is waited for.

        Raises:
            LabError: The cache directory cannot be written.
        """
        path = self.directory / f"{purpose}.lock"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stream = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise LabError(
                f"expected to write the cache at {self.directory}, but: {error.strerror}. "
                "Set CONFORMANCE_CACHE to a directory that can be written."
            ) from error
        with stream:
            _acquire(stream, purpose, waiting)
            stream.truncate(0)
            stream.write(f"process {os.getpid()}, since {time.strftime('%H:%M:%S')}")
            stream.flush()
            yield


def _acquire(stream: IO[str], purpose: str, waiting: Callable[[str], None]) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        waiting(f"another `{purpose}` is under way ({stream.read() or 'just started'}); waiting for it")
        fcntl.flock(stream, fcntl.LOCK_EX)


def write_json(path: Path, document: object) -> None:
    """Write a JSON file so that a reader sees the old content or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    draft.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)
