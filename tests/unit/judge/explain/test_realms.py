"""Realms: for each cause that explains another one, an object of which it does so, and one of which it does not."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.explain.cause import CAUSES
from judge.explain.classes import told_apart
from judge.explain.diagnosis import Diagnosis, diagnosed
from judge.explain.realms import EVERYWHERE, Realms
from judge.explain.results import CheckResult, Outcome
from providers.teleport.facts.tbot import OtherTbot
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN

LEFT, RIGHT = (
    replace(make.pool(name, f"/run/{name}", f"{name}-node"), config_map=f"{name}-config") for name in ("left", "right")
)
LEFT = replace(LEFT, config=replace(LEFT.config, token="left-token"))
ON_LEFT, ON_RIGHT = (replace(make.NODES_SOCKET, path=f"/run/{name}") for name in ("left", "right"))
PODS = [
    make.pod("a", namespace="shop", node="left-node", socket=ON_LEFT),
    make.pod("b", namespace="bank", node="right-node", socket=ON_RIGHT, annotations=make.injected_by("canary")),
    *LEFT.pods.values(),
    *RIGHT.pods.values(),
]
REALMS = Realms(
    pods={str(pod.ref): pod for pod in PODS},
    tbots=make.tbots(LEFT, RIGHT),
    planes=make.planes(make.mesh(), make.canary()),
    namespaces={
        "shop": make.namespace("shop", labels={"istio-injection": "enabled"}),
        "bank": make.namespace("bank", labels={"istio.io/rev": "canary"}),
    },
    injections={"a pod in shop": make.mesh().title},
)
A, B = PODS[0].ref, PODS[1].ref
GONE = ObjectRef("Pod", "gone", "shop")
OF_LEFT, OF_RIGHT = (next(iter(each.pods.values())).ref for each in (LEFT, RIGHT))
NODE = ObjectRef("Node", "left-node")
ISTIOD = make.deployment().ref
CONFIG = ObjectRef("ConfigMap", "left-config", "teleport-system")
DRY_RUN = ObjectRef("", "a pod in shop")

REACHING = {
    "socket-taken-over": (NODE, A),
    "socket-directory-recreated": (A,),
    "socket-directory-not-recreated": (OF_LEFT,),
    "istiod-scaled-to-zero": (ISTIOD,),
    "template-without-node-socket": (A,),
    "template-not-requested": (A,),
    "annotation-on-namespace": (A, ObjectRef("Namespace", "shop")),
    "gateway-without-socket": (A,),
    "tbot-not-on-node": (NODE,),
    "tbot-not-answering": (OF_LEFT, NODE),
    "teleport-unreachable": (NODE, OF_LEFT),
    "teleport-name-unknown": (NODE, OF_LEFT),
    "teleport-certificate-untrusted": (OF_LEFT,),
    "node-clock-off": (NODE,),
    "tbot-config-refused": (CONFIG,),
    "tbot-pushes-without-renewing": (LEFT.daemon_set.ref,),
    "tbot-never-recovers": (OF_LEFT, LEFT.daemon_set.ref),
    "renewal-interval-beyond-lifetime": (CONFIG,),
}
"""By cause that explains others: objects that it may be about."""

SHOWING = {"tbot-not-answering": (OF_LEFT, OF_RIGHT)}
"""By effect: an object within reach, and one that is not; a pod of the left node and one of the right otherwise."""

PAIRS = [(cause.id, subject, effect) for cause in CAUSES.values() for effect in cause.explains
         for subject in REACHING[cause.id]]  # fmt: skip


def found(*each: tuple[str, ObjectRef]) -> Diagnosis:
    problems = tuple(Problem(subject, f"it has {cause}", cause) for cause, subject in each)
    return diagnosed([CheckResult("part", "t", "", Outcome.PROBLEM, "s", problems)], {}, realms=REALMS)


def named(made: Diagnosis) -> dict[str, list[str]]:
    return {each.cause.id: [str(subject) for subject in each.subjects] for each in made.causes}


@pytest.mark.parametrize(("cause", "subject", "effect"), PAIRS, ids=str)
def test_a_cause_explains_what_it_reaches_and_nothing_beside_it(cause: str, subject: ObjectRef, effect: str) -> None:
    near, far = SHOWING.get(effect, (A, B))
    made = found((effect, near), (effect, far), (effect, GONE), (cause, subject))
    of_namespace = subject.kind == "Namespace"  # which is all that is known of a pod that is gone
    left = [str(each) for each in ((far,) if of_namespace else (far, GONE))]
    assert named(made) == {cause: [str(subject)], effect: left}
    assert {str(ref) for each in made.effects for ref in each.subjects} == {
        str(near), *([str(GONE)] if of_namespace else ())
    }  # fmt: skip


def test_a_namespace_that_injects_and_a_dry_run_lie_with_their_control_plane() -> None:
    in_shop, in_bank = (make.deployment("web", namespace=each).ref for each in ("shop", "bank"))
    each = [("injector-unreachable", subject) for subject in (in_shop, in_bank, DRY_RUN)]
    made = found(("istiod-scaled-to-zero", ISTIOD), *each)
    assert named(made) == {"istiod-scaled-to-zero": [str(ISTIOD)], "injector-unreachable": [str(in_bank)]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("jwks-of-other-keys", ObjectRef("Teleport", "token/left-token")), ("tbot-not-answering", OF_LEFT)),
        (("istiod-scaled-to-zero", ISTIOD), ("proxy-older-than-mesh-config", A)),
        (("socket-path-differs", A), ("template-without-node-socket", A)),
        (("tbot-not-on-node", NODE), ("tbot-not-answering", OF_LEFT)),
        (("tbot-node-name-missing", LEFT.daemon_set.ref), ("kubelet-unreachable", NODE)),
    ],
    ids=str,
)
def test_what_no_mechanism_leads_to_is_a_cause_of_its_own(
    first: tuple[str, ObjectRef], second: tuple[str, ObjectRef]
) -> None:
    assert {*named(found(first, second))} == {first[0], second[0]}


def test_what_is_not_known_lies_in_no_realm_but_its_own_and_its_namespaces() -> None:
    for realms in (REALMS, Realms()):
        assert realms.with_(GONE) == {EVERYWHERE, "Pod shop/gone", "Namespace shop"}
        assert realms.reached_from(GONE) == {"Pod shop/gone"}


def test_of_a_node_with_two_tbots_none_is_meant() -> None:
    both = replace(REALMS, tbots=make.tbots(LEFT, replace(RIGHT, pods=LEFT.pods)))
    assert both.with_(NODE) == {EVERYWHERE, str(NODE)}
    assert str(LEFT.daemon_set.ref) in REALMS.with_(NODE)


def test_a_tbot_that_could_not_be_read_is_another_one() -> None:
    """Nothing tells whom its bot's role or its own defects reach, and no other tbot explains what its pods lack."""
    other = OtherTbot(RIGHT.daemon_set.ref, "it is in a Secret", unread=True, directories=frozenset({"/run/right"}))
    assert not REALMS.has_one_bot
    for left_out, is_one in (((), True), ((replace(other, unread=False),), True), ((other,), False)):
        realms = replace(REALMS, tbots=make.tbots(LEFT, left_out=left_out))
        assert realms.has_one_bot is is_one
        role = Problem(ObjectRef("Teleport", "bot/left-bot"), "it lacks the role", "bot-without-role")
        checks = [
            CheckResult("teleport", "t", "INST-10", Outcome.PROBLEM, "s", (role,)),
            CheckResult("proxies", "t", "ID-01", Outcome.PROBLEM, "s", (Problem(B, "no SDS server supplies it"),)),
        ]
        made = diagnosed(checks, {}, realms=realms)
        assert [each.subjects for each in made.undetermined] == ([] if is_one else [(B,)])
    assert Realms().has_one_bot
    beside = replace(PODS[1], spec=replace(PODS[1].spec, node="left-node"))
    realms = Realms({str(B): beside, str(A): PODS[0]}, make.tbots(LEFT, left_out=[other]))
    assert str(LEFT.daemon_set.ref) not in realms.with_(B)
    assert str(LEFT.daemon_set.ref) in realms.with_(A)


