"""What the lab needs of the machine: commands, room on the disk, and a Docker daemon, which it starts where none answers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lab import docker
from lab.command import answers, run
from lab.errors import LabError
from lab.recipes import ARCHIVE_KEYRING
from lab.versions import Versions

COLD_BUILD_GIB = 20
"""Free disk space that a build from nothing needs, Go's own caches included."""

INOTIFY_INSTANCES = 1024
"""Enough for several clusters at a time: one of two nodes takes about fifty, and the usual limit is 128.

Where none is left, the systemd of a node ends as soon as it starts.
"""

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")

# For the Docker daemon to answer, or to be gone.
_DAEMON_SECONDS = 30.0

# Debian package → commands and files that it is wanted for.
_PACKAGES: dict[str, tuple[str | Path, ...]] = {
    "docker.io": ("docker", "dockerd", "runc"),
    "debootstrap": ("debootstrap",),
    "gpgv": ("gpgv",),
    "debian-archive-keyring": (ARCHIVE_KEYRING,),
    "iptables": ("iptables",),
    "iproute2": ("ip",),
}

Say = Callable[[str], None]


class Host:
    """This machine, with what the lab keeps of it below its cache directory.

    Args:
        cache: The cache directory; the daemon's data, log and process id are kept in it.
        say: Told in a sentence whatever is changed on the machine.
        inotify: Where the kernel has its limit of inotify instances for each user.
    """

    def __init__(self, cache: Path, say: Say, inotify: Path = _INOTIFY) -> None:
        self._cache = cache
        self._say = say
        self._pid_file = cache / "dockerd.pid"
        self._log = cache / "dockerd.log"
        self._inotify = inotify
        self._inotify_before = cache / "inotify.before"
        self.docker_data = cache / "docker"

    def own_daemon(self) -> int | None:
        """Process id of the Docker daemon that the lab started, if it runs."""
        try:
            pid = int(self._pid_file.read_text(encoding="utf-8"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # After a reboot the number may be another program's.
        return pid if str(self.docker_data).encode() in words else None

    def ensure_docker(self, runtime: Callable[[], Path]) -> None:
        """Make sure that a Docker daemon answers; one that already does is never touched.

        Args:
            runtime: Returns the wrapper around runc; called only if a daemon has to be started.

        Raises:
            LabError: None answers and none can be started here.
        """
        if shutil.which("docker") and docker.reachable():
            return
        if address := os.environ.get("DOCKER_HOST"):
            raise LabError(
                f"expected Docker to answer at DOCKER_HOST={address}, it does not. Start that daemon, or unset "
                "DOCKER_HOST to let the lab use this machine's own."
            )
        if os.geteuid() != 0:
            raise LabError(
                "expected a Docker daemon that this user may use, none answers. Start Docker and add yourself to its "
                "group, or run this command as root on Debian or Ubuntu, which installs and starts one."
            )
        self.install(["docker.io", "iptables", "iproute2"])
        if docker.reachable():  # the package itself has started it, where there is an init system
            return
        self._start_daemon(runtime())

    def _start_daemon(self, runtime: Path) -> None:
        # The daemon uses this file as long as it lives, longer than the part it came from may.
        wrapper = self._cache / "runcw"
        draft = wrapper.with_suffix(".draft")
        shutil.copy2(runtime, draft)
        draft.replace(wrapper)
        command = ["dockerd", "--data-root", str(self.docker_data)]
        command += ["--add-runtime", f"runcw={wrapper}", "--default-runtime", "runcw"]
        self._say(f"starting a Docker daemon: {' '.join(command)}")
        with self._log.open("ab") as log:
            daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self._pid_file.write_text(f"{daemon.pid}\n", encoding="utf-8")
        if not _await(lambda: docker.reachable() or daemon.poll() is not None) or daemon.poll() is not None:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])
            raise LabError(f"expected dockerd to answer, it does not. The end of {self._log}:\n{last}")

    def stop_own_daemon(self) -> bool:
        """Stop the daemon that the lab started; False if there is none.

        Raises:
            LabError: It is still there after half a minute.
        """
        pid = self.own_daemon()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        if not _await(lambda: self.own_daemon() is None):
            raise LabError(f"expected dockerd (process {pid}) to stop within {_DAEMON_SECONDS:.0f} s, it does not")
        self._pid_file.unlink(missing_ok=True)
        return True

    def ensure_inotify(self) -> None:
        """Raise the limit of inotify instances where the lab's own daemon runs; elsewhere say what to type."""
        limit = int(self._inotify.read_text(encoding="ascii"))
        if limit >= INOTIFY_INSTANCES:
            return
        setting = f"fs.inotify.max_user_instances={INOTIFY_INSTANCES}"
        reason = f"for more than one cluster at a time; it was {limit}"
        if self.own_daemon() is not None:
            try:
                self._inotify.write_text(f"{INOTIFY_INSTANCES}\n", encoding="ascii")
            except OSError as error:
                self._say(f"could not set {setting} ({error.strerror}), {reason}")
            else:
                self._inotify_before.write_text(f"{limit}\n", encoding="ascii")
                self._say(f"set {setting}, {reason}")
            return
        self._say(
            f"this machine has fs.inotify.max_user_instances={limit}; for more than one cluster at a time type: "
            f"sudo sysctl -w {setting}"
        )

    def remains(self) -> list[str]:
        """What the lab has changed on this machine and not undone, each in a sentence with the command that undoes it."""
        found = []
        pid = self.own_daemon()
        if pid is not None:
            found.append(
                f"the Docker daemon that the lab started still runs as root (process {pid}). To stop it, with all clusters"
                f" in it, type: kill {pid}; to remove its images and data as well: python -m lab clean --docker"
            )
        before = self._limit_before()
        if before is not None:
            found.append(
                f"the lab raised fs.inotify.max_user_instances from {before} to {INOTIFY_INSTANCES}, until the next reboot."
                f" To set it back, type: sysctl -w fs.inotify.max_user_instances={before}"
            )
        return found

    def _limit_before(self) -> int | None:
        """The limit of inotify instances before the lab raised it; None where it has not, or somebody changed it since."""
        try:
            before, now = (int(file.read_text(encoding="ascii")) for file in (self._inotify_before, self._inotify))
        except (OSError, ValueError):
            return None
        return before if now == INOTIFY_INSTANCES else None

    def install(self, packages: Iterable[str]) -> None:
        """Install those of the packages whose commands or files are missing.

        Raises:
            LabError: Not root, or not a Debian-like system; says what to type there.
        """
        missing = [name for name in packages if not all(map(_found, _PACKAGES[name]))]
        if not missing:
            return
        names = " ".join(missing)
        release = Path("/etc/os-release")
        debian = release.is_file() and re.search(r"^ID(_LIKE)?=.*debian", release.read_text(), flags=re.MULTILINE)
        if not debian or not _found("apt-get"):
            raise LabError(f"expected {names} on this machine. Install them with its package manager and try again.")
        if os.geteuid() != 0:
            raise LabError(f"expected {names} on this machine. Type: sudo apt-get install {names}")
        self._say(f"installing {names} with apt-get")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update"], log=self._log, env=environment)
        run(["apt-get", "install", "--yes", "--no-install-recommends", *missing], log=self._log, env=environment)

    def require_for_build(self, versions: Versions, parts: Iterable[str]) -> None:
        """Check what building these parts needs, before minutes are spent on them.

        Raises:
            LabError: Names what is missing and what to type.
        """
        names = set(parts)
        if any(name.endswith("-rootfs") for name in names):
            if os.geteuid() != 0:
                raise LabError("expected root: debootstrap makes the lab's images. What to do: run it with sudo.")
            self.install(["debootstrap", "gpgv", "debian-archive-keyring"])
        istio = {edition.part("istio") for edition in (versions.istio, versions.istio_older)}
        taken = {e.part(name) for e in (versions.istio, versions.istio_older) for name in ("gateway-api", "istio-charts")}
        if names & {"tools", "kind", "helm", "coredns", "kubernetes", *istio, *taken}:
            _require_go(versions.go)
        if names & {"kubernetes", *istio}:
            self._require_room()

    def _require_room(self) -> None:
        free = shutil.disk_usage(self._cache).free / 2**30
        if free < COLD_BUILD_GIB:
            raise LabError(
                f"expected {COLD_BUILD_GIB} GiB free for a build from nothing, {self._cache} has {free:.1f} GiB. "
                "Make room, or set CONFORMANCE_CACHE to a directory on a larger disk."
            )


def _await(condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds; False if it does not in time."""
    deadline = time.monotonic() + _DAEMON_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _found(wanted: str | Path) -> bool:
    if isinstance(wanted, Path):
        return wanted.is_file()
    # Ordinary users often have no sbin in PATH.
    return shutil.which(wanted, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is not None


def _require_go(wanted: str) -> None:
    advice = f"Install Go {wanted} or newer and put its bin directory in PATH."
    if not answers(["go", "version"]):
        raise LabError(f"expected Go {wanted} or newer to compile the lab, there is no `go` command. {advice}")
    seen = run(["go", "env", "GOVERSION"], env={**os.environ, "GOTOOLCHAIN": "local"}).strip()
    numbers = re.match(r"go(\d+)\.(\d+)", seen)
    if numbers is None or tuple(map(int, numbers.groups())) < tuple(map(int, wanted.split(".")[:2])):
        raise LabError(f"expected Go {wanted} or newer to compile the lab, `go` is {seen}. {advice}")
