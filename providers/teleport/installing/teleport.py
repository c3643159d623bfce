"""Teleport clusters for the suite's resources: one of its own in a container, or an existing one through an admin tctl."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import socket
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import docker
import docker.errors
import yaml
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from facts.errors import BadInput, CouldNotTell, ProvisioningFailed
from facts.kubernetes import remains
from facts.recorder import KeptInMemory
from observe.command import CommandResult, run
from observe.wait import NotYet, Pace, eventually, not_yet
from providers.teleport.observe.session import TeleportSession
from provision.clusters.remedies import FIND_IMAGES, START_DOCKER, remedy_for
from provision.names import CA_FILE
from provision.objects import RUN_LABEL
from provision.render import MANIFESTS, documents

CLUSTER_LABEL = remains.CLUSTER_LABEL
"""Label of containers; its value is the name of the kind cluster that they belong to."""

PROXY_PORT = 3080
CONFIG_FILE = "/etc/teleport.yaml"
"""Default path of the configuration for both teleport and tctl."""

DOCKER_SECONDS = 30
"""Seconds to wait for an answer of Docker; a busy machine needs several."""

# The reaper of testcontainers is another image to pull; the suite labels its containers with the run instead.
testcontainers_config.ryuk_disabled = True


class TeleportCluster(Protocol):
    """A Teleport cluster in which the suite can make resources."""

    @property
    def cluster_name(self) -> str:
        """Name of the cluster, and so the trust domain of the identities that it issues."""

    @property
    def proxy(self) -> str:
        """HOST:PORT at which this machine reaches its proxy."""

    @property
    def proxy_for_pods(self) -> str:
        """HOST:PORT at which pods reach its proxy."""

    @property
    def insecure(self) -> bool:
        """True where clients must not verify the certificate of its proxy."""

    @property
    def ca(self) -> Path | None:
        """File with the certificates to verify it with; None for the system's."""

    @property
    def is_own(self) -> bool:
        """True where the suite started it, so that every resource in it is the suite's."""

    @property
    def command(self) -> tuple[str, ...]:
        """Command of a tctl with admin rights."""

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Run tctl with admin rights; a non-zero exit code is an answer.

        Raises:
            CouldNotTell: tctl could not be started or did not exit in time.
        """


def config(cluster_name: str) -> dict[str, Any]:
    """Return the configuration of a Teleport of the suite's own."""
    return documents(MANIFESTS / "teleport" / "teleport.yaml", {"TRUST_DOMAIN": cluster_name})[0]


class TeleportContainer(DockerContainer):  # type: ignore[misc] # testcontainers' types are not followed
    """A Teleport of the suite's own, with its proxy on a free port of the loopback address."""

    def __init__(self, image: str, *, name: str, cluster_name: str, labels: dict[str, str]) -> None:
        """Prepare the container, without starting it.

        Args:
            image: Image of Teleport or of the stand-in.
            name: Name of the container.
            cluster_name: Name of the Teleport cluster.
            labels: Labels of the container.
        """
        super().__init__(image)
        self.with_name(name)
        self.with_kwargs(entrypoint=["/usr/local/bin/teleport"], labels=labels)
        self.with_command(["start", "-c", CONFIG_FILE])
        self.with_copy_into_container(yaml.safe_dump(config(cluster_name)).encode(), CONFIG_FILE)
        # A port that Docker chooses changes when the container joins kind's network; a port that the suite names stays.
        self.ports[f"{PROXY_PORT}/tcp"] = ("127.0.0.1", _free_port())


AUDIT_LOG = "/var/lib/teleport/log"
"""Directory of the audit log: one file for each day, and ``events.log``, a link to the newest."""

CERTIFICATE = "/var/lib/teleport/webproxy_cert.pem"
"""The self-signed certificate that Teleport makes for its proxy at its first start, and uses again at later ones."""


