"""Captures of a proxy's TLS from a cluster: ``python -m tests.data.capture KUBECONFIG CONTEXT NAMESPACE POD DIRECTORY``.

Asks the proxy exactly what the suite asks it, writes into a file of the directory what evidence keeps of each answer, and
prints the size of each and the seconds that it took. The pod's specification goes beside them, without its secrets. Nothing
is changed in the cluster.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import typer

from facts.errors import ConformanceError
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Pod
from facts.proxies.tls import questions
from facts.proxies.tls.inbound import OF_ROUTER, OF_SIDECAR
from facts.proxies.tls.outbound import parse_cluster_names
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from settings import Timeouts

PATIENCE = 3.0
"""Factor of all timeouts: a lab may be busy."""


def capture(cluster: Cluster, recorder: KeptInMemory, pod: Pod, directory: Path) -> list[str]:
    """Captures one proxy.

    Args:
        cluster: The cluster.
        recorder: The one that the cluster records with.
        pod: The proxy's pod.
        directory: Where the files go; made if it is not there.

    Returns:
        A line for each file: its name, its size in bytes, and the seconds that the answer took.
    """
    directory.mkdir(parents=True, exist_ok=True)
    asked = {
        "listeners.json": OF_ROUTER if pod.is_gateway else OF_SIDECAR,
        "cluster_count.json": questions.COUNT,
        "cluster_names.json": questions.NAMES,
        "clusters.json": questions.WHOLE.clusters,
        "endpoints.json": questions.WHOLE.endpoints,
    }
    lines = []
    for file, question in asked.items():
        began = time.monotonic()
        reading = read_admin(cluster, pod, [question])[question]
        seconds = time.monotonic() - began
        body = recorder.evidence[reading.evidence].body
        (directory / file).write_text(body, encoding="utf-8")
        lines.append(f"{file}: {len(body.encode())} bytes, {seconds:.2f} s")
        if file == "cluster_names.json":
            lines.append(f"{len(parse_cluster_names(reading.document))} outbound clusters")
    subject = ObjectRef("Pod", pod.name, pod.namespace)
    document = cluster.api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", subject).document
    document["metadata"].pop("managedFields", None)
    (directory / "pod.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return lines


def main(kubeconfig: Path, context: str, namespace: str, name: str, directory: Path) -> None:
    """Captures the TLS of the proxy of one pod."""
    recorder = KeptInMemory()
    cluster = Cluster(kubeconfig, context, recorder, Timeouts().scaled(PATIENCE))
    pods = [pod for pod in cluster.pods(namespace) if pod.name == name]
    if not pods or not pods[0].is_injected:
        raise typer.BadParameter(f"no pod {namespace}/{name} with an istio-proxy")
    print("\n".join(capture(cluster, recorder, pods[0], directory)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except ConformanceError as error:
        raise SystemExit(f"× {error}") from error
