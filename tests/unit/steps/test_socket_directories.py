"""The directories of tbot's sockets, each looked at where it is: ID-08."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from checks.check import Case, ProbePods
from checks.identity import beside
from checks.parts import sockets
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Volume, VolumeMount
from facts.kubernetes.probes import Refused, SdsProbe, SocketDirectoryProbe
from judge.install.attested import Beside
from observe.install import Install
from providers.teleport.facts.issuing import Issuing
from settings import load
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated

POOLS = make.tbots(make.pool("a", make.SOCKETS, "node-1"), make.pool("b", make.OTHER_SOCKETS, "node-2", "node-4"))


class Probed:
    """Probe pods, of which those in the second pool's directory may write."""

    def of_sockets(self, _sockets: Sequence[tuple[str, str]], _image: str) -> tuple[SdsProbe | Refused, ...]:
        return ()

    def of_socket_directories(self, nodes: Sequence[str], directory: str) -> tuple[SocketDirectoryProbe, ...]:
        return tuple(make.socket_directory_probe(node, writable=directory == make.OTHER_SOCKETS) for node in nodes)


def install(*pods: Pod) -> Install:
    by_node: Mapping[str, list[Pod]] = {"node-1": [], "node-2": [], "node-without-tbot": []}
    cluster = SimpleNamespace(silent_nodes=lambda: {"node-4"}, pods_evidence=lambda: ("ev-pods",), living_pods=lambda: pods)
    tbot = SimpleNamespace(all=lambda: POOLS, socket_directories=lambda: POOLS.directories)
    proxies = SimpleNamespace(pods_by_node=lambda: by_node)
    return cast("Install", SimpleNamespace(cluster=cluster, tbot=tbot, proxies=proxies))


def case(*pods: Pod) -> Case:
    return Case(install(*pods), load(), cast("Any", None), cast("ProbePods", Probed()))


def concluded(title: str, of: Case) -> list[Finding]:
    (check,) = (each for each in sockets.PART.checks if each.title == title)
    return [cast("Finding", each) for each in check.run(of)]


def test_each_directory_is_probed_where_it_is() -> None:
    found = sockets.socket_directories(case())
    assert {directory: [probe.node for probe in probes] for directory, probes in found.items()} == {
        make.SOCKETS: ["node-1"],
        make.OTHER_SOCKETS: ["node-2"],
    }
    other, first = concluded("no workload can write to a socket's directory", case())
    violated(other, "ID-08", f"Node node-2: uid 1337 may write to {make.OTHER_SOCKETS}")
    holds(first, "ID-08")


def test_a_root_that_mounts_the_second_directory_is_found() -> None:
    there = make.pod("a"), make.pod("b", node="node-2", socket=make.OTHER_NODES_SOCKET)
    other, first = concluded("only tbot's containers can write there as root", case(*there))
    assert (other.seen, first.seen) == ("1 of 1 pods see the directory, and none of them can write to it as root",) * 2
    root = make.container("app", mounts=(VolumeMount("run", "/host"),))
    writes = make.pod("root", node="node-2", injected=False, socket=Volume("run", "hostPath", path="/run/spire-b"))
    writes = replace(writes, spec=replace(writes.spec, containers=(root,)))
    other, first = concluded("only tbot's containers can write there as root", case(*there, writes))
    violated(other, "ID-08", f"may write to {make.OTHER_SOCKETS} there")
    holds(first, "ID-08")


def test_beside_a_silent_socket_its_own_directory_and_identities_are_read() -> None:
    identities = {pool.daemon_set.name: make.identity(name=pool.daemon_set.name) for pool in POOLS.each}
    issuing = [
        Issuing(pool.config.services[0], (identities[pool.daemon_set.name],), ("ev-identity",)) for pool in POOLS.each
    ]
    silent = ("node-2", f"{make.OTHER_SOCKETS}/socket")
    found = [
        make.sds_probe("node-1", socket=f"{make.SOCKETS}/socket"),
        make.sds_probe("node-2", leaf=None, socket=silent[1]),
    ]
    pods = (make.pod(),)
    facets = {
        "tbot": SimpleNamespace(all=lambda: POOLS, last_attempt=lambda _tbot, _pod: make.last_attempt()),
        "teleport": SimpleNamespace(issuing=lambda: issuing),
        "proxies": SimpleNamespace(pods=lambda: pods),
    }
    read = beside(cast("Install", SimpleNamespace(**facets)), Probed(), found)
    assert [probe.node for probe in read.directories] == ["node-2"]
    assert read.identities == {silent: (identities["b"],)}
    assert read.workloads == pods
    assert beside(cast("Install", SimpleNamespace(**facets)), Probed(), found[:1]) == Beside()
