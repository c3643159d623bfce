"""Every check of the table on small installs: what is named, and that no check ends the others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from checks.check import Case, Check, Needs, Part
from checks.parts.cluster import PART as CLUSTER
from checks.table import for_the_doctor
from doctor.document import plain
from doctor.examination import examined
from doctor.told import lines_of
from facts.errors import CouldNotTell, NotApplicable, NotGiven
from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem
from facts.recorder import KeptInMemory
from judge.explain.diagnosis import Diagnosis
from judge.explain.results import NOTHING_FOUND, CheckResult, Outcome
from observe.proxies.survey import Survey
from observe.requests import Requests
from tests.unit.doctor.installs import SHOP, Change, beside_an_egress_gateway, case, install, out_of_sight
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import catalogue
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.mtls.meshes import PERMISSIVE, Workload


def diagnosed(of: Case, *sections: Part) -> Diagnosis:
    requirements = catalogue().requirements
    table = sections or for_the_doctor()
    return examined(of, table, requirements, KeptInMemory(), authority=lambda: "Teleport", requests=Requests())


def named(diagnosis: Diagnosis) -> list[str]:
    return [each.cause.id for each in diagnosis.causes]


def only(*checks: Check) -> tuple[Diagnosis, CheckResult]:
    """The diagnosis of a table with these checks, and the first of them."""
    made = diagnosed(case(install()), Part("part", checks))
    return made, made.checks[0]


def test_a_healthy_install_shows_nothing_with_and_without_a_session() -> None:
    for settings in ({}, {"tctl": "tctl"}):
        made = diagnosed(case(install(), **settings))
        assert [
            (check.title, check.said) for check in made.checks if check.outcome in (Outcome.PROBLEM, Outcome.UNKNOWN)
        ] == []
        assert (made.exit_code, made.causes, made.undetermined) == (0, (), ())


def test_what_needs_a_session_or_probe_pods_is_not_run_without_and_says_so() -> None:
    made = diagnosed(case(install()))
    said = {check.title: check.said for check in made.checks if check.outcome is Outcome.NOT_RUN}
    assert said["the SPIFFE ID templates are Istio's"] == "it needs an admin session at Teleport (--tctl)"
    assert said["every socket answers with the caller's own identity"] == (
        "it needs probe pods on the nodes (--allow namespaced)"
    )
    run = diagnosed(case(install(), tctl="tctl"))
    assert "the SPIFFE ID templates are Istio's" not in {c.title for c in run.checks if c.outcome is Outcome.NOT_RUN}


def _no_tbot(facets: SimpleNamespace) -> None:
    nowhere = replace(facets.tbot.all().first, pods={})
    facets.tbot.all = lambda: make.tbots(nowhere)


def _other_trust_domain(facets: SimpleNamespace) -> None:
    planes = make.planes(make.mesh(config=make.mesh_config(trust_domain="cluster.local")))
    facets.istio.planes = lambda: planes


def _without_role(facets: SimpleNamespace) -> None:
    tbot = facets.tbot.all().first
    facets.teleport.joinings_by_kubernetes = lambda: (make.joining(tbot, make.token(), make.bot(roles=())),)


def _missing_sa(facets: SimpleNamespace) -> None:
    facets.teleport.identities = lambda: (
        make.identity(spiffe_id="/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"),
    )


@pytest.mark.parametrize(
    ("change", "settings", "cause"),
    [
        (_no_tbot, {}, "tbot-not-on-node"),
        (_other_trust_domain, {}, "trust-domain-differs"),
        (_without_role, {"tctl": "tctl"}, "bot-without-role"),
        (_missing_sa, {"tctl": "tctl"}, "identity-template-without-sa"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_defect_is_named_and_no_other(change: Change, settings: dict[str, Any], cause: str) -> None:
    made = diagnosed(case(install(change=change), **settings))
    assert named(made) == [cause]
    assert made.exit_code == 1


def test_a_pod_on_istiod_is_named_with_the_pod() -> None:
    on_istiod = Workload("b", identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})
    made = diagnosed(case(install(SHOP[0], on_istiod)))
    assert named(made)[0] == "template-not-requested"
    assert [str(subject) for subject in made.causes[0].subjects] == ["Pod shop/b"]
    assert [str(problem.subject) for problem in made.causes[0].felt] == ["Pod shop/a", "Pod shop/b"]


def test_a_gateway_without_the_overlay_is_named_and_not_the_two_authorities_that_it_makes() -> None:
    at_gateway = {"socket": make.EMPTY_DIR, "proxy": make.istio_proxy(args=make.ROUTER, is_init=False, restart_policy="")}
    gateway = Workload("gw", namespace="istio-ingress", identity=make.istiod_proxy, pod=at_gateway)
    made = diagnosed(case(install(SHOP[0], gateway)))
    assert named(made)[0] == "gateway-without-socket"
    assert "mixed-authorities" not in named(made)
    assert [each.cause.id for each in made.effects] == ["mixed-authorities"]


def test_no_remedy_leads_into_a_mesh_that_may_be_another_one() -> None:
    """A control plane that lacks Teleport's name beside one that has it is wrong, or has nothing to do with Teleport."""
    billing = Workload(
        "billing",
        namespace="billing",
        identity=make.istiod_proxy,
        pod={"socket": make.EMPTY_DIR, "annotations": make.injected_by("canary")},
    )

    def legacy(facets: SimpleNamespace) -> None:
        canary = make.canary(
            config=make.mesh_config(trust_domain="legacy.local"), injector=make.injector(templates={"sidecar": "x"})
        )
        planes = make.planes(make.mesh(), canary)
        facets.istio.planes = lambda: planes

    made = diagnosed(case(install(*SHOP, billing, change=legacy)))
    found = {each.cause.id: each.remedy[0] for each in (*made.causes, *made.effects)}
    assert {*found} == {"template-not-requested", "trust-domain-differs", "template-missing", "mixed-authorities"}
    for cause, first in found.items():
        assert first.startswith(f"See first whether {make.canary().title} belongs to another mesh: "), cause
    assert "leave it as it is, and Pod billing/billing." in found["template-not-requested"]
    assert plain(made)["causes"][0]["remedy"][0] == made.causes[0].remedy[0]
    assert any(line.strip() == f"1. {made.causes[0].remedy[0]}" for line in lines_of(made))
    alone = diagnosed(case(install(SHOP[0], replace(billing, pod={"socket": make.EMPTY_DIR}))))
    assert all(each.remedy == each.cause.remedy for each in alone.causes)


