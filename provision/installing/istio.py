"""Istio, installed with istioctl from the manifest, as the guide does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from facts.errors import ProvisioningFailed
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from observe.command import run
from provision.clusters.sources import Sources
from provision.objects import Document

CONFIG = "istio-config.yaml"


def install(
    sources: Sources,
    documents: Sequence[Document],
    recorder: Recorder,
    directory: Path,
    *,
    kubeconfig: Path,
    context: str,
    timeout: float,
    stop: Callable[[], bool],
) -> None:
    """Run ``istioctl install`` until istiod and the ingress gateway are ready.

    With the overlay the gateway waits for tbot's socket on its node, so tbot must start at the same time.

    Args:
        sources: istioctl, and the source of Istio's images.
        documents: What to install: the manifest's documents, rendered.
        recorder: Records the output of istioctl.
        directory: Private directory for the rendered manifest.
        kubeconfig: File with the context.
        context: Context of the cluster.
        timeout: Seconds for the whole command.
        stop: Returns True once the suite must give up.

    Raises:
        ProvisioningFailed: istioctl failed.
    """
    rendered = directory / CONFIG
    rendered.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    files = [rendered, *([sources.istio_overlay] if sources.istio_overlay else [])]
    images = {"hub": sources.istio_hub, "tag": sources.istio_tag}
    answer = run(
        [
            sources.istioctl, "install", "-y", "--kubeconfig", kubeconfig, "--context", context,
            "--readiness-timeout", f"{timeout:.0f}s",
            *(word for file in files for word in ("-f", file)),
            *(word for name, value in images.items() if value for word in ("--set", f"{name}={value}")),
        ],
        # istioctl's own deadline comes earlier, because istioctl then says what is not ready.
        timeout=timeout + 15,
        stop=stop,
    )  # fmt: skip
    recorder.record(answer.as_evidence(ObjectRef("Host", "istioctl"), shown_as=f"istioctl {answer.line.split(' ', 1)[1]}"))
    if answer.exit_code:
        raise ProvisioningFailed(
            expected="`istioctl install` to succeed",
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where=f"context {context}",
            remedy="read the error of istioctl; the gateway waits for tbot's socket, so check whether tbot is ready",
        )
