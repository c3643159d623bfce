"""Doubles of a cluster, and an install over one."""

from __future__ import annotations

from typing import Any, cast

from facts.document import Reading
from facts.errors import CouldNotTell
from facts.istio.gateway_api import CONTROLLER, GatewayClass
from facts.kubernetes.access import Right
from facts.recorder import KeptInMemory
from facts.versions import Version
from observe.install import Install
from provision.objects import is_scratch
from settings import Names
from tests.unit.judge.certificates import NOW

NOTHING_INSTALLED = CouldNotTell(expected="an install", seen="none", where="the double", remedy="")


class Cluster:
    """A cluster of these pods, namespaces and nodes."""

    context = "test"

    def __init__(self, *pods: Any, namespaces: tuple[Any, ...] = (), nodes: tuple[Any, ...] | CouldNotTell = ()) -> None:
        self._pods, self._namespaces, self._nodes = pods, namespaces, nodes
        self.asked: list[str] = []

    def pods(self, namespace: str = "") -> tuple[Any, ...]:
        self.asked.append("pods")
        return tuple(pod for pod in self._pods if namespace in ("", pod.namespace))

    def namespaces(self) -> tuple[Any, ...]:
        self.asked.append("namespaces")
        return self._namespaces

    def nodes(self) -> tuple[Any, ...]:
        self.asked.append("nodes")
        if isinstance(self._nodes, CouldNotTell):
            raise self._nodes
        return self._nodes


class WithGatewayApi(Cluster):
    """A cluster that knows the Gateway API or does not, and has one class of it."""

    def __init__(self, *, known: bool, server: tuple[int, int] = (1, 34)) -> None:
        super().__init__()
        self.server = server
        self.api = self
        self._known = known

    def get(self, path: str, _subject: Any, *, absent: bool) -> Reading:
        assert (path, absent) == ("/apis/gateway.networking.k8s.io/v1", True)
        self.asked.append("gateway api")
        return Reading({} if self._known else None, "ev", NOW)

    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        self.asked.append("classes")
        return (GatewayClass("istio", CONTROLLER),)

    def version(self) -> tuple[Version, tuple[str, ...]]:
        return Version(*self.server), ()

    def deployments(self) -> tuple[Any, ...]:
        raise NOTHING_INSTALLED

    def daemon_set(self, _namespace: str, _name: str) -> Any:
        raise NOTHING_INSTALLED

    def can_i(self, verb: str, group: str, resource: str, namespace: str) -> Right:
        return Right(verb, f"{resource}.{group}".rstrip("."), allowed=True, evidence=(), namespace=namespace)


class Unrecorded(KeptInMemory):
    def attach(self, evidence_ids: Any) -> None:
        """The readings of this test were never recorded."""


def install(cluster: Cluster, *allowed: str, provisions: bool = False, profiles: frozenset[str] = frozenset()) -> Install:
    return Install.of(
        cast("Any", cluster),
        teleport=cast("Any", None),
        tools=cast("Any", None),
        names=Names(),
        recorder=Unrecorded(),
        allowed=frozenset({"read-only", *allowed}),
        provisions=provisions,
        profiles=profiles,
        is_scratch=is_scratch,
    )
