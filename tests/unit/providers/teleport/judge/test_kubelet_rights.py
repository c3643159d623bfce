"""INST-18: tbot's rights at the kubelet, beside what the kubelets of its nodes ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.access import Right
from providers.teleport.facts.tbot import KUBELET_RIGHTS, TO_DO_ALL, TO_POST, TO_READ_PODS, Tbot
from providers.teleport.facts.tbot_config import KubernetesAttestor
from providers.teleport.judge.kubelet_rights import rights_are_what_attestation_needs
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated

WIDE = ("tbot-may-use-nodes-proxy",)
REASON = 'RBAC: allowed by ClusterRoleBinding "tbot"'


def judged(
    *allowed: tuple[str, str], kubelet: str = "v1.34.4", tbot: Tbot | None = None, elsewhere: str = "v1.34.4"
) -> Finding:
    rights = [
        Right(*each, allowed=each in allowed, evidence=(f"ev-{'-'.join(each)}",), reason=REASON if each in allowed else "")
        for each in KUBELET_RIGHTS
    ]
    nodes = [replace(make.node(), kubelet_version=kubelet), replace(make.node("node-without"), kubelet_version=elsewhere)]
    return rights_are_what_attestation_needs(tbot or make.tbot(), rights, nodes)


def attesting(**kubelet: Any) -> Tbot:
    service = make.tbot_config().services[0]
    attestor = replace(KubernetesAttestor(enabled=True, secure_port=10250), **kubelet)
    return make.tbot(config=replace(make.tbot_config(), services=(replace(service, kubernetes=attestor),)))


def test_the_one_right_that_attestation_needs() -> None:
    finding = judged(TO_READ_PODS)
    holds(finding, "INST-18", "ev-agent", "ev-get-nodes/pods", "ev-get-nodes/proxy", "ev-create-nodes/proxy", "ev-node-1")
    assert finding.seen == "it may get nodes/pods"


@pytest.mark.parametrize("version", ["v1.33.0", "v1.33.0-eks-1", "v1.34.4+k3s1", "v1.36.1"])
def test_nodes_proxy_is_too_much_where_every_kubelet_knows_the_finer_right(version: str) -> None:
    finding = judged(TO_DO_ALL, kubelet=version)
    violated(finding, "INST-18", f"it may get nodes/proxy ({REASON})", evidence=("ev-get-nodes/proxy",), causes=WIDE)
    assert finding.where == "ServiceAccount teleport-system/tbot"


@pytest.mark.parametrize("right", [TO_DO_ALL, TO_POST])
def test_either_verb_runs_commands(right: tuple[str, str]) -> None:
    violated(judged(TO_READ_PODS, right), "INST-18", " ".join(right), causes=WIDE)


def test_an_older_kubelet_under_a_tbot_needs_nodes_proxy() -> None:
    finding = judged(TO_DO_ALL, kubelet="v1.32.9")
    holds(finding, "INST-18")
    assert [(note.said, note.cause) for note in finding.notes] == [(f"it may get nodes/proxy ({REASON})", "")]
    violated(judged(TO_DO_ALL, TO_POST, kubelet="v1.32.9"), "INST-18", "create nodes/proxy", causes=WIDE)


def test_an_older_kubelet_without_a_tbot_does_not() -> None:
    violated(judged(TO_DO_ALL, elsewhere="v1.32.9"), "INST-18", "get nodes/proxy", causes=WIDE)


def test_too_few_rights_attest_nobody() -> None:
    violated(judged(), "INST-18", "may not get nodes/pods", causes=("kubelet-unreachable",))
    words = "before Kubernetes 1.33.0 ask for: node-1 (v1.32.9)"
    violated(judged(TO_READ_PODS, kubelet="v1.32.9"), "INST-18", words, causes=("kubelet-unreachable",))


@pytest.mark.parametrize("way", [{"read_only_port": 10255}, {"anonymous": True}, {"token_path": "/other/token"}])
def test_a_tbot_that_does_not_ask_as_its_service_account_needs_no_right(way: dict[str, Any]) -> None:
    tbot = attesting(**way)
    finding = judged(tbot=tbot)
    holds(finding, "INST-18")
    assert finding.seen == "it may do nothing there"
    violated(judged(TO_DO_ALL, kubelet="v1.32.9", tbot=tbot), "INST-18", "get nodes/proxy", causes=WIDE)


def test_a_service_without_attestation_asks_no_kubelet() -> None:
    holds(judged(tbot=attesting(enabled=False)), "INST-18")
