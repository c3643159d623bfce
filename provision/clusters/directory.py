"""The private directory of a kind cluster: its kubeconfig and the files that the suite renders for it."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from pathlib import Path

from facts.errors import BadInput, ProvisioningFailed
from settings import Settings


def directory_of(settings: Settings) -> Path:
    """Return the path of the directory, by the name of the cluster."""
    return settings.cache / "clusters" / settings.kind_name


def kept_kubeconfig(settings: Settings) -> Path | None:
    """Return the kubeconfig of a kept kind cluster, or None if there is none."""
    file = directory_of(settings) / "kubeconfig"
    return file if file.is_file() and file.stat().st_size else None


def must_be_own(cache: Path) -> None:
    """Refuse a cache that others may write to: the suite runs programs from it, and keeps keys of clusters in it.

    Raises:
        BadInput: Its group or everybody may write to it.
    """
    if cache.is_dir() and cache.stat().st_mode & 0o022:
        raise BadInput(
            expected="a cache directory that only its owner may write to",
            seen=f"mode {cache.stat().st_mode & 0o7777:04o}",
            where=str(cache),
            remedy=f"see that nobody has put anything there, then: chmod go-w {shlex.quote(str(cache))};"
            " or name another cache with CONFORMANCE_CACHE",
        )


def make_private(directory: Path) -> None:
    """Make a directory and those above it, as far as they are missing, for their owner alone.

    Raises:
        OSError: One cannot be made.
    """
    for each in reversed((directory, *directory.parents)):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)  # where a file has the name, this says so


def make_directory(directory: Path) -> bool:
    """Make the directory, unless it exists; return True where it did not exist.

    Raises:
        ProvisioningFailed: The directory cannot be made.
    """
    fresh = not directory.exists()
    try:
        make_private(directory)
    except OSError as error:
        raise _no_place(directory, error) from error
    return fresh


def _no_place(directory: Path, error: OSError) -> ProvisioningFailed:
    return ProvisioningFailed(
        expected="a directory for the files of the cluster",
        seen=str(error.strerror or error),
        where=str(directory),
        remedy="free space or rights there, or name another cache with CONFORMANCE_CACHE",
    )


class NameLock:
    """The right to make and remove the kind cluster of a name with its directory, which one process at a time has.

    Two first starts on one name would both take the directory for their own, and the one that fails would remove it. The
    lock ends with the process, however it ends.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Args:
            directory: Directory of the cluster; the lock is a file beside it.

        Raises:
            BadInput: Another process has it.
            ProvisioningFailed: The file cannot be made.
        """
        file = _lock_file(directory)
        try:
            make_private(file.parent)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _no_place(file, error) from error
        try:
            _acquire(self._descriptor, directory)
        except BadInput:
            self.release()
            raise
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()}".encode())

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def must_be_free(directory: Path) -> None:
    """Refuse a name that another process holds, without taking it.

    Raises:
        BadInput: Another process makes or removes the cluster.
    """
    try:
        descriptor = os.open(_lock_file(directory), os.O_RDWR)
    except OSError:  # nobody has ever taken it; where the place cannot be used, whoever takes it says so
        return
    try:
        _acquire(descriptor, directory)
    finally:
        os.close(descriptor)


def _lock_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _acquire(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 100, 0).decode(errors="replace") or "another process"
        raise BadInput(
            expected=f"no other run that makes or removes kind cluster {directory.name}",
            seen=f"{holder} does",
            where=str(_lock_file(directory)),
            remedy="wait until it has ended, or choose another --kind-name",
        ) from error


def remove_directory(directory: Path) -> None:
    """Remove the directory with all its files; nothing happens if it does not exist.

    Raises:
        ProvisioningFailed: A file cannot be removed.
    """
    if not directory.exists():
        return
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise ProvisioningFailed(
            expected="to remove the files of the cluster",
            seen=str(error.strerror or error),
            where=str(error.filename or directory),
            remedy="remove them by hand",
        ) from error
