"""An install that is opened from the settings: whose address of Teleport is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from observe import opened
from observe.opened import open_install
from providers.teleport.observe.session import TeleportAddress, TeleportSession
from settings import load
from tests.unit.judge import builders as make


@pytest.mark.parametrize(("given", "claims"), [("", True), ("teleport.test:443", False)])
def test_an_address_that_only_tbots_configuration_names_is_claimed(
    given: str, claims: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tbots = make.tbots(make.tbot())
    handed: dict[str, Any] = {}

    def of(_cluster: object, **arguments: Any) -> SimpleNamespace:
        handed.update(arguments)
        return SimpleNamespace(tbot=SimpleNamespace(all=lambda: tbots))

    monkeypatch.setattr(opened, "Install", SimpleNamespace(of=of))
    claimed: list[str] = []
    any_: Any = cast("Any", None)
    open_install(
        load(cluster="existing", context="staging"),
        any_,
        any_,
        tools=cast("Any", SimpleNamespace(tctl=None)),
        address=lambda: TeleportAddress(given),
        claimed=claimed.append,
        profiles=frozenset(),
        is_scratch=lambda _namespace: False,
    )
    assert claimed == []
    assert isinstance(handed["teleport"](), TeleportSession)
    assert claimed == ([tbots.first.config.proxy_server] if claims else [])
