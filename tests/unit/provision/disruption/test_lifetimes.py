"""tbot's configuration with short lifetimes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import yaml

from facts.errors import CouldNotTell
from facts.teleport.tbot_config import parse_tbot_config
from observe.wait import Pace
from provision.disruption.lifetimes import Lifetimes, ShortLived, shortened
from provision.pods.clients_and_servers import SECOND_SOCKET
from provision.render import MANIFESTS
from tests.unit.judge import builders as make

TEXT = yaml.safe_load((MANIFESTS / "tbot-config.yaml").read_text())["data"]["tbot.yaml"]

SHORT, LONGER = Lifetimes(60, 20), Lifetimes(90, 30)


def test_the_socket_gets_short_lifetimes_and_a_second_one_longer_ones() -> None:
    before, after = parse_tbot_config(TEXT), parse_tbot_config(shortened(TEXT, SHORT, LONGER))

    first, second = after.services
    assert (first.credential_ttl, first.renewal_interval) == (60, 20)
    assert (second.credential_ttl, second.renewal_interval) == (90, 30)
    assert first.socket_path == before.services[0].socket_path
    assert second.socket_path == first.socket_path.rpartition("/")[0] + "/" + SECOND_SOCKET
    assert second.selector_name == first.selector_name
    assert second.kubernetes == first.kubernetes
    assert (after.token, after.proxy_server, after.unknown_keys) == (before.token, before.proxy_server, ())


class Cluster:
    """A cluster in which one tbot is not Ready."""

    def recording_to(self, _recorder: object) -> Cluster:
        return self

    def daemon_set(self, _namespace: str, _name: str) -> Any:
        return replace(make.tbot().daemon_set, desired=2, ready=1)


def test_a_tbot_that_is_not_well_is_left_as_it_is() -> None:
    untouched = cast("Any", None)
    short = ShortLived(untouched, cast("Any", Cluster()), make.tbot(), Pace(1, 0.01))
    with pytest.raises(CouldNotTell, match="1 of 2 Ready"):
        short.begin(SHORT, LONGER)
    assert not short.is_in_force
    short.end()
