"""`conformance doctor --rotation` and `--migration`: what they print, their documents, and their exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from doctor import migration, rotation
from facts.errors import CouldNotTell
from facts.finding import Remark
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.requests import SentRequests
from facts.svid import Certificate
from judge.advice.moving import Moves
from judge.advice.rotation import MayBegin
from providers.teleport.facts.resources import NoSession
from tests.unit.doctor.installs import SHOP, Change, out_of_sight
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid
from tests.unit.judge.mtls.meshes import Workload
from tests.unit.test_cli_doctor import Asking

BEFORE = authority("before")
AFTER = authority("after", starts=NOW - timedelta(minutes=5))
BOTH = (BEFORE, AFTER)
ON_ISTIOD = Workload("b", identity=make.istiod_proxy)
SESSION = ("--tctl", "tctl")


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asking:
    return Asking(monkeypatch, capsys)


def holding(name: str, signer: str, *trusted: Certificate) -> Workload:
    """A workload whose proxy has a certificate of an authority, and trusts some."""

    def identity(pod: Pod) -> ProxyIdentity:
        leaf = svid(pod.namespace, pod.service_account, issuer=signer)
        return make.proxy(pod, chain=(leaf,), root_authorities={TRUST_DOMAIN: trusted})

    return Workload(name, identity=identity)


def teleport(phase: str = "", published: tuple[Certificate, ...] = BOTH, **others: Any) -> Change:
    """A Teleport in a phase that publishes authorities."""

    def change(facets: SimpleNamespace) -> None:
        cell = f"in progress (mode: manual, phase: {phase})"
        facets.teleport.published = lambda: make.bundle(authorities=published)
        facets.teleport.status = lambda: others.get("status") or make.status(spiffe_rotation=cell)

    return change


def document(said: str, schema: Path) -> dict[str, Any]:
    rules = json.loads(schema.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(rules)
    found: dict[str, Any] = json.loads(said)
    jsonschema.Draft202012Validator(rules).validate(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(rules).validate({**found, "more": 1})
    return found


FOLLOWED = (holding("a", "after", *BOTH), holding("b", "after", *BOTH))
LAGGING = (FOLLOWED[0], holding("b", "before", *BOTH))


def test_the_next_phase_may_begin(asking: Asking) -> None:
    code, said = asking("--rotation", *SESSION, of=FOLLOWED, change=teleport("update_clients"))
    assert code == 0
    assert "\nphase:       update_clients\n" in said
    assert "\nproxies:     2 of 2 have followed update_clients\n" in said
    assert said.rstrip().endswith("✓ the next phase may begin: update_servers · exit 0")
    assert "\nrequests:  1 (1 to API server), in " in said


def test_a_proxy_that_lags_is_named_with_its_node_and_the_remedy(asking: Asking) -> None:
    code, said = asking("--rotation", *SESSION, of=LAGGING, change=teleport("update_clients"))
    assert code == 1
    assert f"    ✕ {make.NODE}: 1 of 2 lag\n" in said
    assert (
        "\nAgainst the next phase\n✕ Pod shop/b: update_clients: on"
        f" {make.NODE} it has a certificate of the old, not of the new\n" in said
    )
    assert "rotation-not-followed: " in said
    assert "    What to do:\n      1. Enter no further phase of the rotation" in said
    assert said.rstrip().endswith("✕ the next phase must wait (update_servers): 1 proxy behind · exit 1")


def test_a_node_on_which_all_lag_points_at_its_tbot(asking: Asking) -> None:
    _code, said = asking("--rotation", *SESSION, of=LAGGING[1:], change=teleport("update_clients"))
    assert f"    ✕ {make.NODE}: 1 of 1 lag; look at its tbot\n" in said


@pytest.mark.parametrize(
    ("given", "change", "why"),
    [
        ((), teleport(), "only a session at Teleport tells the phase (--tctl)"),
        (SESSION, teleport(status=NoSession("expired", expired=True)), "tctl status does not work: expired"),
        (SESSION, teleport(status=make.status(spiffe_rotation="")), "tctl status has no line about the SPIFFE authority"),
    ],
)
def test_without_the_phase_it_tells_what_the_public_bundle_shows(
    asking: Asking, given: tuple[str, ...], change: Change, why: str
) -> None:
    code, said = asking("--rotation", *given, of=FOLLOWED, change=change)
    assert code == 6
    assert f"phase:       one of standby, init, update_clients, update_servers, rollback: {why}\n" in said
    assert "all have done what standby and update_clients and update_servers demand" in said
    assert said.rstrip().endswith("! not determined: the phase is not known · exit 6")


def test_no_rotation_and_no_proxy(asking: Asking) -> None:
    single = teleport(published=(AFTER,))
    code, said = asking("--rotation", of=(holding("a", "after", AFTER),), change=single)
    assert (code, said.splitlines()[-1]) == (0, "✓ no rotation is under way · exit 0")

    def no_proxy(facets: SimpleNamespace) -> None:
        teleport("init")(facets)
        facets.proxies.fleet_on_sockets = make.fleet

    code, said = asking("--rotation", *SESSION, change=no_proxy)
    assert (code, said.splitlines()[-1]) == (6, "! not determined: no proxy uses tbot's sockets · exit 6")


def test_a_proxy_that_could_not_be_read_leaves_the_rotation_open(asking: Asking) -> None:
    unread = (FOLLOWED[0], Workload("b", identity=None))
    code, said = asking("--rotation", *SESSION, of=unread, change=teleport("update_clients"))
    assert code == 6
    assert "? Pod shop/b: the suite could not read it: forbidden\n" in said
    assert said.splitlines()[-1] == "! not determined: 1 proxy could not be read · exit 6"


def test_a_gateway_that_needs_no_certificate_stands_against_no_phase(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = replace(FOLLOWED[1], identity=lambda pod: make.proxy(pod, chain=(), root_authorities={}))
    given: dict[str, Any] = {"of": (FOLLOWED[0], idle), "change": teleport("update_clients")}
    code, _said = asking("--rotation", *SESSION, **given)
    assert code == 1
    needless = (Remark(make.pod("b", namespace="shop").ref, "it needs none"),)
    monkeypatch.setattr("checks.mtls.unused_gateways", lambda *_: needless)
    code, said = asking("--rotation", *SESSION, **given)
    assert (code, said.splitlines()[-1]) == (0, "✓ the next phase may begin: update_servers · exit 0")
    assert "\nGateways that follow no rotation\n? Pod shop/b: it needs none\n" in said
    _code, said = asking("--rotation", "--json", *SESSION, **given)
    assert [each["subject"]["name"] for each in document(said, rotation.SCHEMA_FILE)["left_out"]] == ["b"]


def test_a_proxy_on_a_node_that_is_not_ready_leaves_the_rotation_open(asking: Asking) -> None:
    """It comes back with the authorities that it had."""

    def change(facets: SimpleNamespace) -> None:
        teleport("update_clients")(facets)
        out_of_sight("b", silent=True)(facets)

    for arguments in (SESSION, ()):
        code, said = asking("--rotation", *arguments, of=FOLLOWED, change=change)
        assert (code, said.splitlines()[-1]) == (6, "! not determined: 1 proxy could not be read · exit 6")
        assert "? Pod shop/b: its node node-2 is not Ready, so nothing of it is judged\n" in said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (make.status(cluster_name="other.example.com"), "saw one at other.example.com (tctl status)"),
        (make.status(spiffe_rotation="in progress (mode: manual, phase: dance)"), "saw dance (tctl status)"),
    ],
)
def test_a_session_that_tells_of_something_else_is_no_advice(asking: Asking, status: Any, said: str) -> None:
    code, printed = asking("--rotation", *SESSION, change=teleport(status=status))
    assert code == 6
    assert said in printed


@pytest.mark.parametrize(
    ("of", "given", "answer"),
    [
        (FOLLOWED, SESSION, "the next phase may begin"),
        (LAGGING, SESSION, "the next phase must wait"),
        (FOLLOWED, (), "not determined"),
        ((*FOLLOWED, Workload("c", identity=None)), (), "not determined"),
    ],
)
def test_the_document_of_a_rotation(asking: Asking, of: tuple[Workload, ...], given: tuple[str, ...], answer: str) -> None:
    code, said = asking("--rotation", "--json", *given, of=of, change=teleport("update_clients"))
    found = document(said, rotation.SCHEMA_FILE)
    assert found["may_begin"] == answer
    assert rotation.EXIT_CODES[MayBegin(answer)] == code
    assert [node["proxies"] for node in found["nodes"]] == [2]
    if answer == "the next phase must wait":
        assert found["against"][0]["subject"] == {"kind": "Pod", "namespace": "shop", "name": "b"}
        assert found["nodes"] == [{"name": make.NODE, "proxies": 2, "lagging": 1}]


def test_an_order_of_restarts_with_what_breaks_and_heals(asking: Asking) -> None:
    code, said = asking("--migration", of=(SHOP[0], ON_ISTIOD))
    assert code == 1
    assert "✓ Teleport: shop/a\n▲ istiod: shop/b\n" in said
    assert "\nPairs that cannot shake hands today: 2\n    ✕ shop/a → shop/b\n    ✕ shop/b → shop/a\n" in said
    assert "\n1. restart shop/b: heals shop/a → shop/b, shop/b → shop/a\n" in said
    assert "\nPairs that cannot shake hands afterwards: none\n" in said
    assert "No reading tells who calls whom" in said
    assert said.rstrip().endswith("✕ 1 workload to move; begin with shop/b · exit 1")


def test_before_the_first_move_the_goal_is_supposed_and_said(asking: Asking) -> None:
    code, said = asking("--migration", of=(Workload("a", identity=make.istiod_proxy), ON_ISTIOD))
    assert code == 1
    assert "\n1. restart shop/a: breaks shop/a → shop/b, shop/b → shop/a\n2. restart shop/b: heals " in said
    assert "No proxy has a valid certificate of Teleport yet" in said


def test_nothing_to_move_and_not_determined(asking: Asking) -> None:
    code, said = asking("--migration")
    assert (code, said.splitlines()[-1]) == (0, "✓ there is nothing to move · exit 0")
    assert "Order of restarts" not in said
    code, said = asking("--migration", of=(SHOP[0], Workload("b", identity=None)))
    assert (code, said.splitlines()[-1]) == (6, "! not determined: 1 proxy could not be read · exit 6")
    assert "? Pod shop/b: the suite could not read it: forbidden\n" in said
    code, said = asking("--migration", change=out_of_sight("b", silent=True))
    assert code == 6
    assert "? Pod shop/b: its node node-2 is not Ready, so nothing of it is judged\n" in said


def test_a_migration_says_which_control_plane_may_be_of_another_mesh(asking: Asking) -> None:
    def apart(facets: SimpleNamespace) -> None:
        facets.istio.planes = lambda: make.planes(
            make.mesh(), make.canary(config=make.mesh_config(trust_domain="old.local"))
        )

    _code, said = asking("--migration", of=(SHOP[0], ON_ISTIOD), change=apart)
    assert f"? {make.canary().title} may belong to another mesh: its trust domain is not Teleport's cluster name" in said
    _code, said = asking("--migration", of=(SHOP[0], ON_ISTIOD))
    assert "another mesh" not in said


def test_without_istiods_authorities_there_is_a_plan_all_the_same(asking: Asking) -> None:
    def nothing(facets: SimpleNamespace) -> None:
        def fails() -> None:
            raise CouldNotTell(expected="istiod's roots", seen="nothing", where="the ConfigMap", remedy="look")

        facets.istio.authorities = fails

    code, said = asking("--migration", of=(SHOP[0], ON_ISTIOD), change=nothing)
    assert code == 1
    assert (
        "▲ another authority: shop/b\n? certificates of istiod count as those of another authority: expected istiod" in said
    )
    _code, said = asking("--migration", "--json", of=(SHOP[0], ON_ISTIOD), change=nothing)
    assert document(said, migration.SCHEMA_FILE)["istiod_unread"]


def test_what_no_move_heals_is_said(asking: Asking) -> None:
    def lapsed(pod: Pod) -> ProxyIdentity:
        return make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, minutes=5),))

    code, said = asking("--migration", of=(SHOP[0], Workload("b", identity=lapsed)))
    assert code == 0
    assert "\n    ✕ shop/a → shop/b\n" in said
    assert "✓ there is nothing to move; no restart heals what is broken (2): ask `conformance doctor`" in said


def test_a_long_list_is_shortened_on_the_terminal_alone(asking: Asking) -> None:
    many = tuple(Workload(f"w{at:02}", identity=make.istiod_proxy) for at in range(22))
    _code, said = asking("--migration", of=(SHOP[0], *many))
    assert "w19, and 2 more\n" in said
    assert "Pairs that cannot shake hands today: 44\n" in said
    assert "    and 24 more\n" in said
    assert "This is a good order, not the best of all." in said
    _code, said = asking("--migration", "--json", of=(SHOP[0], *many))
    assert len(json.loads(said)["today"]) == 44


@pytest.mark.parametrize("of", [SHOP, (SHOP[0], ON_ISTIOD), (SHOP[0], Workload("b", identity=None))])
def test_the_document_of_a_migration(asking: Asking, of: tuple[Workload, ...]) -> None:
    code, said = asking("--migration", "--json", of=of)
    found = document(said, migration.SCHEMA_FILE)
    assert migration.EXIT_CODES[Moves(found["moves"])] == code
    assert found["calls_are_assumed"] is True
    if of[-1] is ON_ISTIOD:
        assert found["by_issuer"] == {"Teleport": 1, "istiod": 1}
        way = {"client": "shop/a", "server": "shop/b", "weight": 1, "is_counted": False}
        assert found["today"] == [way, {**way, "client": "shop/b", "server": "shop/a"}]
        assert found["steps"] == [{"workload": "shop/b", "breaks": [], "heals": found["today"], "broken": 0}]


def sending(**sent: SentRequests) -> Change:
    """An install whose proxies have sent requests."""

    def change(facets: SimpleNamespace) -> None:
        facets.proxies.requests = lambda: {f"uid-{name}": of for name, of in sent.items()}

    return change


MOVING = (SHOP[0], ON_ISTIOD, Workload("c", identity=make.istiod_proxy))
COUNTED = sending(a=make.sent({"shop/b": 12, "shop/c": 3000}), b=make.sent(), c=make.sent())


def test_requests_that_were_counted_decide_the_order_and_are_said(asking: Asking) -> None:
    code, said = asking("--migration", of=MOVING, change=COUNTED)
    assert code == 1
    assert (
        "\nPairs that cannot shake hands today: 4\n"
        "    ✕ shop/a → shop/c: 5 requests/s\n    ✕ shop/a → shop/b: 0.02 requests/s\n"
        "    ✕ shop/b → shop/a: no request\n    ✕ shop/c → shop/a: no request\n"
    ) in said
    assert "\n1. restart shop/c: heals shop/a → shop/c; then 0.02 requests/s fail\n" in said
    assert "\n2. restart shop/b: heals shop/a → shop/b; then 0 requests/s fail\n" in said
    assert "\nNo other order loses fewer requests: about 0.02 for each second between two restarts.\n" in said
    assert "since they started, 10 min ago (Istio's metrics; without them Envoy's counters of endpoints)" in said
    assert "2 of 6 pairs have some; 4 have none, and are in no step." in said
    assert "are assumed" not in said
    assert "No reading tells who calls whom" not in said


def test_calls_that_are_assumed_beside_others_are_said_with_the_reason(asking: Asking) -> None:
    off = make.sent(is_counting=False)
    change = sending(a=make.sent({"shop/b": 1}), c=off)
    _code, said = asking("--migration", of=MOVING, change=change)
    average = "each pair as much as the average of those with requests"
    assert f"? calls of shop/b are assumed, {average}: the counts of their proxies could not be read\n" in said
    assert f"? calls of shop/c are assumed, {average}: their proxies do not count requests" in said
    assert "    ✕ shop/a → shop/b: 6 requests/h\n" in said
    assert "    ✕ shop/b → shop/a: 6 requests/h, assumed\n" in said
    _code, said = asking("--migration", of=MOVING)
    assert "    ✕ shop/b → shop/a\n" in said
    assert "No reading tells who calls whom" in said
    assert "? calls of shop/a, shop/b, shop/c are assumed, each pair as much as any other: the counts of their" in said


def test_proxies_that_started_at_different_times_are_told_with_both(asking: Asking) -> None:
    of = (SHOP[0], Workload("b", identity=lambda pod: make.istiod_proxy(pod, uptime=7200)))
    _code, said = asking("--migration", of=of, change=sending(a=make.sent({"shop/b": 1}), b=make.sent()))
    assert "since they started, 10 min to 2 h ago (" in said


def test_where_no_request_was_counted_no_rate_is_made_up(asking: Asking) -> None:
    _code, said = asking("--migration", of=MOVING, change=sending(a=make.sent(), b=make.sent()))
    assert "request/s" not in said
    assert "requests/s" not in said
    assert "0 of 6 pairs have some; 4 have none, and are in no step." in said
    assert "? calls of shop/c are assumed, each pair as much as any other: the counts of their proxies could not" in said
    assert "No reading tells who calls whom" not in said


@pytest.mark.parametrize(("number", "words"), [(3600, "1 request/s"), (7200, "2 requests/s"), (1, "1 request/h")])
def test_one_request_is_told_in_the_singular(asking: Asking, number: int, words: str) -> None:
    an_hour_old = replace(SHOP[0], identity=lambda pod: make.proxy(pod, uptime=3600))
    change = sending(a=make.sent({"shop/b": number}), b=make.sent(), c=make.sent())
    _code, said = asking("--migration", of=(an_hour_old, *MOVING[1:]), change=change)
    assert f"shop/a → shop/b: {words}\n" in said


def test_the_document_says_what_was_counted_and_what_is_assumed(asking: Asking) -> None:
    change = sending(a=make.sent({"shop/b": 6, "shop/c": 3000}), b=make.sent())
    _code, said = asking("--migration", "--json", of=MOVING, change=change)
    found = document(said, migration.SCHEMA_FILE)
    assert found["calls_are_assumed"] is False
    to_c = {"client": "shop/a", "server": "shop/c", "weight": 5, "is_counted": True}
    assert to_c in found["calls"].pop("counted")
    why = "the counts of their proxies could not be read"
    assert found["calls"] == {
        "unused": 2,
        "assumed": [{"workload": "shop/c", "why": why}],
        "counted_for": [600, 600],
    }
    assert {way["is_counted"] for way in found["today"] if way["client"] == "shop/c"} == {False}


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (90, "2 min"), (7200, "2 h"), (86400 * 30, "30 d"), (0.4, "0 s")]
)
def test_the_time_that_was_counted_over_is_in_the_largest_unit(asking: Asking, seconds: float, words: str) -> None:
    def running(pod: Pod) -> ProxyIdentity:
        return make.istiod_proxy(pod, uptime=round(seconds))

    of = (SHOP[0], Workload("b", identity=running))
    _code, said = asking("--migration", of=of, change=sending(b=make.sent({"shop/a": 1})))
    assert f"since they started, {words if seconds >= 1 else '5 s'} ago " in said


@pytest.mark.parametrize("option", ["--rotation", "--migration"])
def test_what_all_of_it_rests_on_and_cannot_be_read_is_one_sentence(asking: Asking, option: str) -> None:
    def silent(facets: SimpleNamespace) -> None:
        def fails() -> None:
            raise CouldNotTell(expected="an answer", seen="password: hunter2hunter2", where="here", remedy="look")

        facets.teleport.bundle = facets.teleport.published = fails

    code, said = asking(option, change=silent)
    assert code == 6
    assert "expected an answer; saw password" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rotation", "--migration"), "expected --rotation without --migration; saw both"),
        (("--rotation", "--pod", "shop/a"), "expected --rotation without --pod; saw both"),
        (("--migration", "-n", "shop"), "expected --migration without --namespace; saw both"),
        (("--migration", "--allow", "namespaced"), "expected --migration without --allow; saw both"),
        (("--rotation", "--pod", "shop/a", "-n", "shop"), "without --pod and --namespace; saw all of them"),
    ],
)
def test_one_question_at_a_time(asking: Asking, arguments: tuple[str, ...], said: str) -> None:
    code, printed = asking(*arguments)
    assert code == 4
    assert said in printed
    assert asking.settings == []
