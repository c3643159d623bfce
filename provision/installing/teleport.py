"""Teleport, as something to make resources in: one of our own in a container, or an existing one through an admin tctl."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shlex
import socket
import ssl
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker
import docker.errors
import yaml
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.command import CommandResult, run
from observe.wait import NotYet, Pace, eventually
from provision.clusters.remedies import FIND_IMAGES, START_DOCKER, remedy_for
from provision.objects import RUN_LABEL

CLUSTER_LABEL = "conformance.teleport-istio/cluster"
"""Label of containers; its value is the name of the kind cluster that they belong to."""

PROXY_PORT = 3080
CONFIG_FILE = "/etc/teleport.yaml"
"""Where teleport and tctl both look by themselves."""

DOCKER_SECONDS = 30
"""How long to wait for a sign of life of Docker; on a busy machine it takes seconds."""

# The reaper of testcontainers is an image of its own that has to be pulled; what we start carries the run's label instead.
testcontainers_config.ryuk_disabled = True


class TeleportCluster(Protocol):
    """A Teleport cluster that resources can be made in."""

    @property
    def cluster_name(self) -> str:
        """Its name, which is the trust domain of the identities that it issues."""

    @property
    def proxy(self) -> str:
        """HOST:PORT of its proxy, as this machine reaches it."""

    @property
    def proxy_for_pods(self) -> str:
        """HOST:PORT of its proxy, as pods name it."""

    @property
    def insecure(self) -> bool:
        """Whether its proxy has a certificate that nobody can verify."""

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Runs tctl with admin rights; a non-zero exit is an answer.

        Raises:
            CouldNotTell: tctl could not be run or did not end in time.
        """


def config(cluster_name: str) -> dict[str, Any]:
    """Teleport's configuration: auth service and proxy in one process, everything over one port, a self-signed certificate.

    The public address is the cluster's own name, as it is for a hosted Teleport; whoever joins must resolve it.
    """
    return {
        "version": "v3",
        "teleport": {
            "nodename": cluster_name,
            "data_dir": "/var/lib/teleport",
            "log": {"output": "stderr", "severity": "INFO"},
        },
        "auth_service": {
            "enabled": "yes",
            "cluster_name": cluster_name,
            "listen_addr": "0.0.0.0:3025",
            "proxy_listener_mode": "multiplex",
        },
        "proxy_service": {
            "enabled": "yes",
            "web_listen_addr": f"0.0.0.0:{PROXY_PORT}",
            "public_addr": f"{cluster_name}:{PROXY_PORT}",
        },
        "ssh_service": {"enabled": "no"},
    }


class TeleportContainer(DockerContainer):  # type: ignore[misc] # testcontainers' types are not followed
    """A Teleport of our own, its proxy published on a free port of the loopback address."""

    def __init__(self, image: str, *, name: str, cluster_name: str, labels: dict[str, str]) -> None:
        """Prepares; nothing is started yet.

        Args:
            image: Teleport's image, or the stand-in's.
            name: Of the container.
            cluster_name: Of the Teleport cluster.
            labels: Of the container.
        """
        super().__init__(image)
        self.with_name(name)
        self.with_kwargs(entrypoint=["/usr/local/bin/teleport"], labels=labels)
        self.with_command(["start", "-c", CONFIG_FILE])
        self.with_copy_into_container(yaml.safe_dump(config(cluster_name)).encode(), CONFIG_FILE)
        # A port that Docker chooses changes when the container joins kind's network; one that is named here stays.
        self.ports[f"{PROXY_PORT}/tcp"] = ("127.0.0.1", _free_port())


AUDIT_LOG = "/var/lib/teleport/log"
"""Below the data directory; one file for each day, and ``events.log``, a link to the newest."""


@dataclass(frozen=True, slots=True)
class ContainerEvents:
    """The audit events of a Teleport in a container, copied out of it: its image may hold no program that could print them.

    Attributes:
        container: Docker's container.
    """

    container: Any

    @property
    def name(self) -> str:
        """The directory, as ``docker cp`` names it."""
        return f"{self.container.name}:{AUDIT_LOG}"

    def lines(self) -> Iterator[str]:
        """All lines, oldest file first.

        Raises:
            CouldNotTell: Docker does not hand them out.
        """
        try:
            stream, _stat = self.container.get_archive(AUDIT_LOG)
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                files = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".log")]
                for member in sorted(files, key=lambda m: m.name):
                    opened = archive.extractfile(member)
                    assert opened is not None  # noqa: S101 - a regular file has content
                    yield from io.TextIOWrapper(opened, encoding="utf-8", errors="replace")
        except (docker.errors.DockerException, tarfile.TarError, OSError) as error:
            raise CouldNotTell(
                expected="Teleport's audit log",
                seen=f"{type(error).__name__}: {error}",
                where=self.name,
                remedy="see whether Docker and the container run: docker ps",
            ) from error


