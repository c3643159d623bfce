"""The canaries of HYG-04: what is planted where, and that nothing of it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from facts.evidence import ObjectRef, evidence_of
from facts.kubernetes.objects import parse_namespace, parse_pod
from provision.objects import Objects
from provision.pods.planted import planted


class Made:
    """Objects that keep what they are told."""

    run_id = "20261128T092850Z-2c10"

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    def apply_all(self, documents: Iterable[dict[str, Any]]) -> None:
        self.made += documents

    def delete(self, _version: str, kind: str, name: str) -> None:
        self.deleted.append(f"{kind} {name}")


def test_every_canary_is_in_every_place_and_none_in_evidence() -> None:
    objects = Made()
    with planted(cast("Objects", objects), "image:1") as (namespace, canaries):
        place, pod = objects.made
        assert objects.deleted == []
    assert objects.deleted == [f"Namespace {namespace}"] == ["Namespace conformance-20261128t092850z-2c10-canaries"]
    assert len(canaries) > 40
    (container,) = pod["spec"]["containers"]
    for canary in canaries:
        assert canary.text in place["metadata"]["annotations"].values()
        assert canary.text in pod["metadata"]["annotations"].values()
        assert canary.text in container["args"]
        assert canary.text in [each["value"] for each in container["env"]]
    for document, parser in ((place, parse_namespace), (pod, parse_pod)):
        now = datetime.now(UTC)
        kept = evidence_of("GET", ObjectRef("Pod", "canaries"), json.dumps(document), read_at=now, parser=parser)
        assert [canary.form for canary in canaries if canary.left_in(kept.body)] == []