@pytest.mark.parametrize("reaches", [False, True])
def test_a_gateway_in_whose_configuration_nothing_uses_a_certificate_lacks_none(reaches: bool) -> None:
    """An egress gateway without a route into the mesh asks for none; one that calls a workload of the mesh should."""
    made = diagnosed(case(beside_an_egress_gateway(reaches=reaches)))
    assert ("no-certificate-asked-for" in named(made)) is reaches
    assert reaches or [each.said for each in made.undetermined] == []


def test_plain_text_that_a_server_refuses_breaks_something() -> None:
    b = SHOP[1]
    client = replace(SHOP[0], clusters={"b": built.cluster(b.host, 80)})
    made = diagnosed(case(install(client, b)))
    assert [(each.cause.id, each.harms) for each in made.causes] == [("client-sends-plain-text", True)]
    tolerated = diagnosed(case(install(client, replace(b, inbound=PERMISSIVE))))
    assert {each.harms for each in tolerated.causes} == {False}


def _renamed(suffix: str) -> Change:
    """Gives each pod the name that a template with a slash at its end makes."""

    def change(facets: SimpleNamespace) -> None:
        fleet = facets.proxies.fleet()
        proxies = tuple(replace(p, chain=(svid(uris=(f"{p.spiffe_ids[0]}{suffix}",)),)) for p in fleet.proxies)
        found = replace(fleet, proxies=proxies)
        for name in ("fleet", "sidecar_fleet", "fleet_on_sockets"):
            setattr(facets.proxies, name, lambda: found)

    return change