def test_the_token_of_a_tbot_and_its_configuration_are_its_own() -> None:
    for subject in (CONFIG, ObjectRef("Teleport", "token/left-token")):
        assert str(LEFT.daemon_set.ref) in REALMS.reached_from(subject)
        assert str(RIGHT.daemon_set.ref) not in REALMS.with_(subject)


@pytest.mark.parametrize(
    ("subject", "settles"),
    [(LEFT.daemon_set.ref, True), (RIGHT.daemon_set.ref, False), (ObjectRef("", "Istio in istio-system"), True)],
    ids=str,
)
def test_a_class_is_settled_by_what_reaches_its_object_or_is_about_the_install(subject: ObjectRef, settles: bool) -> None:
    either = [Problem(NODE, "nobody answers", cause) for cause in ("tbot-not-answering", "bot-without-role")]
    single, classes = told_apart([*either, Problem(subject, "it lacks the role", "bot-without-role")], REALMS)
    assert (bool(classes), [*single]) == (not settles, ["bot-without-role"])


@pytest.mark.parametrize(("token", "settles"), [("left-token", True), ("another-token", False)])
def test_a_role_settles_a_class_of_every_tbot_that_joins_by_the_same_token(token: str, settles: bool) -> None:
    joining = replace(RIGHT, config=replace(LEFT.config, token=token))
    realms = replace(REALMS, tbots=make.tbots(LEFT, joining))
    either = [Problem(NODE, "nobody answers", cause) for cause in ("tbot-not-answering", "bot-without-role")]
    role = Problem(ObjectRef("Teleport", "role/istio"), "it lacks the role", "bot-without-role")
    _single, classes = told_apart([*either, role], realms)
    assert bool(classes) is not settles


