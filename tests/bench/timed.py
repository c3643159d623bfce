"""What is timed: the suite's provisioning, a bare script that does the same, and the checks on a ready cluster."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from facts.versions import Version
from observe.command import must_run, run
from observe.wait import Pace
from providers.teleport.installing import tbot, teleport
from providers.teleport.installing.resources import TOKEN_TEMPLATE
from provision.clusters.directory import directory_of
from provision.clusters.kind import cluster_config, context_name
from provision.clusters.sources import Sources
from provision.installing.variant import RECOMMENDED
from provision.render import MANIFESTS, documents, render
from settings import Settings

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("bare.sh")
PATIENCE = 900.0
"""Seconds for one round of anything; only a round that hangs takes as long."""

_ADDRESS = "TELEPORT_ADDRESS"
_TELEPORT_RESOURCES = ("teleport-bot-role.yaml", "teleport-bot.yaml", "teleport-workload-identity.yaml", TOKEN_TEMPLATE.name)


@dataclass(frozen=True, slots=True)
class Checked:
    """One run of the checks.

    Attributes:
        process: Seconds from the start of pytest's process to its end.
        reported: Seconds that pytest itself reports.
        result: Of the run.
        passed: Requirements that pass.
        judged: Requirements that were chosen.
    """

    process: float
    reported: float
    result: str
    passed: int
    judged: int


def suite_installs(settings: Settings) -> float:
    """Seconds of ``conformance up``, from the start of its process to its end."""
    return _seconds(
        [sys.executable, ROOT / "cli.py", "up", "--kind-name", settings.kind_name, "--nodes", str(settings.nodes)]
    )


def script_installs(settings: Settings, sources: Sources) -> float:
    """Seconds of the bare script; its files are made beforehand."""
    directory = directory_of(settings)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    istio = _write_files(directory, settings, sources)
    binaries = {p.parent for p in (sources.kind, sources.kubectl, sources.istioctl)}
    environment = {
        "PATH": os.pathsep.join([*map(str, binaries), os.environ["PATH"]]),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "CLUSTER": settings.kind_name,
        "LABEL": f"{teleport.CLUSTER_LABEL}={settings.kind_name}",
        "TELEPORT_IMAGE": sources.teleport_image,
    }
    return _seconds(["bash", SCRIPT, *istio], env=environment, cwd=directory)


def checks_run(settings: Settings, reports: Path) -> Checked:
    """Times all checks that an installation of somebody else's can have, on one that is ready.

    Args:
        settings: Of the kept cluster.
        reports: Directory for the report of this run.

    Raises:
        RuntimeError: There is no kept Teleport.
    """
    found = teleport.find(
        settings.kind_name,
        cluster_name=settings.trust_domain,
        pace=Pace(settings.patience.teleport_up),
        command_timeout=settings.patience.command,
        directory=directory_of(settings),
    )
    if found is None:
        raise RuntimeError(f"no Teleport of the kind cluster {settings.kind_name} runs")
    command: list[str | Path] = [
        sys.executable, "-m", "pytest", "features", "--cluster", "existing",
        "--kubeconfig", directory_of(settings) / "kubeconfig", "--context", context_name(settings.kind_name),
        "--teleport-proxy", found.proxy, "--teleport-ca", found.ca,
        "--tctl", shlex.join(found.command),
        "--allow", "namespaced", "--profile", "install,checklist", "--reports", reports,
    ]  # fmt: skip
    started = time.monotonic()
    done = run(command, timeout=PATIENCE, cwd=ROOT)
    process = time.monotonic() - started
    reported = re.search(r" in (\d+\.\d+)s", done.stdout.rpartition("\n=")[2])
    if reported is None:
        raise RuntimeError(f"pytest did not run to its end: {done.tail()}")
    report = json.loads((reports / "latest" / "report.json").read_text(encoding="utf-8"))
    verdicts = [judged["verdict"] for judged in report["judged"]]
    return Checked(process, float(reported[1]), report["result"], verdicts.count("pass"), len(verdicts))


def _seconds(command: list[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> float:
    started = time.monotonic()
    must_run(command, timeout=PATIENCE, env=env, cwd=cwd)
    return time.monotonic() - started


def _write_files(directory: Path, settings: Settings, sources: Sources) -> list[str]:
    """Writes what the bare script reads, and returns its arguments for istioctl."""
    name = settings.trust_domain
    variables = {
        "TRUST_DOMAIN": name,
        "PROXY_SERVER": f"{name}:{teleport.PROXY_PORT}",
        "SOCKET_DIRECTORY": settings.names.socket_directory,
        "TBOT_IMAGE": sources.tbot_image,
        "WORKLOAD_IMAGE": sources.workload_image,
    }
    patch = yaml.safe_load(sources.kind_patch.read_text(encoding="utf-8")) if sources.kind_patch else {}
    kubernetes = Version(*tbot.FINE_GRAINED)  # the nodes of every source have it, or a later one
    tbot_objects = tbot.objects(
        RECOMMENDED, variables, kubernetes=kubernetes, insecure=True, ca=None, host_aliases={name: _ADDRESS}
    )
    for file, made in {
        "kind.yaml": [cluster_config(settings.kind_name, settings.nodes, sources.node_image, patch)],
        "teleport.yaml": [teleport.config(name)],
        "tbot.yaml": tbot_objects,
        "test-app-deployment.yaml": documents(MANIFESTS / "test-app-deployment.yaml", variables),
    }.items():
        (directory / file).write_text(yaml.safe_dump_all(made), encoding="utf-8")
    for file in _TELEPORT_RESOURCES:
        (directory / file).write_text((MANIFESTS / file).read_text(encoding="utf-8"), encoding="utf-8")
    istio = (MANIFESTS / "istio-config.yaml").read_text(encoding="utf-8")
    (directory / "istio-config.yaml").write_text(render(istio, variables, where="istio-config.yaml"), encoding="utf-8")
    images = {"hub": sources.istio_hub, "tag": sources.istio_tag}
    return [
        *("-f", "istio-config.yaml"),
        *(("-f", str(sources.istio_overlay)) if sources.istio_overlay else ()),
        *(word for key, value in images.items() if value for word in ("--set", f"{key}={value}")),
    ]
