"""What switches a verification off reaches the scope of the run, through the wiring of the suite."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import conftest
import settings
from judge.verdict import Authority
from providers.teleport.observe.session import TeleportAddress
from providers.teleport.observe.tbot_facet import TBOT
from provision import target
from provision.target import already_there
from reporting.collecting.store import Store
from tests.unit.judge import builders as make


@pytest.mark.parametrize(
    ("insecure", "lines"), [(True, ("tbot's line to Teleport (insecure in its configuration)",)), (False, ())]
)
def test_tbot(*, insecure: bool, lines: tuple[str, ...]) -> None:
    tbots = make.tbots(make.tbot(config=make.tbot_config(insecure=insecure)))
    install = SimpleNamespace(
        seen=lambda key: tbots if key is TBOT else None,
        cluster=SimpleNamespace(reader=SimpleNamespace(api=SimpleNamespace(host="https://api.test"))),
    )
    store = Store()
    conftest._note_run_facts(cast("Any", install), cast("Any", SimpleNamespace(has_teleport=lambda: False)), store)
    assert store.unverified == lines
    assert store.facts.tbot_version


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_claimed_teleport_that_has_the_expected_anchors_is_claimed_no_more(*, confirmed: bool) -> None:
    teleport = SimpleNamespace(ping=make.ping, has_the_expected_anchors=lambda: confirmed)
    install = SimpleNamespace(
        seen=lambda _key: None,
        teleport=teleport,
        cluster=SimpleNamespace(reader=SimpleNamespace(api=SimpleNamespace(host="https://api.test"))),
    )
    store = Store()
    store.note_claimed("teleport.test:443")
    conftest._note_run_facts(cast("Any", install), cast("Any", SimpleNamespace(has_teleport=lambda: True)), store)
    assert store.claimed == ("" if confirmed else "teleport.test:443")
    assert store.facts.authority is Authority.TELEPORT


def test_teleport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "resolve", lambda _settings: SimpleNamespace())

    def address(**given: Any) -> TeleportAddress:
        options = {"cluster": "existing", "context": "staging", "cache": tmp_path, "teleport_proxy": "teleport.test:443"}
        return already_there(settings.load(**options, **given), "run", lambda: None).teleport()

    ca = tmp_path / "ca.pem"
    assert address() == TeleportAddress("teleport.test:443")
    assert (address(teleport_ca=ca).ca, address(teleport_ca=ca).unverified) == (ca, "")
    assert address(teleport_insecure=True).unverified == "Teleport's proxy (--teleport-insecure)"
