"""The join tokens whose keys are judged: INST-09."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from facts.finding import Finding
from facts.kubernetes.jwks import Signature
from observe.install import Install
from provision.pods.probes import Probes
from steps.install import teleport as steps
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated


def test_the_keys_of_every_token_are_judged_and_of_no_other_join_method() -> None:
    by_iam = make.tbot(config=make.tbot_config(token="iam", join_method="iam"))
    right, wrong = make.token(name="a"), make.token(name="b", jwks_text='{"keys": []}')
    asked: list[str] = []

    def fresh(token: Any, _namespace: str, _account: str) -> tuple[Signature, tuple[str, ...]]:
        asked.append(token.name)
        return make.signature(ok=token is right), ("ev-fresh",)

    joinings = tuple(make.joining(make.tbot(), token, make.bot()) for token in (right, wrong))
    teleport = SimpleNamespace(joinings_by_kubernetes=lambda: joinings, fresh_token=fresh)
    tbot = SimpleNamespace(all=lambda: make.tbots(by_iam, make.tbot(), make.tbot()))
    cluster = SimpleNamespace(jwks=make.jwks)
    install = cast("Install", SimpleNamespace(tbot=tbot, teleport=teleport, cluster=cluster))
    found: list[Finding] = []

    def conclude(*findings: Finding) -> None:
        found.extend(findings)

    tokens = steps.extracted_jwks(install)
    probes = cast("Probes", SimpleNamespace(namespace=lambda: "suite", service_account="probe"))
    signatures = steps.fresh_tokens(tokens, probes, install)
    assert asked == ["a", "b"]
    steps.fresh_token_verifies(tokens, signatures, install, conclude)
    steps.extracted_jwks_is_complete(install, conclude)
    for first, second in (found[:2], found[2:]):
        holds(first, "INST-09")
        violated(second, "INST-09")