def test_names_of_a_template_that_was_mended_since() -> None:
    slash, stale = "identity-template-trailing-slash", "identity-change-not-in-force"
    reader = diagnosed(case(install(change=_renamed("/"))))
    assert [each.ids for each in reader.classes] == [(stale, slash)]
    assert (named(reader), reader.undetermined) == ([], ())
    made = diagnosed(case(install(change=_renamed("/")), tctl="tctl"))
    assert (named(made), made.classes, made.undetermined) == ([stale], (), ())


def test_names_of_a_template_that_is_wrong_now() -> None:
    def wrong(facets: SimpleNamespace) -> None:
        _renamed("/")(facets)
        facets.teleport.identities = lambda: (make.identity(spiffe_id=f"{make.identity().spiffe_id}/"),)

    made = diagnosed(case(install(change=wrong), tctl="tctl"))
    assert (named(made), made.classes, made.undetermined) == (["identity-template-trailing-slash"], (), ())


def test_a_wrong_template_hides_no_pod_with_the_name_of_another_workload() -> None:
    def stolen(facets: SimpleNamespace) -> None:
        _renamed("/")(facets)
        facets.teleport.identities = lambda: (make.identity(spiffe_id=f"{make.identity().spiffe_id}/"),)
        first, thief = facets.proxies.fleet().proxies
        taken = replace(thief, chain=(svid(uris=(f"spiffe://{TRUST_DOMAIN}/ns/bank/sa/admin",)),))
        found = replace(facets.proxies.fleet(), proxies=(first, taken))
        for name in ("fleet", "sidecar_fleet", "fleet_on_sockets"):
            setattr(facets.proxies, name, lambda: found)

    made = diagnosed(case(install(change=stolen), tctl="tctl"))
    assert "identity-template-trailing-slash" in named(made)
    assert any("Pod shop/b: it carries" in each.said and "/ns/bank/sa/admin" in each.said for each in made.undetermined)


def test_what_breaks_nothing_comes_behind_what_does() -> None:
    plain = Workload("b", inbound=PERMISSIVE)
    made = diagnosed(case(install(SHOP[0], plain, change=_other_trust_domain)))
    assert named(made) == ["trust-domain-differs", "plain-text-accepted"]
    assert [each.harms for each in made.causes] == [True, False]


def test_rights_that_are_missing_are_no_cause_of_a_broken_mesh() -> None:
    def denied(facets: SimpleNamespace) -> None:
        facets.rights.reviewed = lambda: (make.right("create", "pods/portforward", allowed=False),)

    made = diagnosed(case(install(change=denied)))
    assert named(made) == []
    assert made.exit_code == 6
    (left,) = made.undetermined
    assert "denied: create pods/portforward" in left.said


def probing(case: Case) -> list[Problem]:
    case.probe_pods.namespace()
    return []


def could_not(_case: Case) -> list[Problem]:
    raise CouldNotTell(expected="an answer", seen="none", where="over there", remedy="look there")


def broken(_case: Case) -> list[Problem]:
    raise KeyError("gone")


def unfit(_case: Case) -> list[Problem]:
    raise NotApplicable("TRF-05", "there is no gateway", where="here", evidence=("ev-1",))


def test_an_answer_that_could_not_be_had_is_the_line_of_its_check_alone() -> None:
    made, checked = only(Check("first", could_not), Check("second", lambda _case: []))
    assert (checked.outcome, checked.said) == (Outcome.UNKNOWN, "expected an answer; saw none (over there)")
    assert made.checks[1].outcome is Outcome.HOLDS
    assert [(each.said, each.settle) for each in made.undetermined] == [(checked.said, "look there")]
    assert made.exit_code == 6


