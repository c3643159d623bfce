"""tbot's configuration with short lifetimes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import yaml

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.wait import Pace
from providers.teleport.facts.tbot_config import parse_tbot_config
from provision.disruption.lifetimes import Lifetimes, ShortLived, shortened, with_inherited_lifetimes
from provision.pods.clients_and_servers import SECOND_SOCKET
from provision.render import MANIFESTS
from provision.runs.fields import restored
from provision.runs.originals import Kept, Originals
from tests.unit.judge import builders as make
from tests.unit.provision.cluster import ApiServer, Objects
from tests.unit.provision.originals import nowhere

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


def test_services_inherit_the_lifetimes_at_the_top_of_the_file() -> None:
    own = shortened(TEXT, SHORT, LONGER)

    inherited = parse_tbot_config(yaml.safe_dump(with_inherited_lifetimes(yaml.safe_load(own), Lifetimes(3600, 7200))))

    assert [(s.credential_ttl, s.renewal_interval) for s in inherited.services] == [(3600, 7200)] * 2
    assert [s.own_lifetimes for s in inherited.services] == [()] * 2
    assert len(inherited.own_lifetimes) == 2


class Cluster:
    """A cluster whose tbots are Ready, or of which one is not."""

    def __init__(self, ready: int = 2) -> None:
        self.ready = ready

    def recording_to(self, _recorder: object) -> Cluster:
        return self

    def daemon_set(self, _namespace: str, _name: str) -> Any:
        return replace(make.tbot().daemon_set, desired=2, ready=self.ready)

    def pods(self) -> tuple[Any, ...]:
        return ()


def test_a_tbot_that_is_not_well_is_left_as_it_is() -> None:
    untouched = cast("Any", None)
    short = ShortLived(untouched, nowhere(), cast("Any", Cluster(ready=1)), make.tbot(), Pace(1, 0.01))
    with pytest.raises(CouldNotTell, match="1 of 2 Ready"):
        short.begin(SHORT, LONGER)
    assert not short.is_in_force
    short.end()


TBOT = make.tbot()
NAMESPACE = TBOT.daemon_set.namespace


@pytest.fixture
def server() -> ApiServer:
    made = ApiServer()
    made.put(
        {"kind": "ConfigMap", "metadata": {"name": TBOT.config_map, "namespace": NAMESPACE}, "data": {"tbot.yaml": TEXT}}
    )
    return made


def shortening(server: ApiServer) -> tuple[ShortLived, Objects, Originals]:
    objects = Objects(server)
    originals = Originals(cast("Any", objects))
    return ShortLived(cast("Any", objects), originals, cast("Any", Cluster()), TBOT, Pace(1, 0.01)), objects, originals


def test_the_configuration_is_kept_in_the_cluster_until_it_is_restored(server: ApiServer) -> None:
    short, objects, originals = shortening(server)
    short.begin(SHORT, LONGER)
    (kept,) = originals.all()
    assert isinstance(kept, Kept)
    assert (str(kept.change), kept.change.restart) == (f"ConfigMap {NAMESPACE}/{TBOT.config_map}", TBOT.daemon_set.name)
    assert kept.change.fields[0].was == TEXT
    config = server.of("ConfigMap", TBOT.config_map, NAMESPACE)
    assert restored(config, kept.change.fields)["data"] == {"tbot.yaml": TEXT}
    short.end()
    assert originals.all() == ()
    assert server.of("ConfigMap", TBOT.config_map, NAMESPACE)["data"] == {"tbot.yaml": TEXT}
    assert objects.restarted == [f"DaemonSet {NAMESPACE}/{TBOT.daemon_set.name}"] * 2


def test_a_configuration_with_the_secret_of_a_join_is_not_changed(server: ApiServer) -> None:
    text = TEXT.replace("join_method: kubernetes", "join_method: token")
    server.of("ConfigMap", TBOT.config_map, NAMESPACE)["data"]["tbot.yaml"] = text
    short, objects, originals = shortening(server)
    with pytest.raises(ProvisioningFailed, match="holds a secret"):
        short.begin(SHORT, LONGER)
    short.end()
    assert (originals.all(), objects.restarted) == ((), [])


def test_what_another_user_has_changed_stays_kept(server: ApiServer) -> None:
    short, _objects, originals = shortening(server)
    short.begin(SHORT, LONGER)
    server.of("ConfigMap", TBOT.config_map, NAMESPACE)["data"]["tbot.yaml"] = "theirs"
    with pytest.raises(CouldNotTell, match=r"another user has changed data\.tbot\.yaml meanwhile"):
        short.end()
    assert len(originals.all()) == 1
