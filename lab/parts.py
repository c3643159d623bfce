"""What a part is, and how those that are not current get built: at most one of each lane at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, get_args

from lab import command, docker
from lab.store import Record, Store, content_key, tree_digest

Lane = Literal["compute", "fetch", "image"]


@dataclass(slots=True)
class Workshop:
    """What the build function of a part works with.

    Attributes:
        output: Empty directory that becomes the part.
        needs: Directories of the parts it needs, by name.
        needed_images: References of the images that each part it needs has left in Docker, by name.
        log: File for what its commands write.
        images: The images it leaves in Docker, reference → id; filled by `image`.
    """

    output: Path
    needs: Mapping[str, Path]
    needed_images: Mapping[str, tuple[str, ...]]
    log: Path
    images: dict[str, str] = field(default_factory=dict)

    def run(self, words: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a command, logged to the part's log; see `lab.command.run`."""
        return command.run(words, log=self.log, cwd=cwd, env=env)

    def image(self, reference: str) -> None:
        """Note that the part has left this image in Docker."""
        self.images[reference] = docker.image_id(reference)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to build.

    Attributes:
        name: Its name, unique.
        version: Version shown to people.
        lane: Parts of one lane are built one after the other, beside those of the other lanes. `compute` parts keep all
            cores busy, `fetch` parts mostly wait for the network, `image` parts for Docker and the disk.
        build: Makes it.
        inputs: Everything its result depends on besides sources and needs: versions, options, texts. JSON-like.
        sources: Files and directories whose content it depends on.
        needs: Names of the parts it is made from.
        recipe: Raised when `build` changes in a way that the other inputs do not show.
    """

    name: str
    version: str
    lane: Lane
    build: Callable[[Workshop], None]
    inputs: object = None
    sources: tuple[Path, ...] = ()
    needs: tuple[str, ...] = ()
    recipe: int = 1


def keys(parts: Sequence[Part]) -> dict[str, str]:
    """Content key of each part, by name; a part comes after those it needs."""
    found: dict[str, str] = {}
    for part in parts:
        sources = [(source.name, tree_digest(source)[0]) for source in part.sources]
        needed = [found[name] for name in part.needs]
        found[part.name] = content_key([part.name, part.version, part.recipe, part.inputs, sources, needed])
    return found


def outdated(parts: Sequence[Part], store: Store) -> list[Part]:
    """The parts that have to be built, in order: inputs changed, files gone, images gone from Docker, or a need rebuilt."""
    found = keys(parts)
    records = {part.name: store.current(part.name, found[part.name]) for part in parts}
    known = docker.image_ids([ref for record in records.values() if record for ref in record.images])
    stale: list[Part] = []
    for part in parts:
        record = records[part.name]
        whole = record is not None and all(known.get(ref) == id_ for ref, id_ in record.images.items())
        if not whole or any(other.name in part.needs for other in stale):
            stale.append(part)
    return stale


class Progress(Protocol):
    """Who is told how a build goes."""

    def planned(self, parts: Sequence[Part]) -> None:
        """These parts are to be built."""

    def started(self, part: Part) -> None:
        """A part is being built."""

    def waiting(self) -> None:
        """Nothing was finished for `QUIET` seconds."""

    def finished(self, part: Part, seconds: float) -> None:
        """A part is done."""


QUIET = 60
"""Seconds without a finished part after which a build says that it goes on."""


def build(parts: Sequence[Part], store: Store, progress: Progress) -> list[Record]:
    """Build what is not current, and return the records of all parts, in order.

    Raises:
        LabError: A part could not be built; those that were finished stay.
    """
    found = keys(parts)
    pending = outdated(parts, store)
    unfinished = {part.name for part in pending}
    running: dict[Future[float], Part] = {}
    progress.planned(tuple(pending))
    with ThreadPoolExecutor(max_workers=len(get_args(Lane))) as pool:
        try:
            while pending or running:
                for part in list(pending):
                    busy = {other.lane for other in running.values()}
                    if part.lane not in busy and not unfinished.intersection(part.needs):
                        pending.remove(part)
                        progress.started(part)
                        running[pool.submit(_build_one, part, found, store)] = part
                done = wait(running, timeout=QUIET, return_when=FIRST_COMPLETED).done
                if not done:
                    progress.waiting()
                for future in done:
                    part = running.pop(future)
                    progress.finished(part, future.result())
                    unfinished.remove(part.name)
        except BaseException:
            command.end_all()
            raise
    records = [store.current(part.name, found[part.name]) for part in parts]
    return [record for record in records if record is not None]


def _build_one(part: Part, found: Mapping[str, str], store: Store) -> float:
    began = time.monotonic()
    log = store.log(part.name)
    log.write_text("", encoding="utf-8")
    with store.drafting(part.name) as draft:
        records = {name: store.current(name, found[name]) for name in part.needs}
        workshop = Workshop(
            output=draft,
            needs={name: store.part_directory(name, found[name]) for name in part.needs},
            needed_images={name: tuple(record.images) for name, record in records.items() if record},
            log=log,
        )
        part.build(workshop)
        seconds = round(time.monotonic() - began, 1)
        if workshop.images:
            digest, size = docker.images_digest(workshop.images.values())
        else:
            digest, size = tree_digest(draft)
        record = Record(part.name, part.version, found[part.name], size, digest, seconds, workshop.images)
        store.commit(draft, record)
    return seconds