def _files(container: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Copy a file, or those below a directory, out of a container whose image may have no program to print them.

    Raises:
        docker.errors.DockerException: Docker does not answer, or there is no such path.
        tarfile.TarError: Docker's answer is damaged.
    """
    stream, _stat = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        for member in sorted((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.name):
            opened = archive.extractfile(member)
            assert opened is not None  # noqa: S101 - a regular file has content
            yield member.name, opened.read()


@dataclass(frozen=True, slots=True)
class ContainerEvents:
    """Audit events of a Teleport in a container.

    Attributes:
        container: Container of Docker's client.
    """

    container: Any

    @property
    def name(self) -> str:
        """The directory in the notation of ``docker cp``."""
        return f"{self.container.name}:{AUDIT_LOG}"

    def lines(self) -> Iterator[str]:
        """Yield all lines, oldest file first.

        Raises:
            CouldNotTell: Docker does not return them.
        """
        try:
            for name, content in _files(self.container, AUDIT_LOG):
                if name.endswith(".log"):
                    yield from io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="replace")
        except (docker.errors.DockerException, tarfile.TarError, OSError) as error:
            raise CouldNotTell(
                expected="Teleport's audit log",
                seen=f"{type(error).__name__}: {error}",
                where=self.name,
                remedy="check whether Docker and the container run: docker ps",
            ) from error


@dataclass(frozen=True, slots=True)
class OwnTeleport:
    """A Teleport in a container of this run or of a kept cluster.

    Attributes:
        container: Container of Docker's client.
        cluster_name: Name of the Teleport cluster.
        proxy: HOST:PORT of the proxy on this machine.
        timeout: Seconds for one tctl command.
        ca: File with its self-signed certificate, out of the container.
        is_own: True.
    """

    container: Any
    cluster_name: str
    proxy: str
    timeout: float
    ca: Path
    is_own: ClassVar[bool] = True

    @property
    def insecure(self) -> bool:
        """False: its own certificate verifies it."""
        return False

    @property
    def proxy_for_pods(self) -> str:
        """The public address, which pods resolve through a host alias."""
        return f"{self.cluster_name}:{PROXY_PORT}"

    @property
    def command(self) -> tuple[str, ...]:
        """Command of the tctl in the container, which has admin rights there."""
        return ("docker", "exec", "-i", str(self.container.name), "/usr/local/bin/tctl")

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Run the tctl in the container."""
        return run([*self.command, *argv], timeout=self.timeout, stdin=stdin)

    def join_network(self, name: str, pace: Pace) -> str:
        """Connect the container to a Docker network, once that exists, and return its address there.

        Raises:
            CouldNotTell: The network did not appear in time.
        """

        def look() -> str:
            self.container.reload()
            joined = self.container.attrs["NetworkSettings"]["Networks"]
            if name not in joined:
                try:
                    self.container.client.networks.get(name).connect(self.container)
                except docker.errors.NotFound as error:
                    raise NotYet("there is no such network") from error
                raise NotYet("it has just been connected")
            address = str(joined[name]["IPAddress"])
            if not address:
                raise NotYet("it has no address there")
            return address

        return eventually(f"Teleport's container is on Docker's network {name}", look, pace, remedy="docker network ls")

    def remove(self) -> None:
        """Remove the container and its data."""
        with _docker_failures(f"container {self.container.name}"):
            self.container.remove(force=True, v=True)


@dataclass(frozen=True, slots=True)
class ExistingTeleport:
    """A Teleport that was there before the suite.

    Attributes:
        cluster_name: Name that its ping endpoint returns.
        proxy: HOST:PORT of its proxy.
        insecure: True where the user asked not to verify the proxy's certificate.
        command: Command of the admin's tctl.
        timeout: Seconds for one tctl command.
        ca: File with the certificates that the user gave to verify it with; None for the system's.
        is_own: False.
    """

    cluster_name: str
    proxy: str
    insecure: bool
    command: tuple[str, ...]
    timeout: float
    ca: Path | None = None
    is_own: ClassVar[bool] = False

    @property
    def proxy_for_pods(self) -> str:
        """The same address as on this machine."""
        return self.proxy

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Run the user's tctl command."""
        return run([*self.command, *argv], timeout=self.timeout, stdin=stdin)


EXISTING = "existing-teleport.json"
"""File in the directory of a kind cluster that names the existing Teleport in which the suite made resources for it."""


def note_existing(directory: Path, authority: ExistingTeleport) -> None:
    """Note the Teleport in which the suite will make resources, so that a later process can remove them."""
    (directory / EXISTING).write_text(json.dumps(asdict(authority), default=str), encoding="utf-8")


def noted_existing(directory: Path, *, command_timeout: float) -> ExistingTeleport | None:
    """Return the existing Teleport in which the suite made resources for a kind cluster, or None.

    Raises:
        ProvisioningFailed: The note cannot be read.
    """
    file = directory / EXISTING
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        ca = Path(noted["ca"]) if noted.get("ca") else None
        return ExistingTeleport(**{**noted, "command": tuple(noted["command"]), "timeout": command_timeout, "ca": ca})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ProvisioningFailed(
            expected="a readable note of the Teleport in which the suite made resources",
            seen=f"{type(error).__name__}: {error}",
            where=str(file),
            remedy=f"remove role, bot, workload identity and token labelled {RUN_LABEL} by hand, then this file",
        ) from error


def docker_must_answer() -> None:
    """Check that Docker answers.

    Raises:
        ProvisioningFailed: Docker does not run, or this user may not use it.
    """
    try:
        with contextlib.closing(docker.from_env(timeout=DOCKER_SECONDS)) as client:
            client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise ProvisioningFailed(
            expected="Docker to answer",
            seen=str(error),
            where=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"),
            remedy=START_DOCKER,
        ) from error


def start(
    image: str,
    *,
    kind_name: str,
    run_id: str,
    cluster_name: str,
    pace: Pace,
    command_timeout: float,
    directory: Path,
) -> OwnTeleport:
    """Start a Teleport of the suite's own and wait until its proxy answers under the right name.

    Args:
        image: Image of Teleport or of the stand-in.
        kind_name: Kind cluster that it belongs to.
        run_id: Id of this run.
        cluster_name: Name of the Teleport cluster.
        pace: Pace of the wait for its first answer.
        command_timeout: Seconds for one tctl command later.
        directory: Private directory of the kind cluster, for the certificate.

    Raises:
        ProvisioningFailed: Docker refused, or the container exited; `seen` has the end of its log.
        CouldNotTell: It did not answer in time.
    """
    name = f"{kind_name}-teleport-{run_id}"
    labels = {RUN_LABEL: run_id, CLUSTER_LABEL: kind_name}
    with _docker_failures(f"container {name}, image {image}"):
        container = TeleportContainer(image, name=name, cluster_name=cluster_name, labels=labels)
        try:
            container.start()
            return _awaited(container.get_wrapped_container(), cluster_name, pace, command_timeout, directory)
        except BaseException:
            container.stop()
            raise


def find(kind_name: str, *, cluster_name: str, pace: Pace, command_timeout: float, directory: Path) -> OwnTeleport | None:
    """Return the running Teleport of a kept cluster, or None; arguments as for `start`."""
    with _docker_failures("docker ps"):
        found = docker.from_env().containers.list(filters={"label": f"{CLUSTER_LABEL}={kind_name}"})
    return _awaited(found[0], cluster_name, pace, command_timeout, directory) if found else None


def remove_all(kind_name: str) -> None:
    """Remove every container that belongs to a kind cluster, running or not.

    Raises:
        ProvisioningFailed: Docker refused.
    """
    with _docker_failures("docker rm"):
        for container in docker.from_env().containers.list(all=True, filters={"label": f"{CLUSTER_LABEL}={kind_name}"}):
            container.remove(force=True, v=True)


def connect(
    command: str, proxy: str, *, insecure: bool, ca: Path | None, pace: Pace, command_timeout: float
) -> ExistingTeleport:
    """Return an existing Teleport, reached through the user's tctl command and its proxy.

    Raises:
        CouldNotTell: The proxy does not answer.
    """
    name = eventually(
        f"Teleport's proxy at {proxy} answers", lambda: ping(proxy, insecure=insecure, ca=ca), pace,
        remedy="check --teleport-proxy, and --teleport-ca for a certificate that this machine does not know",
    )  # fmt: skip
    return ExistingTeleport(name, proxy, insecure, tuple(shlex.split(command)), command_timeout, ca)


def ping(proxy: str, *, insecure: bool = False, ca: Path | None = None, timeout: float = 2) -> str:
    """Return the cluster name from a proxy's public ping endpoint.

    Args:
        proxy: HOST:PORT.
        insecure: Do not verify its certificate.
        ca: Certificates to verify it with; the system's where None is given.
        timeout: Seconds.

    Raises:
        NotYet: The proxy returns no name.
        BadInput: The address, or the file of certificates, cannot be used.
    """
    session = TeleportSession(proxy, recorder=KeptInMemory(), timeout=timeout, insecure=insecure, ca=ca)
    try:
        return session.ping().cluster_name
    except CouldNotTell as error:
        raise NotYet(f"expected {error.expected}, saw {error.seen}") from error


def _free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _awaited(container: Any, cluster_name: str, pace: Pace, command_timeout: float, directory: Path) -> OwnTeleport:
    """Return the Teleport in a started container, as soon as its proxy answers under the right name."""
    ca = directory / CA_FILE

    def look() -> str:
        container.reload()
        if container.status != "running":
            raise ProvisioningFailed(
                expected="a running Teleport",
                seen=f"its container is {container.status}: {container.logs(tail=15).decode(errors='replace').strip()}",
                where=f"container {container.name}",
                remedy="read the end of Teleport's log",
            )
        bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{PROXY_PORT}/tcp")
        if not bindings:
            raise NotYet("its port is not published yet")
        # The certificate has this name, and not always the address.
        proxy = f"localhost:{bindings[0]['HostPort']}"
        _take_certificate(container, ca)
        with not_yet(BadInput):  # half of a certificate
            name = ping(proxy, ca=ca)
        if name != cluster_name:
            raise ProvisioningFailed(
                expected=f"a Teleport called {cluster_name}",
                seen=f"one called {name}",
                where=f"container {container.name}",
                remedy="remove the kept cluster with `conformance down`, or give the --trust-domain of that cluster",
            )
        return proxy

    proxy = eventually("Teleport answers its ping endpoint", look, pace, remedy=f"docker logs {container.name}")
    return OwnTeleport(container, cluster_name, proxy, command_timeout, ca)


def _take_certificate(container: Any, file: Path) -> None:
    """Copy the certificate of a Teleport out of its container: Docker says whose it is, not the program that answers.

    Raises:
        NotYet: Teleport has not made it.
    """
    try:
        ((_name, certificate),) = _files(container, CERTIFICATE)
    except docker.errors.NotFound as error:
        raise NotYet("it has no certificate yet") from error
    if not certificate:
        raise NotYet("its certificate is still being written")
    file.write_bytes(certificate)


@contextlib.contextmanager
def _docker_failures(where: str) -> Iterator[None]:
    """Turn an exception of Docker's client into an error with a remedy."""
    try:
        yield
    except (docker.errors.DockerException, OSError) as error:
        # A registry that cannot be reached is a server error of Docker's pull.
        if isinstance(error, docker.errors.ImageNotFound) or "images/create" in str(error):
            expected, seen, remedy = "the image of Teleport", str(error), FIND_IMAGES
        else:
            expected, seen = "Docker to accept the request", f"{type(error).__name__}: {error}"
            remedy = remedy_for(str(error), otherwise="check whether Docker runs: docker ps")
        raise ProvisioningFailed(expected=expected, seen=seen, where=where, remedy=remedy) from error
