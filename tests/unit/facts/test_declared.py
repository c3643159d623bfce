"""Declared parsers: their rules, and the errors for damage of any kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facts.catalogue import parse_catalogue
from facts.declared import At, Declared, Flag, Given, Many, Only, Read, Text, TextMap, Texts, read
from facts.errors import BadInput, ConformanceError, CouldNotTell
from facts.istio.gateway_api import parse_gateway_class
from facts.istio.injection import parse_dry_run
from facts.istio.mesh import parse_injector, parse_mesh_config
from facts.istio.services import parse_service
from facts.kubernetes.access import parse_review
from facts.kubernetes.jwks import parse_jwks
from facts.kubernetes.objects import parse_config_map, parse_event, parse_namespace, parse_node, parse_pod
from facts.kubernetes.pod_spec import Container
from facts.kubernetes.probes import parse_node_probe, parse_socket_directory_probe
from facts.kubernetes.workloads import parse_cron_job, parse_daemon_set, parse_deployment
from facts.over_time.timeline import Action, Happening, draw_up, parse_timeline
from facts.provider.trust import parse_bundle
from facts.traffic.ledger import parse_ledger
from facts.traffic.load import parse_load
from facts.versions import Version
from providers.teleport.facts.audit import parse_issued
from providers.teleport.facts.resources import (
    parse_bot,
    parse_bot_instances,
    parse_join_token,
    parse_ping,
    parse_role,
    parse_workload_identity,
)
from providers.teleport.facts.tbot_config import parse_tbot_config
from tests.data import document
from tests.unit.facts.kubernetes.test_probes import directory_report, report
from tests.unit.facts.over_time.test_history import after, history, look
from tests.unit.facts.traffic.test_ledger import entry as request
from tests.unit.facts.traffic.test_load import ANSWERED, CLIENT, CLOCK, EXPIRED, ledger
from tests.unit.providers.teleport.facts.test_audit import event

# The rules.


@dataclass(frozen=True, slots=True)
class Inner(Declared):
    name: str
    read_only: Annotated[Flag, At("readOnly")]


@dataclass(frozen=True, slots=True)
class Outer(Declared):
    name: Annotated[str, At("metadata.name")]
    node: Annotated[Text, At("spec.nodeName", "spec.node")]
    labels: Annotated[TextMap, At("metadata.labels")]
    inner: Annotated[Many[Inner], At("spec.inner")]
    roles: Annotated[Texts, At("spec.roles")]
    version: Annotated[Version | None, At("status.version"), Read(str, Version.parse)] = None
    limit: Annotated[int, At("spec.limit")] = 7
    probed: Annotated[Given, At("spec.probe")] = False
    chosen: Annotated[tuple[Inner, ...], At("spec.inner"), Only(Inner, lambda entry: "name" in entry)] = ()
    evidence: tuple[str, ...] = ()


def outer(spec: Any = None, status: Any = None, **metadata: Any) -> Outer:
    return read(Outer, {"metadata": {"name": "x", **metadata}, "spec": spec, "status": status}, "here", evidence=("ev-1",))


def test_what_may_be_left_out_has_its_default_and_a_null_is_left_out() -> None:
    least = Outer("x", "", {}, (), (), evidence=("ev-1",))
    assert outer() == least
    nulls = {"nodeName": None, "inner": None, "roles": None, "limit": None, "probe": None}
    assert outer(nulls, {"version": None}, labels=None) == least
    assert read(Container, {"name": "c", "env": None}, "here") == Container("c", "")


def test_what_is_there_is_read_from_its_place() -> None:
    found = outer(
        {"node": "n", "inner": [{"name": "a", "readOnly": True, "more": 1}], "roles": "one", "probe": {"a": 1}},
        {"version": "1.31.0"},
        labels={"a.b/c": "d"},
        evidence=("not", "these"),
    )
    inner = (Inner("a", read_only=True),)
    assert found == Outer(
        "x", "n", {"a.b/c": "d"}, inner, ("one",), Version(1, 31, 0), probed=True, chosen=inner, evidence=("ev-1",)
    )
    assert replace(found, name="y").name == "y"


def test_a_field_is_not_known_by_the_name_that_the_fact_has_for_it() -> None:
    assert outer({"inner": [{"name": "a", "read_only": True}]}).inner[0].read_only is False


@pytest.mark.parametrize(
    ("spec", "metadata", "expected", "seen"),
    [
        ({}, {"name": None}, "the field metadata.name to be text", "it is missing"),
        ({}, {"labels": {"a": 1}}, "the field metadata.labels.a to be text", "int"),
        ({}, {"labels": ["a"]}, "the field metadata.labels to be a mapping", "list"),
        ({"inner": [{"name": "a"}, {}]}, {}, "the field spec.inner.1.name", "it is missing"),
        ({"inner": [{"name": "a"}, "b"]}, {}, "the field spec.inner.1 to be a mapping", "str"),
        ({"inner": [{"name": "a", "readOnly": "yes"}]}, {}, "the field spec.inner.0.readOnly to be true or false", "str"),
        ({"inner": "a"}, {}, "the field spec.inner to be a list", "str"),
        ({"inner": {"a": {}}}, {}, "the field spec.inner to be a list", "dict"),
        ({"limit": True}, {}, "the field spec.limit to be a whole number", "bool"),
        ({"limit": "7"}, {}, "the field spec.limit to be a whole number", "str"),
        ({"node": 7}, {}, "the field spec.node to be text", "int"),
        ({"roles": ["a", 1]}, {}, "the field spec.roles.1 to be text", "int"),
        ("text", {}, "the field spec to be a mapping", "str"),
    ],
)
def test_damage_is_told_with_its_whole_path(spec: Any, metadata: dict[str, Any], expected: str, seen: str) -> None:
    with pytest.raises(CouldNotTell) as raised:
        outer(spec, **metadata)
    assert (raised.value.expected, raised.value.seen, raised.value.where) == (expected, seen, "here")
    assert raised.value.__cause__ is None


def test_what_a_value_does_not_say_is_told_in_the_words_of_its_reader() -> None:
    with pytest.raises(CouldNotTell) as raised:
        outer(status={"version": "new"})
    assert (raised.value.expected, raised.value.seen) == (
        "the field status.version to be a version such as 1.31.0",
        "'new'",
    )


@pytest.mark.parametrize("wrong", [None, "text", 1, [], [{}]])
def test_only_a_mapping_is_read(wrong: Any) -> None:
    with pytest.raises(CouldNotTell, match="expected a mapping"):
        read(Outer, wrong, "here")


# Any damage, to any parser.

META = {"metadata": {"name": "n", "namespace": "s", "labels": {"a": "b"}}}
ACCESS = {"status": {"allowed": True}, "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "group": "apps"}}}
SERVICE = META | {"spec": {"selector": {"a": "b"}, "ports": [{"name": "http", "port": 80}]}}
CLASS = META | {"spec": {"controllerName": "istio.io/gateway-controller"}}
HAPPENED = META | {"reason": "r", "type": "Warning", "involvedObject": {"kind": "Pod", "name": "p"}}
CRON = META | {
    "spec": {
        "schedule": "* * * * *",
        "jobTemplate": {"spec": {"template": document("cluster/daemon_set.json")["spec"]["template"]}},
    }
}
MAPS = {name: document(f"cluster/config_map_{name}.json")["data"] for name in ("istio", "injector", "tbot")}
TIMELINE = draw_up(
    "rotation",
    histories=[history(look(0), look(2, "02"))],
    loads=[parse_load(ledger(ANSWERED, EXPIRED), CLOCK)],
    actions=[Action("tbot is restarted", after(1), after(2))],
    happenings=[Happening("tbot", after(1.2), "Listener opened")],
).as_document()
CATALOGUE = yaml.safe_load((Path(__file__).parents[3] / "features" / "catalogue.yaml").read_text(encoding="utf-8"))
CATALOGUE["requirements"] = CATALOGUE["requirements"][:3]
CATALOGUE["profiles"] = {"core": [CATALOGUE["requirements"][0]["profile"]]}
CATALOGUE["guide_defects"] = [
    {"name": "bot", "sentence": "s", "cause": "c", "caught_by": [CATALOGUE["requirements"][0]["id"]]}
]


def _yaml(parse: Callable[[str], object]) -> Callable[[Any], object]:
    return lambda found: parse(yaml.safe_dump(found))


def _json(parse: Callable[[str], object]) -> Callable[[Any], object]:
    return lambda found: parse(json.dumps(found))


def _config_map(
    parse: Callable[[Any], object], key: str, write: Callable[[Any], str], **others: str
) -> Callable[[Any], object]:
    return lambda found: parse(parse_config_map({"metadata": {"name": "m"}, "data": {**others, key: write(found)}}))


PARSERS: dict[str, tuple[Callable[[Any], object], Any]] = {
    "pod": (parse_pod, document("cluster/pods.json")["items"][-1]),
    "node": (parse_node, document("cluster/nodes.json")["items"][0]),
    "config map": (parse_config_map, META | {"data": {"a": "b"}}),
    "namespace": (parse_namespace, META),
    "event": (parse_event, HAPPENED),
    "deployment": (parse_deployment, document("cluster/deployments.json")["items"][0]),
    "daemon set": (parse_daemon_set, document("cluster/daemon_set.json")),
    "cron job": (parse_cron_job, CRON),
    "access review": (parse_review, ACCESS),
    "key set": (parse_jwks, document("cluster/jwks.json")),
    "node probe": (_json(lambda text: parse_node_probe(text, "n")), report()),
    "directory probe": (_json(lambda text: parse_socket_directory_probe(text, "n")), directory_report()),
    "dry run": (parse_dry_run, document("cluster/dry_run_accepted.json")),
    "mesh": (_config_map(parse_mesh_config, "mesh", yaml.safe_dump), yaml.safe_load(MAPS["istio"]["mesh"])),
    "injector": (
        _config_map(parse_injector, "config", yaml.safe_dump, values="{}"),
        yaml.safe_load(MAPS["injector"]["config"]),
    ),
    "injector's values": (
        _config_map(parse_injector, "values", json.dumps, config="templates: {}"),
        {"global": {"hub": "h", "tag": "1"}},
    ),
    "service": (parse_service, SERVICE),
    "gateway class": (parse_gateway_class, CLASS),
    "ping": (parse_ping, document("teleport/ping.json")),
    "join token": (parse_join_token, document("teleport/token.json")),
    "role": (parse_role, document("teleport/role.json")),
    "workload identity": (parse_workload_identity, document("teleport/workload_identity.json")),
    "bot": (parse_bot, document("teleport/bot.json")),
    "bot instances": (parse_bot_instances, document("teleport/bot_instances.json")),
    "tbot's file": (_yaml(parse_tbot_config), yaml.safe_load(MAPS["tbot"]["tbot.yaml"])),
    "audit event": (_json(parse_issued), event()),
    "bundle": (parse_bundle, document("teleport/bundle.json")),
    "timeline": (parse_timeline, TIMELINE),
    "ledger": (parse_ledger, {"client": CLIENT, "requests": [request(), request(status=503, body="x")]}),
    "load": (lambda found: parse_load(found, CLOCK), ledger(ANSWERED, EXPIRED)),
    "catalogue": (parse_catalogue, CATALOGUE),
}

INSTEAD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=8),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"a": None}),
    st.just([{}]),
    st.just([[]]),
)


def _places(found: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list) else ()
    return [way, *(place for key, value in inner for place in _places(value, (*way, key)))]


def _damaged(found: Any, way: tuple[Any, ...], instead: Any, *, removed: bool) -> Any:
    if not way:
        return instead
    made = copy.deepcopy(found)
    here = made
    for key in way[:-1]:
        here = here[key]
    if removed:
        del here[way[-1]]
    else:
        here[way[-1]] = instead
    return made


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_damaged_here_is_whole(name: str) -> None:
    parse, whole = PARSERS[name]
    assert parse(copy.deepcopy(whole)) is not None


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data(), instead=INSTEAD, removed=st.booleans())
def test_any_damage_is_told_and_nothing_else_is_raised(name: str, data: st.DataObject, instead: Any, removed: bool) -> None:
    parse, whole = PARSERS[name]
    way = data.draw(st.sampled_from(_places(whole)))
    try:
        parse(_damaged(whole, way, instead, removed=removed))
    except (CouldNotTell, BadInput) as error:
        told: ConformanceError = error
        assert told.expected
        assert told.seen
        assert isinstance(told, BadInput) is (name == "catalogue")


def _unusable(text: str) -> str:
    raise CouldNotTell(expected="a good text", seen=f"{len(text)} characters", where="x", remedy="y")


@dataclass(frozen=True, slots=True)
class Picky(Declared):
    text: Annotated[str, Read(str, _unusable)]


def test_what_a_reader_of_a_field_cannot_use_is_said_in_its_words() -> None:
    with pytest.raises(CouldNotTell) as caught:
        read(Picky, {"text": "abc"}, "here")
    assert (caught.value.expected, caught.value.seen) == ("the field text to be a good text", "3 characters")
