"""SPIFFE IDs as a wrong template makes them."""

from __future__ import annotations

from dataclasses import replace

from judge.diagnosis.naming import misnamed
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.diagnosis.told import named

SLASH, WITHOUT_SA = "identity-template-trailing-slash", "identity-template-without-sa"


def test_a_name_that_a_wrong_template_makes() -> None:
    slash = f"spiffe://{TRUST_DOMAIN}/ns/test-app/sa/test-app/"
    without = f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app"
    found = misnamed(
        [
            make.proxy(make.pod("slash"), chain=(svid(uris=(slash,)),)),
            make.proxy(make.pod("without"), chain=(svid(uris=(without,)),)),
            make.proxy(make.pod("right")),
            make.proxy(make.pod("stranger"), chain=(svid(uris=("spiffe://elsewhere/x",)),)),
            make.proxy(make.pod("none"), chain=()),
        ]
    )
    assert named(found) == [("Pod test-app/slash", SLASH), ("Pod test-app/without", WITHOUT_SA)]


def test_a_name_that_only_begins_as_a_wrong_template_makes_it_is_not_of_that_template() -> None:
    """The account ``s`` is no part of the ``sa`` in the name of another, and ``test-app`` none of ``test-app-2``."""

    def of(account: str, path: str) -> list[tuple[str, str]]:
        pod = make.pod("app")
        named_so = replace(pod, spec=replace(pod.spec, service_account=account))
        chain = (svid(uris=(f"spiffe://{TRUST_DOMAIN}/ns/test-app/{path}",)),)
        return named(misnamed([make.proxy(named_so, chain=chain)]))

    assert of("s", "sa/other") == of("test-app", "test-app-2") == []
    assert of("s", "s") == [("Pod test-app/app", WITHOUT_SA)]
