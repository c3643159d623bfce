"""Predictions agree with a model that knows the rules and none of the code.

Each connection is built as certificates and as Envoy's documents (`tests.unit.facts.tls_dumps`, built and not captured),
read by the parsers and predicted from there. The model sees only the description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from facts.kubernetes.objects import Pod
from facts.proxies.envoy import Validator
from facts.proxies.identity import ProxyIdentity
from facts.svid import Certificate
from judge.mtls.ledger import predicted_ways
from judge.mtls.pairs import table_of
from judge.mtls.peers import Refusal
from judge.mtls.prediction import Outcome, Prediction
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, authority, svid
from tests.unit.judge.mtls import model
from tests.unit.judge.mtls.meshes import PORT, Workload, between, ends, seen
from tests.unit.thoroughness import examples

DOMAINS = ("one.example", "two.example")
AUTHORITIES = ("first", "second", "third")
PREFIXES = tuple(f"spiffe://{domain}/" for domain in DOMAINS)
T = TypeVar("T")
REASONS: Mapping[str, Refusal] = {
    "plain": Refusal.PLAIN_AGAINST_TLS,
    "tls": Refusal.TLS_AGAINST_PLAIN,
    "silent": Refusal.SILENT,
    "signs": Refusal.NO_SVID,
    "authority": Refusal.AUTHORITY,
    "not yet": Refusal.NOT_YET,
    "expired": Refusal.EXPIRED,
    "name": Refusal.NAME,
}


def mostly(usual: st.SearchStrategy[T], otherwise: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Four times out of five what lets a handshake get further, so that it also gets to its last check and beyond."""
    return st.integers(0, 4).flatmap(lambda drawn: otherwise if drawn == 4 else usual)


def names(workload: str) -> st.SearchStrategy[str]:
    paths = mostly(st.just(f"/ns/shop/sa/{workload}"), st.just("/x"))
    return st.builds("spiffe://{}{}".format, st.sampled_from(DOMAINS), paths)


SOUND = (-10, 60)


def svids(workload: str) -> st.SearchStrategy[model.Svid]:
    return st.builds(
        lambda name, issuer, when, signs: model.Svid(name, issuer, when[0], when[1], signs),
        names(workload),
        st.sampled_from(AUTHORITIES),
        mostly(st.just(SOUND), st.sampled_from([(-20, -10), (10, 60)])),
        mostly(st.just(False), st.booleans()),
    )


bundles = mostly(
    st.just({domain: frozenset(AUTHORITIES) for domain in DOMAINS}),
    st.dictionaries(
        st.sampled_from(DOMAINS), st.sets(st.sampled_from(AUTHORITIES), min_size=1).map(frozenset), min_size=1, max_size=2
    ),
)


def proxies(workload: str) -> st.SearchStrategy[model.Proxy]:
    present = st.builds(model.Proxy, svids(workload), bundles, mostly(st.just(True), st.just(False)))
    without = [model.Proxy(None, {DOMAINS[0]: frozenset(AUTHORITIES)}, True), model.Proxy(None, None, True)]
    return mostly(present, mostly(present, st.sampled_from(without)))


connections = st.builds(
    model.Connection,
    client=proxies("client"),
    server=proxies("server"),
    speaks=mostly(st.just(model.Speaks.AUTO), st.sampled_from(model.Speaks)),
    marked=mostly(st.just(True), st.just(False)),
    expected=mostly(st.just(()), st.lists(names("server"), max_size=3).map(tuple)),
    mode=mostly(st.just(model.Mode.STRICT), st.sampled_from(model.Mode)),
    past=mostly(st.just(False), st.booleans()),
    prefixes=mostly(st.just(PREFIXES), st.sampled_from([PREFIXES[:1], PREFIXES[1:]])),
    demands=st.booleans(),
)


