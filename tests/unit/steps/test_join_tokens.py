"""The join tokens whose keys are judged: INST-09."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from checks.check import Case, Kept, ProbePods
from facts.finding import Finding
from facts.kubernetes.jwks import Signature
from observe.install import Install
from providers.teleport.parts.teleport import PART
from settings import load
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
    probes = cast("ProbePods", SimpleNamespace(namespace=lambda: "suite", service_account="probe"))
    case = Case(install, load(), cast("Any", None), probes, Kept())
    verified, complete = (each for each in PART.checks if each.requirement == "INST-09" and each.then)
    found = [*complete.run(case), *verified.run(case)]
    assert asked == ["a", "b"]
    for first, second in (found[:2], found[2:]):
        holds(cast("Finding", first), "INST-09")
        violated(cast("Finding", second), "INST-09")
