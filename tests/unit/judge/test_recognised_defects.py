"""Which findings show the guide's own defects, by naming their causes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container
from facts.kubernetes.workloads import Deployment
from judge.install.application import some_node_is_selected
from judge.install.components import no_known_defect, tbot_components
from judge.install.istio import injected_pod_is_accepted
from providers.teleport.judge.teleport import bot_has_role
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import ROOT, catalogue, holds, unknown, violated


def test_the_cause_of_every_defect_is_named_by_some_judgment() -> None:
    judgments = "".join(
        path.read_text(encoding="utf-8").replace("'", '"')
        for path in (*(ROOT / "judge").rglob("*.py"), *ROOT.glob("providers/*/judge/**/*.py"))
    )
    assert [d.cause for d in catalogue().guide_defects if f'"{d.cause}"' not in judgments] == []


def test_a_bot_that_is_missing_is_the_guides() -> None:
    finding = bot_has_role(make.token(), make.absent("bot/istio-tbot"), make.ROLE)
    violated(finding, "INST-10", "which does not exist")
    assert finding.showing("bot-missing")
    for bot in (make.bot(), make.bot(roles=())):
        assert not bot_has_role(make.token(), bot, make.ROLE).showing("bot-missing")


def test_a_second_istio_proxy_is_the_guides_template_and_another_refusal_is_not() -> None:
    def refused(capture: str) -> Finding:
        said = document(f"cluster/{capture}.json")["message"]
        finding = injected_pod_is_accepted(make.dry_run(accepted=False, pod=None, message=said))
        violated(finding, "INST-07", said)
        return finding

    assert refused("dry_run_second_proxy").causes == ("template-builds-invalid-pod",)
    assert not refused("dry_run_refused").showing("template-builds-invalid-pod")
    assert not injected_pod_is_accepted(make.dry_run()).showing("template-builds-invalid-pod")


FLOATING, EXACT = "registry.test/tbot-distroless:18", "registry.test/tbot-distroless:18.6.4"


@pytest.mark.parametrize("image", [FLOATING, "registry.test/tbot-distroless:18.6", "registry.test/tbot-distroless"])
def test_a_floating_tag_is_the_guides_whether_or_not_heartbeats_tell_the_version(image: str) -> None:
    container = make.container("tbot", image)
    pods = {"node-1": make.pod("tbot-1", injected=False)}
    tbot = replace(make.tbot(), container=container, pods={k: with_container(p, container) for k, p in pods.items()})
    silent = no_known_defect(tbot_components(tbot, None), image)
    unknown(silent, "INST-16")
    heard = no_known_defect(tbot_components(tbot, [make.bot_instance("tbot-1")]), image)
    holds(heard, "INST-16")
    assert f"the tag of {image} floats" in heard.seen
    for finding in (silent, heard):
        (shown,) = finding.showing("tbot-version-floating")
        assert image in str(shown.subject)


@pytest.mark.parametrize("image", [EXACT, f"{EXACT}@sha256:{'a' * 64}", f"registry.test/tbot@sha256:{'a' * 64}"])
def test_an_exact_tag_and_a_digest_float_not(image: str) -> None:
    finding = no_known_defect(tbot_components(make.tbot(), [make.bot_instance("tbot-1")]), image)
    assert not finding.showing("tbot-version-floating")
    assert "floats" not in finding.seen


def with_container(pod: Pod, container: Container) -> Pod:
    return replace(pod, spec=replace(pod.spec, containers=(container,)))


def selecting(**labels: str) -> Deployment:
    made = make.deployment("test-app", namespace="test-app")
    return replace(made, template=replace(made.template, spec=replace(made.template.spec, node_selector=labels)))


NODES = [make.node("node-1", zone="a", disk="ssd"), make.node("node-2", zone="b")]
WHERE, EVIDENCE = "pods with app=test-app in test-app", ("ev-pods",)


def test_a_node_that_this_cluster_does_not_have_shows_without_any_pod() -> None:
    finding = some_node_is_selected([], selecting(zone="c"), NODES, WHERE, EVIDENCE)
    violated(finding, "INST-15", "zone=c", "node-1, node-2", evidence=("ev-pods", "ev-test-app", "ev-node-1"))
    assert finding.causes == ("node-selector-fits-no-node",)


def test_all_of_the_labels_have_to_be_on_one_node() -> None:
    violated(
        some_node_is_selected([], selecting(zone="b", disk="ssd"), NODES, WHERE, EVIDENCE), "INST-15", "disk=ssd, zone=b"
    )
    finding = some_node_is_selected([], selecting(zone="a", disk="ssd"), NODES, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-test-app", "ev-node-1")
    assert finding.causes == ()


def test_without_a_selector_any_node_fits() -> None:
    holds(some_node_is_selected([make.pod()], selecting(), NODES, WHERE, EVIDENCE), "INST-15", "ev-test-app")


def test_where_there_is_no_deployment_the_pods_are_asked() -> None:
    pod = make.pod()
    bound = replace(pod, spec=replace(pod.spec, node_selector={"zone": "c"}))
    absent = make.absent("deployment/test-app")
    violated(some_node_is_selected([pod, bound], absent, NODES, WHERE, EVIDENCE), "INST-15", "zone=c")
    holds(some_node_is_selected([pod], absent, NODES, WHERE, EVIDENCE), "INST-15", "ev-absent-deployment")