def test_a_defect_of_the_suite_is_named_with_its_place_and_ends_nothing() -> None:
    made, checked = only(Check("first", broken), Check("second", lambda _case: []))
    assert checked.outcome is Outcome.UNKNOWN
    assert checked.said.startswith("a defect in the suite: KeyError: 'gone' (in broken, ")
    assert made.checks[1].said == NOTHING_FOUND


def test_what_does_not_apply_leaves_nothing_open() -> None:
    made, checked = only(Check("first", unfit))
    assert (checked.outcome, checked.said, made.exit_code) == (Outcome.NOT_APPLICABLE, "there is no gateway", 0)


def test_the_problems_of_a_rule_are_told_as_those_of_a_judgment_are() -> None:
    node = ObjectRef("Node", "node-1")
    found = Problem(node, "nothing answers", "tbot-not-answering")
    made, checked = only(Check("first", lambda _case: [found]))
    assert (checked.outcome, checked.said) == (Outcome.PROBLEM, "Node node-1: nothing answers")
    assert named(made) == ["tbot-not-answering"]


def test_what_a_rule_could_not_look_at_is_told_and_its_line_is_no_tick() -> None:
    node = ObjectRef("Node", "node-1")
    left = OpenPoint(Problem(node, "no probe ran"), "let it run")
    made, checked = only(Check("first", lambda _case: [left]))
    assert (checked.outcome, checked.said) == (Outcome.UNKNOWN, "Node node-1: no probe ran")
    assert [(each.said, each.settle) for each in made.undetermined] == [("Node node-1: no probe ran", "let it run")]
    assert made.exit_code == 6


def test_a_namespace_without_any_sidecar_is_left_open_beside_a_sound_one() -> None:
    def pay(facets: SimpleNamespace) -> None:
        pods = (*facets.cluster.pods(), make.pod("pay", namespace="pay", injected=False, socket=None))
        namespaces = (*facets.cluster.namespaces(), make.namespace("pay"))
        facets.cluster.pods = facets.cluster.living_pods = lambda: pods
        facets.cluster.namespaces = facets.cluster.namespaces_of_install = lambda: namespaces

    made = diagnosed(case(install(change=pay)))
    assert (made.exit_code, named(made)) == (6, [])
    assert [str(subject) for each in made.undetermined for subject in each.subjects] == ["Pod pay/pay"]


@pytest.mark.parametrize("may_list_nodes", [True, False])
def test_a_pod_of_the_mesh_that_no_node_takes_is_left_open(may_list_nodes: bool) -> None:
    def waiting(facets: SimpleNamespace) -> None:
        pending = make.pod("pending", namespace="shop", node="", phase="Pending", ready=False)
        pods = (*facets.cluster.pods(), pending)
        facets.cluster.pods = facets.cluster.living_pods = lambda: pods
        if not may_list_nodes:
            facets.cluster.nodes = _denied

    made = diagnosed(case(install(change=waiting)), Part("cluster", CLUSTER.checks))
    assert (made.exit_code, named(made)) == (6, [])
    assert "Pod shop/pending" in [str(subject) for each in made.undetermined for subject in each.subjects]


def _denied() -> None:
    raise NotGiven(expected="the right to list nodes", seen="denied", where="nodes", remedy="grant it")