def identity(of: model.Proxy) -> Any:
    """Makes the identity that the description means."""

    def made(pod: Pod) -> ProxyIdentity:
        chain: tuple[Certificate, ...] = ()
        if of.svid:
            since, until = of.svid.since, of.svid.until
            chain = (
                svid(
                    uri=of.svid.name,
                    issuer=of.svid.issuer,
                    starts=NOW + timedelta(minutes=since),
                    minutes=until - since,
                    is_ca=of.svid.signs,
                ),
            )
        held = {domain: tuple(authority(name) for name in sorted(each)) for domain, each in (of.bundles or {}).items()}
        if of.bundles is None:
            validator, held = Validator.NONE, {}
        elif of.by_domain:
            validator = Validator.SPIFFE
        else:
            validator = Validator.TRUSTED_CA
            held = {"": tuple({a.sha256: a for each in held.values() for a in each}.values())}
        return make.proxy(pod, chain=chain, validator=validator, root_authorities=held)

    return made


def workloads(of: model.Connection) -> tuple[Workload, Workload]:
    """Two workloads that are set up as described."""
    socket = built.downstream(of.prefixes, require_client_certificate=of.demands)
    chains = {
        model.Mode.PERMISSIVE: [built.permissive(socket=socket), built.permissive(PORT, socket)],
        model.Mode.STRICT: [built.strict(socket=socket), built.strict(PORT, socket)],
        model.Mode.DISABLE: [built.disabled(), built.disabled(PORT)],
    }[of.mode]
    past = {"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": str(PORT)}} if of.past else {}
    server = Workload(
        "server", inbound=built.virtual_inbound(*chains), identity=identity(of.server), marked=of.marked, pod=past
    )
    cluster = {
        model.Speaks.AUTO: built.auto_mutual(server.host, 80, of.expected),
        model.Speaks.ISTIO_MUTUAL: built.istio_mutual(server.host, 80, of.expected),
        model.Speaks.DISABLE: built.cluster(server.host, 80),
    }[of.speaks]
    return Workload("client", identity=identity(of.client), clusters={"server": cluster}), server


def told(prediction: Prediction) -> str:
    """A prediction in the model's words."""
    if prediction.outcome is Outcome.REFUSED:
        reasons = {refusal: reason for reason, refusal in REASONS.items()}
        return f"{prediction.side}: {reasons[prediction.refusal] if prediction.refusal else ''}"
    return model.COMPLETES if prediction.outcome is Outcome.COMPLETED else model.PLAIN


@given(connections)
@settings(max_examples=examples(250))
def test_the_prediction_is_what_the_rules_say(of: model.Connection) -> None:
    made = ends(*workloads(of))
    (row,) = between(table_of(made), "client", "server")
    assert told(row.prediction) == model.outcome(of)
    # The other way to ask, for one pair of pods.
    assert predicted_ways(made, seen(made, "client", "server")) == [row.prediction]


@given(st.lists(connections, min_size=1, max_size=3))
@settings(max_examples=examples(40))
def test_a_fleet_comes_to_what_its_pairs_come_to(described: list[model.Connection]) -> None:
    """What is counted in classes is what each pair comes to alone: other proxies in the mesh change nothing."""
    fleet = []
    for number, each in enumerate(described):
        client, server = workloads(each)
        fleet += [
            replace(client, namespace=f"ns-{number}", clusters={}, name=f"client-{number}"),
            replace(server, namespace=f"ns-{number}", name=f"server-{number}"),
        ]
    table = table_of(ends(*fleet))
    counted = {told(row.prediction): 0 for row in table.rows}
    for row in table.rows:
        counted[told(row.prediction)] += row.ways
    alone = dict.fromkeys(counted, 0)
    made = ends(*fleet)
    for caller in made.mesh.pods:
        for called in made.mesh.pods:
            (prediction,) = predicted_ways(made, seen(made, caller.name, called.name))
            assert isinstance(prediction, Prediction)
            alone[told(prediction)] += 1
    assert counted == alone
    assert table.ways == len(fleet) ** 2
    assert {pod.uid for each in table.classes for pod in each.members} == {pod.uid for pod in made.mesh.pods}


def test_the_model_has_every_reason() -> None:
    """A property proves little of an outcome that never comes about."""
    assert set(REASONS.values()) == set(Refusal) - {Refusal.MISSING}
