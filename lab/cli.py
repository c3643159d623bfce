"""The command line of the lab: `python -m lab build | charts | status | host | remains | clean | pin`."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from lab import bundle, docker, pins
from lab.charts import prepared
from lab.command import end_all
from lab.errors import LabError
from lab.host import Host
from lab.parts import build as build_parts
from lab.parts import keys, outdated
from lab.progress import Display
from lab.recipes import tools_part
from lab.store import Store, cache_directory
from lab.versions import Istio, Versions, load

app = typer.Typer(
    help="A real kind cluster with Istio, built without a container registry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_out = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)


def _say(text: str) -> None:
    _out.print(text, soft_wrap=True, markup=False)


Edition = Annotated[
    Literal["default", "older"],
    typer.Option(
        "--istio", envvar="CONFORMANCE_ISTIO", help="With which Istio; the older one comes on top of the default one."
    ),
]


def _store() -> Store:
    """The cache, which must be safe to run programs from."""
    store = Store(cache_directory())
    store.must_be_own()
    return store


def _chosen(versions: Versions, edition: str) -> Istio:
    return versions.istio_older if edition == "older" else versions.istio


@app.command()
def build(edition: Edition = "default") -> None:
    """Build what is missing or out of date, and describe the result in bundle/bundle.json of the cache."""
    versions, store = load(), _store()
    istio = _chosen(versions, edition)
    parts = bundle.all_parts(versions, istio, store)
    began = time.monotonic()
    with store.lock("build", _say):
        host = Host(store.directory, _say)
        _ensure_docker(host, versions, store)
        stale = outdated(parts, store)
        if not stale and bundle.is_current(parts, istio, store):
            _say(f"nothing to build; {bundle.bundle_file(istio, store)}")
            return
        host.require_for_build(versions, [part.name for part in stale])
        store.sweep()
        with Display(_out) as display:
            records = build_parts(parts, store, display)
        written = bundle.write(versions, istio, records, store)
        docker.remove_untagged()
    _say(f"built {len(stale)} of {len(parts)} parts in {time.monotonic() - began:.0f} s; {written}")


@app.command()
def charts() -> None:
    """Build Helm and take out Istio's charts, which no cluster of the lab needs; say where they are."""
    with Display(_out) as display:
        found = prepared(load(), _store(), display, _say)
    _say(f"helm: {found.helm}\ncharts: {found.directory}")


@app.command()
def host() -> None:
    """Make sure that a Docker daemon answers; on Debian or Ubuntu, as root, install and start one if none does."""
    versions, store = load(), _store()
    machine = Host(store.directory, _say)
    _ensure_docker(machine, versions, store)
    machine.ensure_inotify()


def _ensure_docker(host: Host, versions: Versions, store: Store) -> None:
    part = tools_part(versions)

    def runtime() -> Path:
        if outdated([part], store):
            host.require_for_build(versions, [part.name])
            with Display(_out) as display:
                build_parts([part], store, display)
        return store.part_directory(part.name, keys([part])[part.name]) / "runcw"

    if not docker.reachable():
        with store.lock("host", _say):
            host.ensure_docker(runtime)


@app.command()
def remains() -> None:
    """Say what the lab has left running or changed on this machine, with the commands that undo it."""
    for sentence in Host(cache_directory(), _say).remains():
        _say(f"note: {sentence}")


@app.command()
def status(edition: Edition = "default") -> None:
    """List every part with its version, size, SHA-256 and state."""
    versions, store = load(), _store()
    istio = _chosen(versions, edition)
    parts = bundle.all_parts(versions, istio, store)
    stale = {part.name for part in outdated(parts, store)}
    found = keys(parts)
    table = Table("part", "version", "size", "sha256", "seconds", "state", box=None, pad_edge=False)
    for part in parts:
        record = store.record(part.name)
        if record is None:
            table.add_row(part.name, part.version, "", "", "", "not built")
            continue
        state = "ready"
        if part.name in stale:
            state = "inputs changed" if record.key != found[part.name] else "to be rebuilt"
        size = f"{record.size / 2**20:.0f} MiB"
        table.add_row(part.name, record.version, size, record.sha256[:16], f"{record.seconds:.0f}", state)
    _out.print(table)
    whole = not stale and bundle.is_current(parts, istio, store)
    _say(f"cache: {store.directory}")
    _say(f"Docker: {'answers' if docker.reachable() else 'does not answer (type: python -m lab host)'}")
    older = " --istio older" if istio.edition else ""
    _say(f"bundle: {bundle.bundle_file(istio, store) if whole else f'not up to date (type: python -m lab build{older})'}")


@app.command()
def clean(
    with_docker: Annotated[
        bool,
        typer.Option("--docker", help="Also stop the Docker daemon that the lab started, and remove its data."),
    ] = False,
) -> None:
    """Remove everything that was built from the cache."""
    store = _store()
    with store.lock("build", _say):
        freed = bundle.remove(store)
        if with_docker:
            freed += _remove_docker(Host(store.directory, _say))
    _say(f"freed {freed / 2**30:.1f} GiB in {store.directory}")
    if not with_docker and docker.reachable():
        _say("the images are still in Docker; `python -m lab clean --docker` removes them if the lab started it")


def _remove_docker(host: Host) -> int:
    if not host.stop_own_daemon():
        _say("no Docker daemon of the lab is running; one that it did not start is left alone")
        return 0
    freed = sum(p.lstat().st_size for p in host.docker_data.rglob("*") if p.is_file() and not p.is_symlink())
    shutil.rmtree(host.docker_data, ignore_errors=True)
    _say("stopped the lab's Docker daemon and removed its data")
    return freed


@app.command()
def pin() -> None:
    """Write go.mod, go.sum and the Python lock files anew from provision/versions.yaml."""
    versions = load()
    for path in [*pins.write_modules(versions), *pins.write_locks(versions)]:
        _say(f"wrote {path}")


class _InterruptedError(LabError):
    """Somebody asked the command to end."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and a request to terminate end the commands that are running, too."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise _InterruptedError("interrupted; what was finished stays, the next build goes on from there")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        end_all()
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command line; a problem is one message on standard error and exit code 1, an interruption 130."""
    try:
        with _interruptible():
            app()
    except LabError as error:
        _errors.print(f"lab: {error}", soft_wrap=True, markup=False)
        sys.exit(130 if isinstance(error, _InterruptedError) else 1)
    except OSError as error:
        where = cache_directory()
        free = f"{shutil.disk_usage(where).free / 2**30:.1f} GiB are free there" if where.exists() else "it is not there"
        _errors.print(f"lab: {error}. The lab works in {where}; {free}.", soft_wrap=True, markup=False)
        sys.exit(1)
