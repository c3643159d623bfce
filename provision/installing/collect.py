"""Evidence of a failed part: pods, events and the end of their logs, recorded before the suite removes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from facts.errors import ConformanceError
from facts.evidence import ObjectRef, evidence_of
from facts.kubernetes.objects import list_of, parse_event, parse_pod
from facts.masks import TEXT, kept_for
from facts.recorder import Recorder
from provision.objects import Objects

LOG_LINES = 60


def keep_state(namespace: str, objects: Objects, recorder: Recorder) -> None:
    """Record the pods and events of a namespace, and the last lines of each container that has run."""
    base = f"/api/v1/namespaces/{namespace}"
    pods = _kept(f"{base}/pods", ObjectRef("List", "pods", namespace), objects, recorder, parse_pod)
    _kept(f"{base}/events", ObjectRef("List", "events", namespace), objects, recorder, parse_event)
    for pod in json.loads(pods).get("items", []) if pods else []:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            subject = ObjectRef("Pod", name, namespace, pod["metadata"]["uid"])
            log = f"{base}/pods/{name}/log?container={container['name']}&tailLines={LOG_LINES}"
            if "waiting" not in container.get("state", {}):
                _kept(log, subject, objects, recorder)
            if container.get("restartCount"):
                _kept(f"{log}&previous=true", subject, objects, recorder)


def _kept(
    path: str,
    subject: ObjectRef,
    objects: Objects,
    recorder: Recorder,
    parser: Callable[..., object] | None = None,
) -> str:
    """Record and return the answer to a GET; where there is none, record that and return an empty text.

    Args:
        path: Of a list of objects, or of a log.
        subject: The object of the question.
        objects: Access to the cluster.
        recorder: Keeps the answer.
        parser: Of the list's items; None for a log.
    """
    question = f"GET {path}"
    try:
        answer = objects.raw(path)
    except ConformanceError as error:
        recorder.record(evidence_of(question, subject, f"no answer: {error}", read_at=datetime.now(UTC)))
        return ""
    mask = list_of(kept_for(parser)) if parser else TEXT
    recorder.record(evidence_of(question, subject, answer, read_at=datetime.now(UTC), parser=parser, mask=mask))
    return answer
