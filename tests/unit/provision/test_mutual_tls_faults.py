"""Faults of mutual TLS: what they change, what Envoys have to show of it, and what is there again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from facts.errors import CouldNotTell
from facts.proxies.identity import PodRef
from facts.proxies.tls.inbound import parse_listeners
from facts.proxies.tls.outbound import joined, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls
from observe.wait import Pace
from provision.faults import FAULTS, Scene
from provision.faults.changes import in_place_of, manifest
from provision.faults.istio import mutual_tls
from provision.faults.istio.workloads import PORT
from provision.names import APP, ISTIO_NAMESPACE
from tests.unit.facts import tls_dumps as built
from tests.unit.provision.test_manifests import VARIABLES

HOST = mutual_tls.SERVICE.removesuffix(":80")
OWN = f"spiffe://{VARIABLES['TRUST_DOMAIN']}/ns/{APP}/sa/{APP}"
STRICT = built.virtual_inbound(built.strict(), built.strict(PORT))
PERMISSIVE = built.virtual_inbound(built.permissive(), built.permissive(PORT))
DISABLED = built.virtual_inbound(built.strict(), built.disabled(PORT))


def envoy(inbound: Any = STRICT, cluster: Any = None) -> ProxyTls:
    """The Envoy of a pod of the test application."""
    clusters = parse_clusters(built.dump(cluster or built.auto_mutual(HOST, 80, [OWN])))
    endpoints = parse_endpoints(built.dump(built.endpoints(HOST, 80, built.endpoint("10.0.0.1", PORT))))
    return ProxyTls(PodRef(APP, "a", "uid", APP, "node"), parse_listeners(inbound), joined(clusters, endpoints), ())


class Objects:
    """Objects by kind and name."""

    def __init__(self, *there: dict[str, Any]) -> None:
        self.there = {self.key(each["kind"], each["metadata"]["name"]): each for each in there}

    @staticmethod
    def key(kind: str, name: str) -> str:
        return f"{kind}/{name}"

    def get(self, _version: str, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        assert namespace in (APP, ISTIO_NAMESPACE)
        return self.there.get(self.key(kind, name))

    def apply(self, document: dict[str, Any]) -> None:
        self.there[self.key(document["kind"], document["metadata"]["name"])] = document

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        for document in documents:
            self.apply(document)

    def delete(self, _version: str, kind: str, name: str, *, namespace: str) -> None:
        assert namespace in (APP, ISTIO_NAMESPACE)
        del self.there[self.key(kind, name)]


def scene(objects: Objects) -> Scene:
    sources = SimpleNamespace(tbot_affected_image="t:1")
    installation = SimpleNamespace(objects=objects, sources=sources, variables=VARIABLES)
    rollout = Pace(timeout=0.05, interval=0.005)
    return cast("Scene", SimpleNamespace(installation=installation, rollout=rollout, looking=lambda: nullcontext(None)))


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch) -> list[ProxyTls]:
    """The Envoys of the mesh; a test changes the list."""
    envoys = [envoy()]
    monkeypatch.setattr(mutual_tls, "_read", lambda _cluster, _pods: list(envoys))
    return envoys


def test_a_mesh_wide_policy_takes_the_place_of_the_one_that_is_there_and_that_one_comes_back() -> None:
    policy, _ = manifest("mutual-tls-off")
    labelled = {**policy["metadata"], "labels": {"of": "the mesh"}}
    former = {**policy, "metadata": labelled, "spec": {"mtls": {"mode": "STRICT"}}}
    objects = Objects(former)
    with in_place_of(scene(objects), policy):
        assert objects.there == {"PeerAuthentication/default": policy}
    assert objects.there == {"PeerAuthentication/default": former}
    with pytest.raises(RuntimeError), in_place_of(scene(objects), policy):
        raise RuntimeError
    assert objects.there == {"PeerAuthentication/default": former}


def test_a_mesh_wide_policy_is_deleted_where_there_was_none() -> None:
    policy, _ = manifest("mutual-tls-off")
    objects = Objects()
    with in_place_of(scene(objects), policy):
        assert list(objects.there) == ["PeerAuthentication/default"]
    assert objects.there == {}


CLUSTERS = {
    "clients-send-plain-text": built.cluster(HOST, 80),
    "clients-expect-another-account": built.istio_mutual(
        HOST, 80, [f"spiffe://{VARIABLES['TRUST_DOMAIN']}/ns/{APP}/sa/{mutual_tls.OTHER_ACCOUNT}"]
    ),
}
LENIENT = built.virtual_inbound(built.strict(), built.strict(PORT, built.downstream(require_client_certificate=False)))
OTHER = f"spiffe://{VARIABLES['TRUST_DOMAIN']}/ns/{APP}/sa/{mutual_tls.OTHER_ACCOUNT}"
ONE_CLIENT = built.virtual_inbound(
    built.strict(), built.strict(PORT, built.downstream(common_tls_context=built.common([{"exact": OTHER}])))
)
NO_CERTIFICATE = built.common([{"exact": OWN}])
del NO_CERTIFICATE["tls_certificate_sds_secret_configs"]
SHOWN = {
    "mutual-tls-off": envoy(built.virtual_inbound(built.disabled()), built.cluster(HOST, 80)),
    "mutual-tls-disabled-in-a-namespace": envoy(DISABLED),
    "mutual-tls-disabled-on-a-port": envoy(DISABLED),
    "plain-text-accepted": envoy(PERMISSIVE),
    "client-certificate-not-required": envoy(LENIENT),
    "one-client-let-in": envoy(ONE_CLIENT),
    "client-presents-nothing": envoy(cluster=built.istio_mutual(HOST, 80, [], common_tls_context=NO_CERTIFICATE)),
    "client-expects-nobody": envoy(cluster=built.istio_mutual(HOST, 80, [])),
    **{name: envoy(cluster=cluster) for name, cluster in CLUSTERS.items()},
}


def test_every_fault_of_mutual_tls_is_tried_here() -> None:
    entries = yaml.safe_load(Path(mutual_tls.__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    assert {entry["name"] for entry in entries} == {*SHOWN}


@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_is_in_force_when_envoys_show_it_and_undone_when_they_show_what_they_did(
    name: str, shows: list[ProxyTls], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects()
    change = {"apply": SHOWN[name], "delete": envoy()}

    def following(of: str) -> None:
        original = getattr(Objects, of)

        def followed(self: Objects, *arguments: Any, **more: Any) -> None:
            original(self, *arguments, **more)
            shows[:] = [change[of]]

        monkeypatch.setattr(Objects, of, followed)

    following("apply")
    following("delete")
    with FAULTS[name].inject(scene(objects)):
        assert objects.there
        assert shows == [SHOWN[name]]
    assert objects.there == {}
    assert shows == [envoy()]


@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_that_no_envoy_shows_is_an_error_and_its_objects_are_deleted(name: str, shows: list[ProxyTls]) -> None:
    objects = Objects()
    with pytest.raises(CouldNotTell, match="the Envoys show"), FAULTS[name].inject(scene(objects)):
        pass
    assert shows == [envoy()]
    assert objects.there == {}


def test_a_change_whose_undoing_does_not_show_is_an_error(shows: list[ProxyTls]) -> None:
    @contextmanager
    def change() -> Iterator[None]:
        shows[:] = [SHOWN["plain-text-accepted"]]
        yield

    with (
        pytest.raises(CouldNotTell, match="the Envoys show"),
        mutual_tls.shown(scene(Objects()), change(), mutual_tls._taken, (True, True)),
    ):
        pass


def test_the_manifests_name_the_test_application() -> None:
    for name in ("peer-authentication", "destination-rule"):
        (document,) = manifest(name)
        assert document["metadata"] == {"name": APP, "namespace": APP}
    (rule,) = manifest("destination-rule")
    assert rule["spec"]["host"] == HOST


def socket_of(envoy_filter: dict[str, Any]) -> dict[str, Any]:
    """The transport socket that a filter puts in the place of Istio's."""
    socket: dict[str, Any] = envoy_filter["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]
    assert socket["name"] != "envoy.transport_sockets.tls"  # Istio would merge the two
    return socket


def test_a_servers_replaced_context_is_istios_own_before_a_fault_changes_it() -> None:
    (envoy_filter,) = manifest("server-tls-context", TRUST_DOMAIN="t.test")
    inbound = built.virtual_inbound(built.strict(), built.strict(PORT, socket_of(envoy_filter)))
    own = built.virtual_inbound(built.strict(), built.strict(PORT, built.downstream(["spiffe://t.test/"])))
    assert mutual_tls._context(envoy(inbound)) == mutual_tls._context(envoy(own))


def test_a_clients_replaced_context_is_istios_own_before_a_fault_changes_it() -> None:
    rule, envoy_filter = manifest("client-tls-context", TRUST_DOMAIN=VARIABLES["TRUST_DOMAIN"])
    assert rule["spec"]["host"] == HOST
    patch = envoy_filter["spec"]["configPatches"][0]
    assert patch["match"]["cluster"] == {"service": HOST, "portNumber": 80}
    replaced = built.cluster(HOST, 80, transport_socket=socket_of(envoy_filter))
    assert envoy(cluster=replaced).destinations == envoy(cluster=built.istio_mutual(HOST, 80, [OWN])).destinations


@pytest.mark.parametrize("name", ["one-client-let-in", "client-presents-nothing", "client-expects-nobody"])
def test_what_a_fault_leaves_of_a_context_is_what_envoys_have_to_show(name: str, shows: list[ProxyTls]) -> None:
    objects, applied = Objects(), []

    def remember(document: dict[str, Any]) -> None:
        applied.append(document)
        socket = socket_of(document) if document["kind"] == "EnvoyFilter" else None
        if socket and document["metadata"]["name"] == "server-tls-context":
            shows[:] = [envoy(built.virtual_inbound(built.strict(), built.strict(PORT, socket)))]
        elif socket:
            shows[:] = [envoy(cluster=built.cluster(HOST, 80, transport_socket=socket))]

    objects.apply = remember  # type: ignore[method-assign]
    objects.delete = lambda *_of, **_at: shows.__setitem__(slice(None), [envoy()])  # type: ignore[method-assign]
    with FAULTS[name].inject(scene(objects)):
        assert applied
        assert shows != [envoy()]
