"""The private directory of a kind cluster: its kubeconfig and the files that the suite renders for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from facts.errors import ProvisioningFailed
from settings import Settings


def directory_of(settings: Settings) -> Path:
    """Return the path of the directory, by the name of the cluster."""
    return settings.cache / "clusters" / settings.kind_name


def kept_kubeconfig(settings: Settings) -> Path | None:
    """Return the kubeconfig of a kept kind cluster, or None if there is none."""
    file = directory_of(settings) / "kubeconfig"
    return file if file.is_file() and file.stat().st_size else None


def make_directory(directory: Path) -> bool:
    """Make the directory, unless it exists; return True where it did not exist.

    Raises:
        ProvisioningFailed: The directory cannot be made.
    """
    fresh = not directory.exists()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ProvisioningFailed(
            expected="a directory for the files of the cluster",
            seen=str(error.strerror or error),
            where=str(directory),
            remedy="free space or rights there, or name another cache with CONFORMANCE_CACHE",
        ) from error
    return fresh


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
