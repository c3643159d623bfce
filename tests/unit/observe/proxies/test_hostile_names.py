"""Names in a certificate that a tenant's own Envoy shows: they are judged as its own, and no secret in them comes out."""

from __future__ import annotations

import pytest

from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Finding
from facts.secret_forms import Canary
from judge.findings import Claim
from judge.identity.proxies import name_problems, own_identity_problems
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, svid
from tests.unit.observe.hostile import outputs, quoting

IN_A_NAME = [canary for canary in CANARIES if canary.text.isascii()]


def claimed(name: str) -> tuple[Finding, Evidence]:
    """What is concluded from a proxy with that name, and a reading that it may be quoted with."""
    certificate = svid(uris=(name,))
    kept = evidence_of("GET /certs", ObjectRef("Pod", "p"), certificate.pem, read_at=NOW)
    proxy = make.proxy(chain=(certificate,))
    problems = [*name_problems(proxy, TRUST_DOMAIN), *own_identity_problems(proxy, make.bundle())]
    return Claim("ID-02", "its own SPIFFE ID", "a pod", (kept.id,)).judged(problems), kept


@pytest.mark.parametrize("canary", IN_A_NAME, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_comes_out_of_a_name_and_it_is_still_wrong(canary: Canary) -> None:
    finding, kept = claimed(f"spiffe://{TRUST_DOMAIN}/{canary.text}")
    assert finding.problems, "a name with a secret is no SPIFFE ID of a workload"
    assert finding.unclear == ()
    written = list(outputs(kept, quoting(kept, *(p.said for p in finding.problems)), ValueError(canary.text)))
    assert [left_in(text, canary) for text in written if left_in(text, canary)] == []
