"""TRF-05: who certifies gateways, and whom the server behind one sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facts.finding import Finding
from facts.proxies.identity import ProxyIdentity
from facts.traffic.ledger import Exchange, Outcome, Peer
from judge.traffic import gateways as judge
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.exchanges import CALLED, CALLER, GATEWAY, HELD, PAIR, exchange, request, word


class TestGateway:
    pod = make.pod("ingress", namespace="istio-system", service_account="istio-ingressgateway-service-account")

    def judged(self, *found: Any, through: Exchange | None = None) -> Finding:
        return judge.gateways_are_certified(make.fleet(*found), make.bundle(), through.ledger if through else None)

    def test_a_gateway_that_teleport_certifies(self) -> None:
        holds(self.judged(make.proxy(self.pod), through=exchange()), "TRF-05")

    def test_the_guides_gateway_is_called_what_it_is(self) -> None:
        refused = exchange(request(Outcome.TLS_ERROR), request(Outcome.TLS_ERROR))
        finding = self.judged(make.istiod_proxy(self.pod), through=refused)
        violated(
            finding,
            "TRF-05",
            "its certificate comes from istiod",
            "2 of 2 requests through it: 503 for a TLS error",
            evidence=("ev-ledger",),
            causes=("gateway-without-socket",),
        )
        assert finding.problems[0].subject == self.pod.ref

    def test_a_gateway_pod_that_went_away_is_left_out_and_alone_proves_nothing(self) -> None:
        finding = self.judged(make.proxy(self.pod), make.left_out())
        holds(finding, "TRF-05", "ev-gone-gone")
        assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]
        none = self.judged(make.left_out())
        unknown(none, "TRF-05", "every proxy went away")
        assert none.left_out == finding.left_out
        assert none.settle == "run again when the workloads are not being rolled out"

    def test_another_identity_or_none(self) -> None:
        elsewhere = make.proxy(make.pod("other", namespace="istio-system", service_account="other"))
        finding = self.judged(replace(elsewhere, pod=make.proxy(self.pod).pod))
        violated(finding, "TRF-05", f"its own SPIFFE ID is {GATEWAY}", causes=())
        violated(self.judged(make.proxy(self.pod, chain=())), "TRF-05", "it holds no certificate", causes=())
        violated(self.judged(), "TRF-05", "no pod of an ingress gateway runs", causes=())

    def test_a_gateway_that_cannot_be_read(self) -> None:
        unknown(self.judged(make.unread(self.pod)), "TRF-05")

    def reached(self, *, certificate: str = "", of: ProxyIdentity | None = None, caller: str = GATEWAY) -> Finding:
        """A request through the gateway, which has its identity from Teleport unless another is given."""
        held = of or make.proxy(self.pod)
        seen = word(peers=(Peer((CALLED,), (caller,), certificate or held.chain[0].sha256),))
        through = exchange(request(said=seen), proxies=(*HELD, held))
        return judge.gateway_reaches(GATEWAY, [self.pod], PAIR, through, make.bundle())

    def test_the_server_sees_the_gateway(self) -> None:
        holds(self.reached(), "TRF-05", "ev-ledger", "ev-proxy-ingress", "ev-pod-ingress", "ev-bundle")
        violated(self.reached(caller=CALLER), "TRF-05", f"saw {CALLER}, not {GATEWAY}")
        violated(self.reached(certificate="0f5a"), "TRF-05", "is not the caller's own")

    def test_a_gateway_of_istiods_that_is_let_in_all_the_same(self) -> None:
        violated(
            self.reached(of=make.istiod_proxy(self.pod)), "TRF-05", "its certificate does not come from Teleport", causes=()
        )

    def test_without_a_way_in_it_cannot_be_judged(self) -> None:
        unknown(judge.no_way_in([make.ingress_gateway()]), "TRF-05", "no Service takes plain HTTP to it")
