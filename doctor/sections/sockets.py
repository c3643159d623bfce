"""Sockets: tbot's sockets on the nodes, and who may replace them."""

from __future__ import annotations

from checks import diagnosis, identity
from doctor.check import Answer, Case, Check, Needs, Section, probes_of
from judge.identity import socket

PROBES = frozenset({Needs.PROBES})


def _answers(case: Case) -> Answer:
    return [identity.own_identities_of_probes(case.install, probes_of(case))]


def _directories(case: Case) -> Answer:
    seen = case.install.cluster.pods_evidence()
    for directory, nodes in identity.nodes_by_directory(case.install).items():
        yield socket.directories_are_closed(probes_of(case).of_socket_directories(nodes, directory), directory, seen)


SECTION = Section(
    "sockets",
    (
        Check("no Istio agent exits beside a Ready tbot", lambda case: diagnosis.agents_that_exit(case.install)),
        Check(
            "no connected proxy waits for its certificate",
            lambda case: [*diagnosis.proxies_that_wait(case.install), *diagnosis.unread(case.install)],
        ),
        Check("every socket answers with the caller's own identity", _answers, "INST-14", PROBES),
        Check("no workload can write to a socket's directory", _directories, "ID-08", PROBES),
        Check(
            "only tbot's containers can write there as root",
            lambda case: identity.only_tbot_writes_to_the_sockets(case.install),
            "ID-08",
        ),
        Check(
            "without its socket, a sidecar does not start",
            lambda case: [identity.install_fails_closed(case.install)],
            "NEG-07",
        ),
    ),
)
