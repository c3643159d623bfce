"""The SPIFFE ID that a template yields."""

from __future__ import annotations

import pytest

from providers.teleport.facts.id_template import spiffe_id_by
from tests.unit.judge import builders as make

CALLER = {"workload.kubernetes.namespace": "shop", "workload.kubernetes.service_account": "web"}
NAMESPACE, ACCOUNT = "{{ workload.kubernetes.namespace }}", "{{workload.kubernetes.service_account}}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (f"/ns/{NAMESPACE}/sa/{ACCOUNT}", "spiffe://td.test/ns/shop/sa/web"),
        (f"/ns/{NAMESPACE}/{ACCOUNT}/", "spiffe://td.test/ns/shop/web/"),
        ("/shared", "spiffe://td.test/shared"),
        (f"/ns/{NAMESPACE}/region/{{{{ user.traits.region }}}}", ""),
        ("/ns/{{ workload.kubernetes.namespace", ""),
        ("/ns/{{}}", ""),
    ],
)
def test_what_a_template_yields(template: str, expected: str) -> None:
    assert spiffe_id_by(make.identity(spiffe_id=template), "td.test", CALLER) == expected


def test_a_scope_stands_before_the_path() -> None:
    assert spiffe_id_by(make.identity(spiffe_id="/a", scope="/staging/"), "td.test", {}) == "spiffe://td.test/staging/_/a"
