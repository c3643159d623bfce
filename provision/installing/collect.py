"""Evidence of a failed part: pods, events and the end of their logs, recorded before the suite removes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from facts.errors import ConformanceError
from facts.evidence import ObjectRef, evidence_of
from facts.recorder import Recorder
from provision.objects import Objects

LOG_LINES = 60


def keep_state(namespace: str, objects: Objects, recorder: Recorder) -> None:
    """Record the pods and events of a namespace, and the last lines of each container that has run."""
    base = f"/api/v1/namespaces/{namespace}"
    pods = _kept(f"{base}/pods", ObjectRef("Namespace", namespace), objects, recorder)
    _kept(f"{base}/events", ObjectRef("Namespace", namespace), objects, recorder)
    for pod in json.loads(pods).get("items", []) if pods else []:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            subject = ObjectRef("Pod", name, namespace, pod["metadata"]["uid"])
            log = f"{base}/pods/{name}/log?container={container['name']}&tailLines={LOG_LINES}"
            if "waiting" not in container.get("state", {}):
                _kept(log, subject, objects, recorder)
            if container.get("restartCount"):
                _kept(f"{log}&previous=true", subject, objects, recorder)


def _kept(path: str, subject: ObjectRef, objects: Objects, recorder: Recorder) -> str:
    """Record and return the answer to a GET; where there is none, record that and return an empty text."""
    try:
        answer = objects.raw(path)
    except ConformanceError as error:
        recorder.record(evidence_of(f"GET {path}", subject, f"no answer: {error}", read_at=datetime.now(UTC)))
        return ""
    recorder.record(evidence_of(f"GET {path}", subject, answer, read_at=datetime.now(UTC)))
    return answer