def test_an_identity_reaches_the_tbots_that_select_it() -> None:
    (service,) = LEFT.config.services
    selecting = [
        replace(each, config=replace(each.config, services=(replace(service, selector_name=name),)))
        for each, name in ((LEFT, "workloads"), (RIGHT, "others"))
    ]
    realms = replace(REALMS, tbots=make.tbots(*selecting))
    for name, reached in (("workloads", LEFT), ("others", RIGHT)):
        identity = ObjectRef("Teleport", f"workload_identity/{name}")
        assert realms.extent_of(identity) == {str(identity), str(reached.daemon_set.ref)}
    elsewhere = ObjectRef("Teleport", "workload_identity/of-nobody")
    assert realms.extent_of(elsewhere) == {str(elsewhere)}


def test_tbots_that_join_by_secrets_of_their_own_have_bots_of_their_own() -> None:
    for secret, is_one in (("one", True), ("two", False)):
        both = [replace(LEFT, join_secret="one"), replace(RIGHT, config=LEFT.config, join_secret=secret)]
        assert Realms(tbots=make.tbots(*both)).has_one_bot is is_one


def test_a_tbot_that_asks_for_other_identities_has_a_bot_of_its_own() -> None:
    (service,) = LEFT.config.services
    others = replace(service, selector_name="others")
    alike, other = (replace(RIGHT, config=replace(LEFT.config, services=(each,))) for each in (service, others))
    assert Realms(tbots=make.tbots(LEFT, alike)).has_one_bot
    assert not Realms(tbots=make.tbots(LEFT, other)).has_one_bot


@pytest.mark.parametrize("is_read", [True, False])
def test_a_wrong_join_token_accounts_for_what_fails_where_a_tbot_had_to_join(is_read: bool) -> None:
    """With an admin session the token tells its keys apart; the second tbot joined before they were wrong, and runs."""
    tbot = make.pool("left", "/run/left", "node-0", "node-1")
    apps = [make.pod(f"app-{at}", node=f"node-{at}", socket=ON_LEFT) for at in range(2)]
    realms = Realms({str(pod.ref): pod for pod in (*apps, *tbot.pods.values())}, make.tbots(tbot), make.planes())
    keys = ("jwks-of-other-keys", "jwks-placeholder")
    said = [
        [Problem(tbot.pods["node-0"].ref, "it is refused", cause) for cause in keys],
        [Problem(pod.ref, "its streams are dead") for pod in apps],
    ]
    placeholder = Problem(ObjectRef("Teleport", f"token/{tbot.config.token}"), "it holds no keys", "jwks-placeholder")
    checks = [CheckResult("part", "t", "ID-01", Outcome.PROBLEM, "s", tuple(each)) for each in said]
    if is_read:
        checks.append(CheckResult("teleport", "t", "INST-10", Outcome.PROBLEM, "s", (placeholder,)))
    made = diagnosed(checks, {}, realms=realms)
    causes = [each.cause.id for each in made.causes]
    assert (causes, [each.ids for each in made.classes]) == ((["jwks-placeholder"], []) if is_read else ([], [keys]))
    assert [each.subjects for each in made.undetermined] == [(apps[1].ref,)]