@dataclass(frozen=True, slots=True)
class OwnTeleport:
    """A Teleport in a container of this run, or of a kept one.

    Attributes:
        container: Docker's container.
        cluster_name: Of the Teleport cluster.
        proxy: Where the proxy is published on this machine.
        timeout: Seconds for one tctl command.
    """

    container: Any
    cluster_name: str
    proxy: str
    timeout: float
    insecure: bool = True

    @property
    def proxy_for_pods(self) -> str:
        """The public address; pods resolve it through the host alias that they are given."""
        return f"{self.cluster_name}:{PROXY_PORT}"

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Runs the tctl in the container, which is an admin there."""
        return run(
            ["docker", "exec", "-i", self.container.name, "/usr/local/bin/tctl", *argv], timeout=self.timeout, stdin=stdin
        )

    def audit_events(self) -> ContainerEvents:
        """Its audit events."""
        return ContainerEvents(self.container)

    def join_network(self, name: str, pace: Pace) -> str:
        """Connects the container to a Docker network, once that exists, and returns its address there.

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
        """Removes the container and its data."""
        with _docker_failures(f"container {self.container.name}"):
            self.container.remove(force=True, v=True)


@dataclass(frozen=True, slots=True)
class ExistingTeleport:
    """A Teleport that somebody else runs.

    Attributes:
        cluster_name: As its ping endpoint says.
        proxy: HOST:PORT of its proxy.
        insecure: The user said not to verify the proxy's certificate.
        command: The admin's tctl command.
        timeout: Seconds for one tctl command.
    """

    cluster_name: str
    proxy: str
    insecure: bool
    command: tuple[str, ...]
    timeout: float

    @property
    def proxy_for_pods(self) -> str:
        """The same address as from here."""
        return self.proxy

    def tctl(self, argv: Sequence[str], stdin: str = "") -> CommandResult:
        """Runs the user's tctl command."""
        return run([*self.command, *argv], timeout=self.timeout, stdin=stdin)


EXISTING = "existing-teleport.json"
"""File in the directory of a kind cluster that says in which Teleport of somebody else resources were made for it."""


def note_existing(directory: Path, authority: ExistingTeleport) -> None:
    """Writes down in whose Teleport resources are about to be made, so that they are found again without this process."""
    noted = {"cluster_name": authority.cluster_name, "proxy": authority.proxy, "insecure": authority.insecure}
    (directory / EXISTING).write_text(json.dumps({**noted, "command": authority.command}), encoding="utf-8")


