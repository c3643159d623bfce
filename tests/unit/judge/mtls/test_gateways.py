"""MTL-06: gateways at either end of a way, and proxies that ask for no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.finding import Finding
from judge.identity.sweep import AMBIENTS_WAYPOINT
from judge.mtls.contexts import TrustDomains, secrets_are_the_providers
from judge.mtls.ends import Ends
from judge.mtls.gateways import gateways_use_their_identities
from judge.mtls.handshakes import handshakes_complete
from judge.mtls.pairs import table_of
from judge.mtls.plain_text import no_port_takes_plain_text, nothing_is_sent_in_plain_text
from judge.mtls.table import Meant
from judge.waivers import Waiver, not_accepted
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.mtls.meshes import DISABLED, PERMISSIVE, PORT, ROUTER, Workload, ends

DOMAINS = TrustDomains((TRUST_DOMAIN,), ("ev-ping",))
NOTHING_LISTENS: dict[str, Any] = {}
APP = Workload("app")
GATEWAY = Workload("gateway", inbound=NOTHING_LISTENS, marked=False, pod={"proxy": ROUTER})


def judged(*workloads: Workload, meant: Meant | None = None, without: tuple[str, ...] = ()) -> Finding:
    made, declared = ends(*workloads), meant or Meant()
    return gateways_use_their_identities(made, table_of(made, declared, without), DOMAINS, declared, without)


def plain_to(*workloads: Workload) -> dict[str, Any]:
    """Clusters without mutual TLS."""
    return {each.name: built.cluster(each.host, 80) for each in workloads}


def test_a_gateway_that_reaches_a_workload() -> None:
    finding = judged(APP, GATEWAY)
    holds(finding, "MTL-06", "ev-pods", "ev-tls-gateway", "ev-proxy-gateway", "ev-tls-app", "ev-ping")
    assert finding.confirmed == "2 TLS contexts of 1 gateways use the secrets, and no peer refuses them"
    assert finding.left_out == ()


def test_a_mesh_without_gateways() -> None:
    inapplicable(judged(APP), "MTL-06", "ev-pods", "ev-tls-app")
    inapplicable(judged(APP, GATEWAY, without=("uid-gateway",)), "MTL-06")


@pytest.mark.parametrize(
    ("app", "gateway", "words", "cause"),
    [
        (
            APP,
            replace(GATEWAY, identity=make.istiod_proxy, pod={"proxy": ROUTER, "socket": make.EMPTY_DIR}),
            "Pod shop/gateway: as the client it refuses: the certificate leads to no authority",
            "gateway-without-socket",
        ),
        (
            replace(APP, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR}),
            GATEWAY,
            "Pod shop/gateway: as the client it refuses: the certificate leads to no authority",
            "template-not-requested",
        ),
        (
            replace(
                APP, identity=lambda pod: make.proxy(pod, chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/shop/sa/app/"),))
            ),
            GATEWAY,
            "Pod shop/gateway: as the client it refuses: no name in the certificate is an expected one",
            "identity-template-trailing-slash",
        ),
    ],
)
def test_a_gateway_that_refuses_or_is_refused(app: Workload, gateway: Workload, words: str, cause: str) -> None:
    violated(judged(app, gateway), "MTL-06", words, evidence=("ev-tls-app", "ev-tls-gateway"), causes=(cause,))


def test_a_gateway_that_is_refused_as_a_server() -> None:
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [built.chain("a", socket=built.downstream())]))
    on_istiod: dict[str, Any] = {"identity": make.istiod_proxy, "pod": {"proxy": ROUTER, "socket": make.EMPTY_DIR}}
    # It speaks plain text itself, so that only what others send to it is refused.
    gateway = replace(GATEWAY, inbound=inbound, marked=True, clusters=plain_to(APP, GATEWAY), **on_istiod)
    finding = judged(replace(APP, inbound=PERMISSIVE), gateway)
    violated(finding, "MTL-06", "Pod shop/app: as the client it refuses", causes=("gateway-without-socket",))


def test_a_sidecar_without_any_configuration_is_not_told_to_use_no_mutual_tls() -> None:
    bare = replace(APP, inbound={}, marked=False, clusters=plain_to(APP, GATEWAY))
    inapplicable(judged(bare), "MTL-06")
    violated(judged(replace(bare, inbound=DISABLED)), "MTL-06", causes=("no-certificate-asked-for",))
    listeners = built.dump(built.listener("virtualInbound", 15006, []), built.listener("0.0.0.0_80", 80, []))
    violated(judged(replace(bare, inbound=listeners)), "MTL-06", causes=("no-certificate-asked-for",))


def test_an_address_that_is_no_pod_is_no_workload_of_the_mesh() -> None:
    app, gateway = without_mutual_tls()
    made = ends(app, gateway)
    alone = Ends(replace(made.mesh, pods=[pod for pod in made.mesh.pods if pod.is_gateway]))
    finding = gateways_use_their_identities(alone, table_of(alone), DOMAINS)
    assert [str(each.subject) for each in finding.left_out] == ["Pod shop/gateway"]


def test_refusals_between_sidecars_are_for_another_requirement() -> None:
    other = replace(GATEWAY, clusters=plain_to(APP, Workload("odd")))
    odd = Workload("odd", identity=make.istiod_proxy, inbound=PERMISSIVE, pod={"socket": make.EMPTY_DIR})
    holds(judged(replace(APP, inbound=PERMISSIVE), odd, other), "MTL-06")


def test_a_gateway_whose_context_is_not_istios_own() -> None:
    common = built.common([{"exact": APP.account}], certificate="other")
    swapped = built.auto_mutual(APP.host, 80, [], common_tls_context=common)
    finding = judged(APP, replace(GATEWAY, clusters={"app": swapped}))
    violated(finding, "MTL-06", "1 of its 2 TLS contexts for peers present other", causes=("tls-context-replaced",))
    holds(judged(replace(APP, clusters={"app": swapped}), GATEWAY), "MTL-06")


def without_mutual_tls() -> tuple[Workload, Workload]:
    app = replace(APP, inbound=DISABLED, marked=False)
    clusters = plain_to(APP, GATEWAY)
    silent: dict[str, Any] = {"chain": (), "root_authorities": {}}
    return (
        replace(app, clusters=clusters),
        replace(GATEWAY, clusters=clusters, identity=lambda pod: make.proxy(pod, **silent)),
    )


def test_proxies_that_ask_for_nothing_are_named_as_that() -> None:
    finding = judged(*without_mutual_tls())
    violated(
        finding,
        "MTL-06",
        "Pod shop/gateway: no listener and no destination in its configuration uses mutual TLS",
        "its socket has nothing to do with it",
        evidence=("ev-tls-gateway",),
        causes=("no-certificate-asked-for",),
    )
    assert {p.subject.name for p in finding.problems} == {"app", "gateway"}
    declared = judged(*without_mutual_tls(), meant=Meant(plain=frozenset({"shop"})))
    inapplicable(declared, "MTL-06", "ev-tls-gateway")
    app, gateway = without_mutual_tls()
    to_plain = {"app": built.cluster("app.legacy.svc.cluster.local", 80)}
    apart = (replace(app, namespace="legacy"), replace(gateway, clusters={**gateway.clusters, **to_plain}))
    inapplicable(judged(*apart, meant=Meant(plain=frozenset({"legacy"}))), "MTL-06", "ev-tls-gateway")
    violated(judged(*apart), "MTL-06", "Pod shop/gateway: no listener", causes=("no-certificate-asked-for",))


def test_a_gateway_that_reaches_no_workload_need_not_ask() -> None:
    _, alone = without_mutual_tls()
    finding = judged(replace(APP, marked=False, pod={"injected": False}), alone)
    inapplicable(finding, "MTL-06", "ev-tls-gateway")
    assert [str(each.subject) for each in finding.left_out] == ["Pod shop/gateway"]


def waypoint(socket: dict[str, Any], **differs: Any) -> Workload:
    """A waypoint whose listener for tunnels has a transport socket, and which calls nobody itself."""
    listener = built.listener("connect_terminate", 15008, [built.chain("default", socket=socket)])
    runs = {"proxy": make.istio_proxy(is_init=False, args=("proxy", "waypoint")), **differs.pop("pod", {})}
    nowhere = {name: built.cluster("db.example", 80) for name in ("app", "waypoint")}
    return Workload("waypoint", inbound=built.dump(listener), marked=False, pod=runs, clusters=nowhere, **differs)


def test_a_waypoint_that_ends_tunnels_with_another_identity() -> None:
    swapped = built.downstream(common_tls_context=built.common([], certificate="other", validation="foreign"))
    app = replace(APP, clusters={"waypoint": built.cluster("db.example", 80)})
    finding = judged(app, waypoint(swapped))
    violated(
        finding, "MTL-06", "present other instead of the secret default (such as listener connect_terminate, port 15008)"
    )
    holds(judged(app, waypoint(built.downstream(prefixes=()))), "MTL-06", "ev-tls-waypoint")


def test_a_waypoint_of_ambient_mode_is_left_out_by_name() -> None:
    swapped = built.downstream(common_tls_context=built.common([], certificate="other"))
    app = replace(APP, clusters={"waypoint": built.cluster("db.example", 80)})
    ambients = waypoint(swapped, identity=make.istiod_proxy, pod={"socket": make.EMPTY_DIR})
    finding = judged(app, ambients)
    inapplicable(finding, "MTL-06", "ev-tls-waypoint")
    assert [f"{each.subject}: {each.said}" for each in finding.left_out] == [f"Pod shop/waypoint: {AMBIENTS_WAYPOINT}"]
    of_both = secrets_are_the_providers(ends(app, ambients), DOMAINS)
    holds(of_both, "MTL-01")
    assert of_both.left_out == finding.left_out
    beside = judged(replace(app, clusters={**app.clusters, "gateway": built.cluster("db.example", 80)}), GATEWAY, ambients)
    holds(beside, "MTL-06")
    assert beside.left_out == finding.left_out


def test_a_gateway_that_was_not_read() -> None:
    unknown(judged(APP, replace(GATEWAY, configured=False)), "MTL-06", "the suite could not read it")
    unknown(judged(APP, replace(GATEWAY, identity=None)), "MTL-06", "the suite could not read it")


def test_a_listener_of_a_gateway_for_clients_of_the_mesh() -> None:
    lenient = built.downstream(require_client_certificate=False)
    inbound = built.dump(built.listener("0.0.0.0_8080", PORT, [built.chain("a", socket=lenient)]))
    violated(judged(APP, replace(GATEWAY, inbound=inbound)), "MTL-06", "let clients in without a certificate")


def without_those_that_went(*gone: str, of: tuple[Workload, ...]) -> Ends:
    """A mesh some of whose pods went away while they were read, and are in no list any more."""
    whole = ends(*of).mesh
    left = tuple(make.left_out(of=pod) for pod in whole.pods if pod.name in gone)
    identities = replace(
        whole.identities, proxies=tuple(p for p in whole.identities.proxies if p.pod.name not in gone), left_out=left
    )
    tls = replace(whole.tls, proxies=tuple(p for p in whole.tls.proxies if p.pod.name not in gone), left_out=left)
    pods = tuple(pod for pod in whole.pods if pod.name not in gone)
    return Ends(replace(whole, pods=pods, identities=identities, tls=tls))


def all_of(made: Ends, meant: Meant | None = None) -> dict[str, Finding]:
    """The findings of every judgment about the proxies of a mesh."""
    meant = meant or Meant()
    table = table_of(made, meant)
    return {
        "MTL-01": secrets_are_the_providers(made, DOMAINS, meant),
        "MTL-02": no_port_takes_plain_text(made, meant),
        "MTL-03": nothing_is_sent_in_plain_text(made, table),
        "MTL-04": handshakes_complete(made, table, meant),
        "MTL-06": gateways_use_their_identities(made, table, DOMAINS, meant),
    }


def gone_in(finding: Finding) -> list[str]:
    return [each.subject.name for each in finding.left_out if each.said == make.GONE]


def test_a_gateway_that_went_away_leaves_the_workloads_as_they_are() -> None:
    found = all_of(without_those_that_went("gateway", of=(APP, Workload("b"), GATEWAY)))
    for requirement in ("MTL-01", "MTL-02", "MTL-03", "MTL-04"):
        holds(found[requirement], requirement)
    assert gone_in(found["MTL-02"]) == []
    assert gone_in(found["MTL-04"]) == ["gateway"]
    # It was one, so that the mesh is not without any.
    unknown(found["MTL-06"], "MTL-06", "every proxy went away while the suite read it")
    assert gone_in(found["MTL-06"]) == ["gateway"]


def test_a_workload_that_went_away_is_no_gateway() -> None:
    found = all_of(without_those_that_went("b", of=(APP, Workload("b"), GATEWAY)))
    for requirement, finding in found.items():
        holds(finding, requirement)
        assert gone_in(finding) == ([] if requirement == "MTL-06" else ["b"])
    inapplicable(all_of(without_those_that_went("b", of=(APP, Workload("b"))))["MTL-06"], "MTL-06")


def test_a_workload_that_is_meant_to_take_plain_text_and_went_away_is_nobodys_to_judge() -> None:
    legacy, meant = Workload("b", namespace="legacy"), Meant(plain=frozenset({"legacy"}))
    found = all_of(without_those_that_went("b", of=(APP, legacy)), meant)
    holds(found["MTL-02"], "MTL-02")
    assert gone_in(found["MTL-02"]) == []


def test_where_every_proxy_went_away_nothing_is_proved() -> None:
    for requirement, finding in all_of(without_those_that_went("app", "gateway", of=(APP, GATEWAY))).items():
        unknown(finding, requirement, "every proxy went away while the suite read it")


@pytest.mark.parametrize("ports", ["abc", "8080,-1", "8080 9090", "123456"])
def test_a_pods_damaged_list_of_ports_leaves_every_other_pod_judged(ports: str) -> None:
    damaged = replace(APP, pod={"annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": ports}})
    found = all_of(ends(damaged, Workload("b"), GATEWAY))
    unknown(found.pop("MTL-02"), "MTL-02", "Pod shop/app: the suite could not tell which ports go past its proxy")
    for requirement, finding in found.items():
        holds(finding, requirement)
    beside = all_of(ends(damaged, Workload("b", inbound=DISABLED, marked=False), GATEWAY))
    for requirement in ("MTL-01", "MTL-02"):
        violated(beside[requirement], requirement, "shop/b")


def test_a_waiver_covers_a_refusal_only_where_it_names_every_gateway_that_refuses() -> None:
    fallen = replace(GATEWAY, identity=make.istiod_proxy, pod={"proxy": ROUTER, "socket": make.EMPTY_DIR})
    finding = judged(APP, fallen, replace(fallen, name="second"))
    left = not_accepted(finding.problems, [Waiver("MTL-06", "o", "j", subjects=("Pod shop/gateway", "Pod shop/app"))])
    assert {str(subject) for problem in left for subject in problem.subjects} == {"Pod shop/second"}
    assert not_accepted(finding.problems, [Waiver("MTL-06", "o", "j", subjects=("Pod shop/*",))]) == ()
