"""What became of the guide's own defects: found, hidden, repaired, absent, or unknown; and which findings show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from facts.catalogue import About, GuideDefect, Level, Requirement
from facts.finding import Finding, Holds
from facts.guide import Defect
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container
from facts.kubernetes.workloads import Deployment
from judge.guide_defects import Presence, ToldDefect, tell
from judge.install.application import some_node_is_selected
from judge.install.istio import injected_pod_is_accepted
from judge.install.tbot import no_known_defect, tbot_components
from judge.install.teleport import bot_has_role
from judge.verdict import Judged, Verdict
from provision.installing.repairs import REPAIRS
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import ROOT, catalogue, holds, unknown, violated

BOT = GuideDefect(Defect.BOT, "No bot.", ("A",), "Nobody joins.", ("B", "C"))
TEMPLATE = GuideDefect(Defect.TEMPLATE, "Wrong list.", ("B",), "No pod.", ("C",))
SELECTOR = GuideDefect(Defect.NODE_SELECTOR, "Wrong node.", ("C", "D"))


def judged(**verdicts: Verdict) -> list[Judged]:
    return [
        Judged(
            Requirement(i, "It holds.", Level.MUST, About.INSTALL, "install", "Guide", "Looking.", f"Mend {i}."),
            verdict,
            () if verdict is Verdict.PASS else (f"{i} is not so",),
        )
        for i, verdict in verdicts.items()
    ]


def shows(
    requirement: str, defect: Defect | None, answer: Holds = Holds.NO, remedy: str = "", condition: str = ""
) -> Finding:
    return Finding(
        requirement,
        answer,
        "a bot",
        f"{requirement} shows it",
        "token/x",
        ("ev",),
        remedy=remedy,
        condition=condition,
        guide_defect=defect,
    )


def told(
    verdicts: Sequence[Judged], findings: Mapping[str, Sequence[Finding]] | None = None, repaired: Sequence[str] = ()
) -> dict[str, ToldDefect]:
    made = tell((BOT, TEMPLATE, SELECTOR), verdicts, lambda i: (findings or {}).get(i, ()), repaired)
    return {each.defect.name: each for each in made}


FAIL, PASS, ERROR = Verdict.FAIL, Verdict.PASS, Verdict.ERROR


def test_a_defect_is_found_where_a_finding_shows_it_and_only_there() -> None:
    found = told(judged(A=FAIL, B=FAIL), {"A": [shows("A", Defect.BOT)], "B": [shows("B", None)]})
    assert found["bot"] == ToldDefect(BOT, Presence.FOUND, "A shows it", "token/x", "Mend A.", ("A",))
    assert found["template"].presence is not Presence.FOUND


def test_a_findings_own_remedy_goes_before_the_catalogues_and_a_no_before_a_yes() -> None:
    first = shows("C", Defect.NODE_SELECTOR, Holds.YES)
    second = shows("D", Defect.NODE_SELECTOR, remedy="Take it out.")
    plain = told(judged(C=PASS, D=FAIL), {"D": [shows("D", Defect.NODE_SELECTOR)]})["node-selector"]
    assert plain.remedy == "Mend C.", "the first one that catches it"
    found = told(judged(C=PASS, D=FAIL), {"C": [first], "D": [second]})["node-selector"]
    assert (found.seen, found.remedy, found.shown_by) == ("D shows it", "Take it out.", ("C", "D"))


@pytest.mark.parametrize("answer", [Holds.YES, Holds.UNKNOWN])
def test_a_defect_that_does_no_harm_yet_or_that_nobody_can_judge_is_found_too(answer: Holds) -> None:
    found = told(judged(A=PASS if answer is Holds.YES else ERROR), {"A": [shows("A", Defect.BOT, answer)]})
    assert found["bot"].presence is Presence.FOUND


def test_what_cannot_hold_before_another_defect_is_mended_is_hidden_behind_the_first_one() -> None:
    shown = {"A": [shows("A", Defect.BOT)], "B": [shows("B", Defect.TEMPLATE)]}
    found = told(judged(A=FAIL, B=FAIL, C=FAIL, D=PASS), shown)
    assert found["node-selector"].presence is Presence.HIDDEN
    assert "the defect `bot` is mended" in found["node-selector"].seen
    assert told(judged(B=FAIL, C=FAIL), {"B": shown["B"]})["node-selector"].seen.endswith("`template` is mended")
    passed = told(judged(A=FAIL, C=PASS, D=PASS), {"A": shown["A"]})["node-selector"]
    assert passed.presence is Presence.HIDDEN, "a pass behind it proves nothing"


def test_a_failure_that_shows_no_defect_and_hides_behind_none_says_nothing_of_it() -> None:
    found = told(judged(A=PASS, C=FAIL))
    assert (found["node-selector"].presence, found["node-selector"].seen) == (Presence.UNKNOWN, "C: C is not so")


@pytest.mark.parametrize("verdict", [PASS, Verdict.NOT_APPLICABLE])
def test_where_all_that_catches_it_holds_it_is_absent(verdict: Verdict) -> None:
    assert told(judged(C=verdict, D=PASS))["node-selector"].presence is Presence.ABSENT
    assert told(judged(C=verdict, D=Verdict.NOT_EVALUATED))["node-selector"].presence is Presence.UNKNOWN


def test_what_was_repaired_is_said_so_unless_it_shows_all_the_same() -> None:
    assert told(judged(A=FAIL), repaired=["bot"])["bot"].presence is Presence.REPAIRED
    assert told(judged(A=FAIL), {"A": [shows("A", Defect.BOT)]}, ["bot"])["bot"].presence is Presence.FOUND


def test_only_what_the_run_looks_for_is_told() -> None:
    assert list(told(judged(D=PASS))) == ["node-selector"]


# The catalogue.


def test_the_catalogue_describes_every_defect_and_what_stops_something_can_be_repaired() -> None:
    defects = catalogue().guide_defects
    assert [d.name for d in defects] == list(Defect)
    assert {d.name for d in defects if d.stops} <= set(REPAIRS)
    assert set(REPAIRS) <= set(Defect)
    assert all(bool(d.stops) == bool(d.hides) for d in defects)
    assert not any(set(d.caught_by) & set(d.hides) for d in defects)


def test_every_defect_is_recognised_by_some_judgment() -> None:
    judgments = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "judge").rglob("*.py"))
    assert [d for d in Defect if f"Defect.{d.name}" not in judgments] == []


# Which findings show which defect.


def test_a_bot_that_is_missing_is_the_guides() -> None:
    finding = bot_has_role(make.token(), make.absent("bot/istio-tbot"), make.ROLE)
    violated(finding, "INST-10", "which does not exist")
    assert finding.guide_defect is Defect.BOT
    for bot in (make.bot(), make.bot(roles=())):
        assert bot_has_role(make.token(), bot, make.ROLE).guide_defect is None


def test_a_second_istio_proxy_is_the_guides_template_and_another_refusal_is_not() -> None:
    def refused(capture: str) -> Finding:
        said = document(f"cluster/{capture}.json")["message"]
        finding = injected_pod_is_accepted(make.dry_run(accepted=False, pod=None, message=said))
        violated(finding, "INST-07", said)
        return finding

    assert refused("dry_run_second_proxy").guide_defect is Defect.TEMPLATE
    assert refused("dry_run_refused").guide_defect is None
    assert injected_pod_is_accepted(make.dry_run()).guide_defect is None


FLOATING, EXACT = "registry.test/tbot-distroless:18", "registry.test/tbot-distroless:18.6.4"


@pytest.mark.parametrize("image", [FLOATING, "registry.test/tbot-distroless:18.6", "registry.test/tbot-distroless"])
def test_a_floating_tag_is_the_guides_whether_or_not_heartbeats_tell_the_version(image: str) -> None:
    container = make.container("tbot", image)
    pods = {"node-1": make.pod("tbot-1", injected=False)}
    tbot = replace(make.tbot(), container=container, pods={k: with_container(p, container) for k, p in pods.items()})
    silent = no_known_defect(tbot_components(tbot, None), image)
    unknown(silent, "INST-16", image)
    heard = no_known_defect(tbot_components(tbot, [make.bot_instance("tbot-1")]), image)
    holds(heard, "INST-16")
    assert f"the tag of {image} floats" in heard.seen
    assert silent.guide_defect is heard.guide_defect is Defect.TBOT_TAG


@pytest.mark.parametrize("image", [EXACT, f"{EXACT}@sha256:{'a' * 64}", f"registry.test/tbot@sha256:{'a' * 64}"])
def test_an_exact_tag_and_a_digest_float_not(image: str) -> None:
    finding = no_known_defect(tbot_components(make.tbot(), [make.bot_instance("tbot-1")]), image)
    assert finding.guide_defect is None
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
    assert finding.guide_defect is Defect.NODE_SELECTOR
    assert "nodeSelector" in finding.remedy


def test_all_of_the_labels_have_to_be_on_one_node() -> None:
    violated(
        some_node_is_selected([], selecting(zone="b", disk="ssd"), NODES, WHERE, EVIDENCE), "INST-15", "disk=ssd, zone=b"
    )
    finding = some_node_is_selected([], selecting(zone="a", disk="ssd"), NODES, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-test-app", "ev-node-1")
    assert finding.guide_defect is None


def test_without_a_selector_any_node_fits() -> None:
    holds(some_node_is_selected([make.pod()], selecting(), NODES, WHERE, EVIDENCE), "INST-15", "ev-test-app")


def test_where_there_is_no_deployment_the_pods_are_asked() -> None:
    pod = make.pod()
    bound = replace(pod, spec=replace(pod.spec, node_selector={"zone": "c"}))
    absent = make.absent("deployment/test-app")
    violated(some_node_is_selected([pod, bound], absent, NODES, WHERE, EVIDENCE), "INST-15", "zone=c")
    holds(some_node_is_selected([pod], absent, NODES, WHERE, EVIDENCE), "INST-15", "ev-absent-deployment")