def noted_existing(directory: Path, *, command_timeout: float) -> ExistingTeleport | None:
    """The Teleport of somebody else in which resources were made for a kind cluster, or None.

    Raises:
        ProvisioningFailed: What was written down cannot be read.
    """
    file = directory / EXISTING
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        return ExistingTeleport(
            noted["cluster_name"], noted["proxy"], noted["insecure"], tuple(noted["command"]), command_timeout
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ProvisioningFailed(
            expected="to read in which Teleport resources were made",
            seen=f"{type(error).__name__}: {error}",
            where=str(file),
            remedy=f"remove role, bot, workload identity and token labelled {RUN_LABEL} by hand, then this file",
        ) from error


def docker_must_answer() -> None:
    """Sees that there is a Docker to make containers with.

    Raises:
        ProvisioningFailed: There is none, or this user may not use it.
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


def start(image: str, *, kind_name: str, run_id: str, cluster_name: str, pace: Pace, command_timeout: float) -> OwnTeleport:
    """Starts a Teleport of our own and waits until its proxy answers under the right name.

    Args:
        image: Its image.
        kind_name: The kind cluster that it belongs to.
        run_id: Of the run.
        cluster_name: Of the Teleport cluster.
        pace: Patience for its first answer.
        command_timeout: Seconds for one tctl command later.

    Raises:
        ProvisioningFailed: Docker refused, or the container ended; holds its last words.
        CouldNotTell: It did not answer in time.
    """
    name = f"{kind_name}-teleport-{run_id}"
    labels = {RUN_LABEL: run_id, CLUSTER_LABEL: kind_name}
    with _docker_failures(f"container {name}, image {image}"):
        container = TeleportContainer(image, name=name, cluster_name=cluster_name, labels=labels)
        try:
            container.start()
            return _awaited(container.get_wrapped_container(), cluster_name, pace, command_timeout)
        except BaseException:
            container.stop()
            raise


def find(kind_name: str, *, cluster_name: str, pace: Pace, command_timeout: float) -> OwnTeleport | None:
    """The running Teleport of a kept cluster, or None; arguments as for `start`."""
    with _docker_failures("docker ps"):
        found = docker.from_env().containers.list(filters={"label": f"{CLUSTER_LABEL}={kind_name}"})
    return _awaited(found[0], cluster_name, pace, command_timeout) if found else None


def remove_all(kind_name: str) -> None:
    """Removes every container that belongs to a kind cluster, running or not.

    Raises:
        ProvisioningFailed: Docker refused.
    """
    with _docker_failures("docker rm"):
        for container in docker.from_env().containers.list(all=True, filters={"label": f"{CLUSTER_LABEL}={kind_name}"}):
            container.remove(force=True, v=True)


def connect(command: str, proxy: str, *, insecure: bool, pace: Pace, command_timeout: float) -> ExistingTeleport:
    """Takes an existing Teleport by the user's tctl command and its proxy address.

    Raises:
        CouldNotTell: The proxy does not answer.
    """
    name = eventually(
        f"Teleport's proxy at {proxy} answers", lambda: ping(proxy, insecure=insecure), pace,
        remedy="check --teleport-proxy, and --teleport-insecure for a certificate that this machine does not know",
    )  # fmt: skip
    return ExistingTeleport(name, proxy, insecure, tuple(shlex.split(command)), command_timeout)


def ping(proxy: str, *, insecure: bool, timeout: float = 2) -> str:
    """The cluster name that a proxy's public ping endpoint gives.

    Args:
        proxy: HOST:PORT.
        insecure: Do not verify its certificate.
        timeout: Seconds.

    Raises:
        NotYet: It gives none.
    """
    # Not through requests: a proxy set in the environment must not stand between this machine and its own container.
    trust = ssl._create_unverified_context() if insecure else ssl.create_default_context()  # noqa: S323 - asked for
    host, _, port = proxy.partition(":")
    connection = http.client.HTTPSConnection(host, int(port or 443), timeout=timeout, context=trust)
    try:
        connection.request("GET", "/webapi/ping")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise NotYet(f"HTTP {answer.status}")
        return str(json.loads(body)["cluster_name"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise NotYet(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _awaited(container: Any, cluster_name: str, pace: Pace, command_timeout: float) -> OwnTeleport:
    """The handle of a started container, as soon as its proxy answers under the right name."""

    def look() -> str:
        container.reload()
        if container.status != "running":
            raise ProvisioningFailed(
                expected="a running Teleport",
                seen=f"its container is {container.status}: {container.logs(tail=15).decode(errors='replace').strip()}",
                where=f"container {container.name}",
                remedy="read Teleport's last words",
            )
        bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{PROXY_PORT}/tcp")
        if not bindings:
            raise NotYet("its port is not published yet")
        proxy = f"127.0.0.1:{bindings[0]['HostPort']}"
        name = ping(proxy, insecure=True)
        if name != cluster_name:
            raise ProvisioningFailed(
                expected=f"a Teleport called {cluster_name}",
                seen=f"one called {name}",
                where=f"container {container.name}",
                remedy="remove what was kept with `conformance down`, or give the --trust-domain that it was made with",
            )
        return proxy

    proxy = eventually("Teleport answers its ping endpoint", look, pace, remedy=f"docker logs {container.name}")
    return OwnTeleport(container, cluster_name, proxy, command_timeout)


class _docker_failures:  # noqa: N801 - reads as a statement: with _docker_failures(where)
    """Turns what Docker's client raises into an error for people."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        # A registry that cannot be reached is a server error of Docker's pull.
        if isinstance(error, docker.errors.ImageNotFound) or "images/create" in str(error):
            raise ProvisioningFailed(
                expected="the image of Teleport",
                seen=str(error),
                where=self._where,
                remedy=FIND_IMAGES,
            ) from error
        if isinstance(error, (docker.errors.DockerException, OSError)):
            raise ProvisioningFailed(
                expected="Docker to do as asked",
                seen=f"{type(error).__name__}: {error}",
                where=self._where,
                remedy=remedy_for(str(error), otherwise="see whether Docker runs: docker ps"),
            ) from error