def test_the_time_grows_with_the_install_and_not_with_its_square() -> None:
    def seconds(nodes: int) -> float:
        names = [f"node-{at}" for at in range(nodes)]
        tbot = make.pool("left", "/run/left", *names)
        pods = [make.pod(f"a-{name}", node=name, socket=ON_LEFT) for name in names]
        realms = Realms({str(pod.ref): pod for pod in (*pods, *tbot.pods.values())}, make.tbots(tbot), make.planes())
        problems = [Problem(pod.ref, "old", "bundle-not-delivered") for pod in pods]
        problems += [Problem(pod.ref, "frozen", "tbot-not-answering") for pod in tbot.pods.values()]
        begun = time.process_time()
        made = diagnosed([CheckResult("part", "t", "", Outcome.PROBLEM, "s", tuple(problems))], {}, realms=realms)
        assert [each.cause.id for each in made.causes] == ["tbot-not-answering"]
        return time.process_time() - begun

    seconds(50)
    assert min(seconds(1200) for _ in range(2)) < 4 * min(seconds(400) for _ in range(2)) + 0.1


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
def test_what_makes_pods_lies_with_the_control_plane_that_injects_them(kind: str) -> None:
    assert make.mesh().title in REALMS.with_(ObjectRef(kind, "web", "shop"))
    assert make.canary().title in REALMS.with_(ObjectRef(kind, "web", "bank"))
    assert REALMS.with_(ObjectRef("ConfigMap", "web", "shop")) == {EVERYWHERE, "ConfigMap shop/web", "Namespace shop"}


@pytest.mark.parametrize("subject", [A, NODE, ObjectRef("Namespace", "shop"), OF_LEFT, ISTIOD, CONFIG, GONE], ids=str)
def test_what_has_a_place_is_not_of_the_whole_install(subject: ObjectRef) -> None:
    assert REALMS.is_of_install(subject) is False


@pytest.mark.parametrize(
    "subject",
    [
        ObjectRef("Teleport", "role/istio"),
        ObjectRef("", "Istio in istio-system"),
        ObjectRef("EnvoyFilter", "all", "istio-system"),
        ObjectRef("Secret", "another", "teleport-system"),
    ],
    ids=str,
)
def test_what_serves_no_one_tbot_and_lies_beside_istio_or_tbot_is(subject: ObjectRef) -> None:
    assert REALMS.is_of_install(subject) is True


def test_a_pod_without_a_proxy_lies_with_no_control_plane() -> None:
    plain = make.pod("plain", namespace="shop", node="left-node", socket=None, injected=False)
    realms = replace(REALMS, pods={**REALMS.pods, str(plain.ref): plain})
    assert realms.with_(plain.ref) == {EVERYWHERE, "Pod shop/plain", "Namespace shop", str(NODE)}
    assert make.mesh().title in realms.with_(A)


def test_a_pod_that_no_node_has_yet_is_served_by_no_tbot() -> None:
    pending = make.pod("pending", namespace="shop", node="", socket=ON_LEFT)
    of_tbot = replace(next(iter(LEFT.pods.values())), spec=make.pod_spec(node=""))
    tbots = make.tbots(replace(LEFT, pods={"": of_tbot}))
    realms = replace(REALMS, pods={str(pending.ref): pending}, tbots=tbots)
    assert realms.with_(pending.ref) == {EVERYWHERE, "Pod shop/pending", "Namespace shop", make.mesh().title}


def apart(trust_domain: str = "legacy.local", cluster_name: str = TRUST_DOMAIN) -> Realms:
    """The same install, whose second control plane has a trust domain of its own."""
    canary = make.canary(config=make.mesh_config(trust_domain=trust_domain))
    return replace(REALMS, planes=make.planes(make.mesh(), canary), cluster_name=cluster_name)


CANARY = frozenset({make.canary().title})


@pytest.mark.parametrize(
    "subject",
    [
        B,
        ObjectRef("Node", "right-node"),
        ObjectRef("", make.canary().title),
        make.canary().config_map,
        ObjectRef("Deployment", "web", "bank"),
    ],
    ids=str,
)
def test_what_may_be_of_another_mesh_is_known_by_its_control_plane(subject: ObjectRef) -> None:
    assert apart().maybe_of_others(subject) == CANARY
    assert apart(trust_domain=TRUST_DOMAIN).maybe_of_others(subject) == frozenset()
    assert apart(cluster_name="").maybe_of_others(subject) == frozenset()
    # Where no control plane has Teleport's name, all of them are wrong.
    assert apart(cluster_name="other.example.com").maybe_of_others(subject) == frozenset()
    assert Realms().maybe_of_others(subject) == frozenset()


@pytest.mark.parametrize("subject", [A, NODE, OF_RIGHT, CONFIG, GONE, ISTIOD, ObjectRef("Teleport", "role/istio")], ids=str)
def test_what_is_of_this_mesh_or_of_none_is_not(subject: ObjectRef) -> None:
    assert apart().maybe_of_others(subject) == frozenset()


def test_a_node_with_pods_of_both_is_of_this_mesh() -> None:
    beside = make.pod("beside", namespace="shop", node="right-node", socket=ON_LEFT)
    both = replace(apart(), pods={**REALMS.pods, str(beside.ref): beside})
    assert both.maybe_of_others(ObjectRef("Node", "right-node")) == frozenset()
