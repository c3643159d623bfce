"""Sockets: tbot's sockets on the nodes, and who may replace them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from checks import diagnosis, identity
from checks.check import PROBES, Case, Check, Part, Reading
from facts.finding import Finding
from facts.kubernetes.probes import Refused, SdsProbe, SocketDirectoryProbe
from facts.proxies.identity import LeftOut
from facts.proxies.mounts import SocketMount
from judge.identity import socket as judge
from judge.install import attested


def sds_probes(case: Case) -> Sequence[SdsProbe | Refused]:
    """What probe pods got from the sockets of every node that hosts injected pods."""
    return case.probe_pods.of_sockets(identity.sockets_of_nodes(case.install), case.install.istio.proxy_image())


def socket_directories(case: Case) -> Mapping[str, Sequence[SocketDirectoryProbe | Refused]]:
    """By directory of a socket: what probe pods may do there, one for each node that has it."""
    return {
        directory: case.probe_pods.of_socket_directories(nodes, directory)
        for directory, nodes in identity.nodes_by_directory(case.install).items()
    }


def socket_mounts(case: Case) -> Sequence[SocketMount | LeftOut]:
    """The mount tables of the proxies that mount the node's socket directory."""
    return case.install.proxies.socket_mounts()


def _own_identities(case: Case) -> list[Finding]:
    install, found = case.install, case.of(sds_probes)
    beside = identity.beside(install, case.probe_pods, found)
    return [attested.probes_got_their_own_identity(found, install.teleport.bundle(), install.tbot.all(), beside)]


def _closed(case: Case) -> Iterator[Finding]:
    seen = case.install.cluster.pods_evidence()
    for directory, probes in case.of(socket_directories).items():
        yield judge.directories_are_closed(probes, directory, seen)


def _mounts(case: Case) -> list[Finding]:
    install, mounts = case.install, case.of(socket_mounts)
    pods, directories = install.proxies.pods(), install.tbot.socket_directories()
    return [judge.mounts_are_read_only(mounts, pods, directories, install.cluster.pods_evidence())]


PART = Part(
    "sockets",
    (
        Check("no Istio agent exits beside a Ready tbot", lambda case: diagnosis.agents_that_exit(case.install)),
        Check(
            "no connected proxy waits for its certificate",
            lambda case: [*diagnosis.proxies_that_wait(case.install), *diagnosis.unread(case.install)],
        ),
        Check(
            "every socket answers with the caller's own identity",
            _own_identities,
            "INST-14",
            PROBES,
            then="every probe must have received the identity of its own service account from Teleport",
        ),
        Check(
            "no workload can write to a socket's directory",
            _closed,
            "ID-08",
            PROBES,
            then="no probe pod must be able to write to the socket directory",
        ),
        Check(
            "only tbot's containers can write there as root",
            lambda case: identity.only_tbot_writes_to_the_sockets(case.install),
            "ID-08",
            then="only tbot's containers must be able to write to the socket directory as root",
        ),
        Check(
            "every proxy mounts its socket read-only",
            _mounts,
            "ID-12",
            then="the effective mount in each proxy must be read-only",
            left_out="it reads mount tables, with a program in the container of every proxy",
        ),
        Check(
            "without its socket, a sidecar does not start",
            lambda case: [identity.install_fails_closed(case.install)],
            "NEG-07",
            then="tbot and the proxies on its socket must use a socket name for which Istio has no fallback",
        ),
    ),
    (
        Reading(
            ("a probe pod on every node that hosts injected pods, which requests its identity from the socket over SDS",),
            sds_probes,
            PROBES,
        ),
        Reading(
            (
                "a probe pod as the user of Istio's proxies on every node with tbot's socket, which only reads what it may"
                " do there",
            ),
            socket_directories,
            PROBES,
        ),
        Reading(
            ("every container of every pod, with its mounts and its user",), lambda case: case.install.cluster.living_pods()
        ),
        Reading(("the mount tables of the proxies that mount the node's socket directory",), socket_mounts),
    ),
)