def test_no_rule_about_every_proxy_holds_while_one_could_not_be_read() -> None:
    def silent(facets: SimpleNamespace) -> None:
        fleet = facets.proxies.fleet()
        unread = make.unread(facets.proxies.pods()[1])
        found = replace(fleet, proxies=fleet.proxies[:1], unread=(unread,))
        facets.proxies.fleet = lambda: found

    rules = {
        "every proxy has its configuration from istiod",
        "one authority certifies all proxies",
        "no certificate has ended",
        "every proxy can connect to its socket again",
        "the identity's rules refuse no proxy",
        "no connected proxy waits for its certificate",
        "no server refuses callers whose identity it knows",
    }
    made = diagnosed(case(install(change=silent), tctl="tctl"))
    assert {check.title: check.outcome for check in made.checks if check.title in rules} == dict.fromkeys(
        rules, Outcome.UNKNOWN
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (out_of_sight("b", silent=True), "its node node-2 is not Ready, so nothing of it is judged"),
        (
            out_of_sight("b", silent=True, terminating=True, due="2026-03-01T11:59:59Z"),
            "its node node-2 is not Ready, so nothing of it is judged",
        ),
        (
            out_of_sight("b", silent=False, terminating=True, due="2026-03-01T11:00:00Z"),
            "it was deleted and is still there after its grace period, at 2026-03-01T11:00:00Z: nothing of it is judged, and"
            " its proxy may run on",
        ),
    ],
    ids=["on a silent node", "evicted from a silent node", "deleted and still there"],
)
def test_a_pod_that_nobody_can_ask_is_named_and_left_open(change: Change, said: str) -> None:
    made = diagnosed(case(install(change=change)))
    assert (made.exit_code, named(made)) == (6, [])
    assert [each.said for each in made.undetermined] == [f"Pod shop/b: {said}"]


@pytest.mark.parametrize(
    "change",
    [
        out_of_sight("b", silent=True, phase="Failed"),
        out_of_sight("b", silent=False, terminating=True, due="2999-01-01T00:00:00Z"),
    ],
    ids=["it has ended", "it is being deleted"],
)
def test_a_pod_that_goes_as_it_should_leaves_nothing_open(change: Change) -> None:
    made = diagnosed(case(install(change=change)))
    assert (made.exit_code, made.undetermined) == (0, ())


@pytest.mark.parametrize(
    ("init", "exit_code"),
    [
        ({"state": "running", "started_at": "2026-03-01T11:59:00Z"}, 0),
        ({"state": "running", "started_at": "2026-02-26T12:00:00Z"}, 6),
        ({"state": "waiting", "reason": "CrashLoopBackOff", "restarts": 4}, 6),
    ],
    ids=["it waits", "it hangs", "it fails"],
)
def test_a_pod_that_waits_for_its_own_init_container_leaves_nothing_open(init: dict[str, Any], exit_code: int) -> None:
    def held_up(facets: SimpleNamespace) -> None:
        pod, fleet = facets.proxies.pods()[1], facets.proxies.fleet()
        proxy = make.istio_proxy(ready=False, started=False, state="waiting", is_init=False, restart_policy="")
        first = make.container("migrate", ready=False, started=False, is_init=True, **init)
        now = replace(pod, ready=False, spec=replace(pod.spec, containers=(first, proxy)))
        unread = replace(make.unread(pod), now=now)
        found = replace(fleet, proxies=fleet.proxies[:1], unread=(unread,))
        facets.proxies.fleet = facets.proxies.fleet_on_sockets = facets.proxies.sidecar_fleet = lambda: found
        facets.survey = Survey(facets.proxies.pods(), {"identity": {each.pod.uid: each for each in found.outcomes}})

    made = diagnosed(case(install(change=held_up)))
    assert (made.exit_code, named(made)) == (exit_code, [])
    assert bool(made.undetermined) is bool(exit_code)
    assert [each.said for each in made.waiting] == (
        [] if exit_code else ["its init container migrate keeps istio-proxy from starting"]
    )
    assert any(check.outcome is Outcome.UNKNOWN for check in made.checks)


def test_a_check_with_probe_pods_must_say_that_it_needs_them() -> None:
    made, checked = only(Check("first", probing))
    assert "must say so in `needs`" in checked.said
    assert made.exit_code == 6
    _, said = only(Check("first", could_not, needs=frozenset({Needs.PROBES, Needs.SESSION})))
    assert said.said == ("it needs an admin session at Teleport (--tctl) and probe pods on the nodes (--allow namespaced)")
