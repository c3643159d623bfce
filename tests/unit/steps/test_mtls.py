"""The mesh that the scenarios of mutual TLS share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from checks.mtls import Sweeps, trust_domains
from judge.mtls.told import Handshakes
from observe.install import Install
from settings import Declared
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import Workload, mesh

OWN = "conformance-1a2b"


class Facets:
    """An install whose readings are those of a small mesh, in which the suite has a pod of its own."""

    def __init__(self, *workloads: Workload) -> None:
        made = mesh(*workloads)
        self.pods = made.pods
        self.identities = made.identities
        self.tls = made.tls

    def install(self) -> Install:
        own = tuple(pod for pod in self.pods if pod.namespace == OWN)
        others = tuple(pod for pod in self.pods if pod.namespace != OWN)
        asked = {pod.uid for pod in others}
        identities = type(self.identities)(tuple(p for p in self.identities.proxies if p.pod.uid in asked), ())
        tls = type(self.tls)(tuple(p for p in self.tls.proxies if p.pod.uid in asked), ())
        cluster = SimpleNamespace(
            pods_of_the_suite=lambda: own, living_pods=lambda: others, pods_evidence=lambda: ("ev-pods",)
        )
        proxies = SimpleNamespace(
            pods=lambda: tuple(pod for pod in others if pod.is_injected), fleet=lambda: identities, tls=lambda: tls
        )
        return cast("Install", SimpleNamespace(cluster=cluster, proxies=proxies))


WORKLOADS = (Workload("a"), Workload("plain", pod={"injected": False}, marked=False), Workload("test-pod", namespace=OWN))


def test_the_suites_own_pods_do_not_count_and_their_addresses_are_known() -> None:
    noted: list[Any] = []
    swept = Sweeps(noted.append, Declared()).of(Facets(*WORKLOADS).install())
    assert swept.without == {"uid-test-pod"}
    assert sum(row.ways for row in swept.table.rows) == 1
    assert {kind.name: number for kind, number in swept.table.unpredictable.items()} == {"NO_PROXY": 1}
    (told,) = noted
    assert isinstance(told, Handshakes)
    assert [pair.ways for pair in told.pairs] == [1]


def test_the_table_is_made_once_for_the_same_readings() -> None:
    noted: list[Any] = []
    sweeps, install = Sweeps(noted.append, Declared()), Facets(*WORKLOADS).install()
    assert sweeps.of(install) is sweeps.of(install)
    assert len(noted) == 1
    sweeps.of(Facets(*WORKLOADS).install())
    assert len(noted) == 2


def test_what_the_owner_declares_closes_ways() -> None:
    declared = Declared(islands=(("far",),), plain_text=("legacy",))
    swept = Sweeps(lambda _told: None, declared).of(Facets(Workload("a"), Workload("b", namespace="far")).install())
    assert {(row.is_closed, row.ways) for row in swept.table.rows} == {(True, 2), (False, 2)}
    assert swept.meant.plain == {"legacy"}
    assert swept.meant.unknown == ("legacy",)


def test_the_aliases_of_every_control_plane_count_also_where_none_is_the_default_one() -> None:
    blue = make.mesh(revision="blue", config=make.mesh_config(trust_domain_aliases=("old.example", "both.example")))
    config = make.mesh_config(trust_domain_aliases=("both.example", "new.example"), evidence=("ev-green-config",))
    istio = SimpleNamespace(planes=lambda: make.planes(blue, make.mesh(revision="green", config=config)))
    install = cast("Install", SimpleNamespace(teleport=SimpleNamespace(ping=make.ping), istio=istio))
    found = trust_domains(install)
    assert found.names == (make.ping().cluster_name, "old.example", "both.example", "new.example")
    assert found.evidence == ("ev-ping", "ev-mesh-config", "ev-green-config")
