"""NEG-05: a certificate that Teleport has not issued is refused for that, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.proxies.sds_mode import SdsMode
from facts.svid import Certificate
from facts.traffic.attempts import Handshake, ShownCertificate
from facts.traffic.ledger import Outcome
from facts.traffic.refusal import AttemptEnd
from facts.traffic.refusal import AttemptOutcome as Ending
from judge.traffic import peers
from tests.unit.judge import attempts
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, svid

ISTIODS = svid(attempts.RUN, "stranger", issuer="istiod")
FORGED = svid(attempts.RUN, "stranger", issuer="unknown")
SERVER = attempts.pod("beta")
FOREIGN = svid(attempts.RUN, "stranger", issuer="unknown", uri="spiffe://other.invalid/ns/run/sa/stranger")


def judged(handshake: Handshake, proxy: Any = make.proxy, pod: Pod = SERVER) -> Finding:
    """The judgment of a handshake with a server, whose proxy holds a certificate from Teleport unless another is given."""
    return peers.peer_is_refused(handshake, make.bundle(), attempts.istiod(), pod, make.fleet(proxy(pod)))


def alert(name: str) -> Ending:
    """What the client sees of an alert."""
    return Ending(AttemptEnd.TLS_ALERT, name, f"SSLError: {name}")


@pytest.mark.parametrize(
    ("claim", "shown", "counter"),
    [
        (ShownCertificate.ISTIODS, ISTIODS, "fail_verify_error"),
        (ShownCertificate.FORGED, FORGED, "fail_verify_error"),
        (ShownCertificate.FOREIGN, FOREIGN, "fail_verify_error"),
        (ShownCertificate.FOREIGN, FOREIGN, "fail_verify_san"),
    ],
)
@pytest.mark.parametrize("name", ["certificate_unknown", "unknown_ca", "bad_certificate"])
def test_a_foreign_certificate_is_refused_by_both_ends_word(
    claim: ShownCertificate, shown: Any, counter: str, name: str
) -> None:
    refused = attempts.handshake(claim=claim, chain=(shown,), outcome=alert(name), counted=attempts.counted(**{counter: 1}))
    finding = judged(refused)
    holds(finding, "NEG-05", "ev-handshake", "ev-bundle", "ev-istiod")
    assert str(claim) in finding.where


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"outcome": attempts.GRANTED}, "Pod conformance-1/beta: it accepted spiffe://", ("foreign-authority-trusted",)),
        ({"counted": attempts.counted(handshake=1)}, "counts 1 completed handshakes", ()),
    ],
    ids=["answered", "completed"],
)
def test_a_foreign_certificate_that_is_taken(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    violated(judged(attempts.handshake(**changes)), "NEG-05", words, causes=causes)


IN_TAKEOVER = partial(make.istiod_proxy, sds_mode=SdsMode.TAKEOVER)
IN_RACE = partial(make.proxy, sds_mode=SdsMode.RACE)
ASKS = {"inject.istio.io/templates": "sidecar,spire"}
WITHOUT_SOCKET = attempts.pod("beta", socket=make.EMPTY_DIR)
ASKS_WITHOUT_SOCKET = attempts.pod("beta", socket=make.EMPTY_DIR, annotations=ASKS)


@pytest.mark.parametrize(
    ("proxy", "pod", "shown", "cause"),
    [
        (make.proxy, SERVER, ISTIODS, "foreign-authority-trusted"),
        (IN_RACE, SERVER, ISTIODS, "foreign-authority-trusted"),
        (make.istiod_proxy, WITHOUT_SOCKET, ISTIODS, "template-not-requested"),
        (make.istiod_proxy, ASKS_WITHOUT_SOCKET, ISTIODS, "template-without-node-socket"),
        (make.istiod_proxy, SERVER, ISTIODS, ""),
        (IN_TAKEOVER, SERVER, ISTIODS, "socket-taken-over"),
        (make.unread, SERVER, ISTIODS, ""),
        (make.istiod_proxy, ASKS_WITHOUT_SOCKET, FORGED, "foreign-authority-trusted"),
        (make.unread, SERVER, FORGED, "foreign-authority-trusted"),
    ],
    ids=["Teleport", "race", "no template", "no hostPath", "unknown", "takeover", "unread", "forged", "forged unread"],
)
def test_why_a_server_takes_a_foreign_certificate_follows_from_its_own(
    proxy: Any, pod: Pod, shown: Certificate, cause: str
) -> None:
    claim = ShownCertificate.ISTIODS if shown is ISTIODS else ShownCertificate.FORGED
    taken = attempts.handshake(claim=claim, chain=(shown,), outcome=attempts.GRANTED)
    finding = judged(taken, proxy, pod)
    violated(finding, "NEG-05", "it accepted spiffe://", causes=(cause,) if cause else ())
    if proxy is not make.unread:
        assert "ev-proxy-beta" in finding.evidence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("certificate_expired", "another reason, the certificate has expired or is not valid yet"),
        ("certificate_revoked", "another reason, the certificate was revoked"),
        ("certificate_required", "another reason, it was shown no certificate"),
        ("unsupported_certificate", "another reason, the certificate is of a kind that it does not take"),
        ("access_denied", "another reason, the certificate is valid, and its bearer is not let in"),
        ("protocol_version", "another reason, something else than the certificate"),
        ("handshake_failure", "another reason, something else than the certificate"),
    ],
)
def test_an_alert_for_another_reason_shows_nothing(name: str, words: str) -> None:
    unknown(judged(attempts.handshake(outcome=alert(name))), "NEG-05", words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": attempts.TIMEOUT}, "no alert on its certificate: no answer in time"),
        ({"outcome": Ending(AttemptEnd.CLOSED)}, "closed the connection without a word"),
        ({"counted": attempts.counted()}, "its Envoy refused no certificate, and none for its issuer or its dates"),
        (
            {"counted": attempts.counted(fail_verify_san=1)},
            "its Envoy refused 1 for the name in it, and none for its issuer",
        ),
        ({"counted": attempts.counted(fail_verify_no_cert=1)}, "refused 1 because the peer showed none"),
        ({"counted": replace(attempts.counted(), values={})}, "does not count handshakes"),
    ],
    ids=["timeout", "closed", "not counted", "misnamed", "not shown", "no counters"],
)
def test_a_refusal_by_chance_shows_nothing(changes: dict[str, Any], words: str) -> None:
    unknown(judged(attempts.handshake(**changes)), "NEG-05", words)


@pytest.mark.parametrize(
    ("claim", "shown", "words"),
    [
        (ShownCertificate.ISTIODS, FORGED, "issued by CN=unknown"),
        (ShownCertificate.FORGED, ISTIODS, "issued by CN=istiod"),
        (ShownCertificate.FOREIGN, FORGED, f"where Teleport's trust domain is {TRUST_DOMAIN}"),
        (ShownCertificate.FORGED, FOREIGN, f"where Teleport's trust domain is {TRUST_DOMAIN}"),
        (ShownCertificate.FORGED, svid(attempts.RUN, "stranger"), "which Teleport has issued"),
    ],
)
def test_a_client_that_shows_something_else_than_it_claims_shows_nothing(
    claim: ShownCertificate, shown: Any, words: str
) -> None:
    unknown(judged(attempts.handshake(claim=claim, chain=(shown,))), "NEG-05", words)


def test_a_certificate_that_is_out_of_date_is_refused_for_that() -> None:
    unknown(judged(attempts.handshake(at=NOW + timedelta(days=1))), "NEG-05", "which is refused for its dates")


def test_a_certificate_of_teleports_that_is_taken_is_no_problem() -> None:
    taken = attempts.handshake(chain=(svid(attempts.RUN, "stranger"),), outcome=attempts.GRANTED)
    unknown(judged(taken), "NEG-05", "which Teleport has issued")


ALPHA, BETA = (attempts.pod(name) for name in ("alpha", "beta"))


def let_in(outcome: Outcome = Outcome.ANSWERED, **changes: Any) -> Finding:
    """The judgment of what alpha asked of beta."""
    held = replace(attempts.exchange(outcome, handshake=1), proxies=(make.proxy(ALPHA), make.proxy(BETA)))
    return peers.right_peer_is_let_in(replace(held, **changes), ALPHA, BETA, make.bundle())


def test_the_right_certificate_is_taken() -> None:
    holds(let_in(), "NEG-05", "ev-ledger", "ev-counted", "ev-bundle")


def test_a_server_that_accepts_no_client() -> None:
    violated(
        let_in(Outcome.TLS_ERROR, server=attempts.counted()), "NEG-05", "TLS error", "no completed handshake", causes=()
    )


def test_two_that_istiod_certified_take_each_other_and_show_nothing_of_teleport() -> None:
    proxies = (make.istiod_proxy(ALPHA), make.istiod_proxy(BETA))
    violated(let_in(proxies=proxies), "NEG-05", "its certificate does not come from Teleport", causes=())
    unknown(let_in(proxies=()), "NEG-05", "the suite did not read its proxy")
