"""tbot, read from a cluster of captures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from facts.recorder import KeptInMemory
from facts.secret_forms import MARK
from observe.kubernetes.cluster import Cluster
from providers.teleport.facts.tbot import Tbot
from providers.teleport.observe.tbot import read_tbots
from settings import Names
from tests.data import document
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.captured import APPS, pools


def read_tbot(cluster: Cluster, names: Names) -> Tbot:
    return read_tbots(cluster, names).only


def test_tbot_as_installed(cluster: Cluster, healthy: ApiServer) -> None:
    tbot = read_tbot(cluster, Names())
    assert tbot.socket_on_node == "/run/spire/sockets/socket"
    assert tbot.service_account == "teleport-system:tbot"
    assert tbot.join_token_file is not None
    assert tbot.join_token_file.audience == "teleport.conformance.test"
    assert sorted(tbot.pods) == ["dev5-control-plane", "dev5-worker"]
    assert tbot.host_pid
    assert tbot.config_map == "tbot-config"


def test_a_pod_of_tbot_that_has_ended_or_goes_away_runs_on_no_node(cluster: Cluster, healthy: ApiServer) -> None:
    path = "GET /api/v1/namespaces/teleport-system/pods"
    pods = [pod for pod in document("cluster/pods.json")["items"] if pod["metadata"]["namespace"] == "teleport-system"]
    (one,) = (pod for pod in pods if pod["spec"]["nodeName"] == "dev5-worker")
    evicted = {**one, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on resource: ephemeral-storage"}}
    healthy.answer(path, {"items": [*pods, evicted]})
    assert read_tbot(cluster, Names()).pods["dev5-worker"].phase == "Running"
    assert read_tbot(cluster, Names()).leaving == frozenset()
    others = [pod for pod in pods if pod is not one]
    going = _deleted(one, timedelta(seconds=10))
    for gone, leaving in ((evicted, []), (going, ["dev5-worker"]), ({**evicted, "metadata": going["metadata"]}, [])):
        healthy.answer(path, {"items": [*others, gone]})
        found = read_tbot(cluster, Names())
        assert (sorted(found.pods), sorted(found.leaving)) == (["dev5-control-plane"], leaving)
    healthy.answer(path, {"items": [*pods, going]})
    assert read_tbot(cluster, Names()).leaving == frozenset(), "its successor runs there"


def _deleted(pod: Any, ago: timedelta) -> Any:
    """A pod whose grace period ended some time ago."""
    due = f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": due}}


def test_a_pod_of_tbot_that_never_goes_away_is_about_to_be_replaced_by_nothing(cluster: Cluster, healthy: ApiServer) -> None:
    path = "GET /api/v1/namespaces/teleport-system/pods"
    pods = [pod for pod in document("cluster/pods.json")["items"] if pod["metadata"]["namespace"] == "teleport-system"]
    (one,) = (pod for pod in pods if pod["spec"]["nodeName"] == "dev5-worker")
    others = [pod for pod in pods if pod is not one]
    stays = _deleted(one, timedelta(hours=6))
    healthy.answer(path, {"items": [*others, stays]})
    found = read_tbot(cluster, Names())
    assert (sorted(found.pods), found.leaving) == (["dev5-control-plane"], frozenset())
    assert {node: pod.name for node, pod in found.overstaying.items()} == {"dev5-worker": one["metadata"]["name"]}
    healthy.answer(path, {"items": [*others, stays, _deleted(one, timedelta(seconds=10))]})
    assert read_tbot(cluster, Names()).leaving == frozenset(), "none is made before both are gone"
    ended = {**stays, "status": {**stays["status"], "phase": "Failed"}}
    for gone in ([*others, ended], [*pods, stays]):
        healthy.answer(path, {"items": gone})
        assert read_tbot(cluster, Names()).overstaying == {}


def test_tbot_under_another_name_is_found_by_its_image(cluster: Cluster, healthy: ApiServer) -> None:
    assert read_tbot(cluster, Names(tbot_namespace="elsewhere", tbot="tbot")).daemon_set.name == "tbot"
    healthy.answer(f"GET {APPS}/daemonsets", {"items": []})
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names(tbot_namespace="elsewhere"))
    assert caught.value.seen == "none"


def _daemon_set(change: Any) -> Any:
    taken = document("cluster/daemon_set.json")
    change(taken["spec"]["template"]["spec"])
    return taken


def test_the_configuration_is_found_through_the_daemon_set(cluster: Cluster, healthy: ApiServer) -> None:
    path = f"GET {APPS}/namespaces/teleport-system/daemonsets/tbot"

    def other_way(spec: Any) -> None:
        container = spec["containers"][0]
        config = next(word for word in container["args"] if word.endswith(".yaml"))
        container["args"] = ["start", f"--config={config}"]

    healthy.answer(path, _daemon_set(other_way))
    assert read_tbot(cluster, Names()).config.token == "istio-tbot-k8s-join"

    def by_flags(spec: Any) -> None:
        spec["containers"][0]["args"] = ["start", "workload-identity-api"]

    healthy.answer(path, _daemon_set(by_flags))
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names())
    assert "no container has" in caught.value.seen


@pytest.mark.parametrize("damage", ["", "\ncredential_ttl: soon"])
def test_a_join_token_that_is_a_secret_is_in_nothing_that_is_kept(
    cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory, damage: str
) -> None:
    secret = "0123456789abcdef-joins"
    taken = document("cluster/config_map_tbot.json")
    (key,) = taken["data"]
    onboarding = f"onboarding:\n  token: {secret}\n  join_method: token\nversion: v2\n"
    taken["data"][key] = onboarding + damage
    taken["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(taken["data"])}
    healthy.answer("GET /api/v1/namespaces/teleport-system/configmaps/tbot-config", taken)
    if damage:
        with pytest.raises(CouldNotTell):
            read_tbot(cluster, Names())
    else:
        tbot = read_tbot(cluster, Names())
        assert tbot.config.token == MARK, "what is judged is what is stored"
        assert tbot.join_secret == secret, "tctl is asked for it by its name"
        assert secret not in repr(tbot)
    kept = next(e for e in recorder.evidence.values() if "tbot-config" in e.question)
    assert (kept.redactions, secret in kept.body) == (1, False)
    assert "last-applied" not in kept.body
    token = Problem(ObjectRef("Teleport", f"token/{secret}"), "is wrong")
    recorder.conclude(Finding("INST-10", Holds.NO, "it", "x", (token,)))
    assert secret not in repr((recorder.evidence, recorder.findings))


def test_a_config_map_that_is_not_there(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answers.pop("GET /api/v1/namespaces/teleport-system/configmaps/tbot-config")
    with pytest.raises(CouldNotTell) as caught:
        read_tbot(cluster, Names())
    assert "ConfigMap teleport-system/tbot-config does not exist" in caught.value.seen


LOOKED_FOR = ("/run/spire/sockets/socket",)


def test_every_daemon_set_that_serves_the_mesh_is_read(cluster: Cluster, healthy: ApiServer) -> None:
    listed = [document("cluster/daemon_set.json"), *pools("/run/spire/sockets", "/run/batch")]
    healthy.answer(f"GET {APPS}/daemonsets", {"items": listed})
    tbots = read_tbots(cluster, Names(), LOOKED_FOR)
    assert [tbot.daemon_set.name for tbot in tbots.each] == ["tbot", "pool-0"]
    assert all(tbot.looked_for == {*LOOKED_FOR} for tbot in tbots.each)
    assert [str(other.ref) for other in tbots.left_out] == ["DaemonSet teleport-system/pool-1"]
    with pytest.raises(CouldNotTell, match="2 of them"):
        _ = tbots.only


def test_a_tbot_that_mounts_more_than_its_socket_serves_nothing_by_that(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answer(f"GET {APPS}/daemonsets", {"items": pools("/run", "/run/spire")})
    tbots = read_tbots(cluster, Names(), LOOKED_FOR)
    assert tbots.only.daemon_set.name == "tbot"
    assert [(other.ref.name, other.unread) for other in tbots.left_out] == [("pool-0", False), ("pool-1", False)]
    below = read_tbots(cluster, Names(), ("/run/socket",))
    assert [tbot.daemon_set.name for tbot in below.each] == ["pool-0", "tbot"]


def test_another_tbot_that_cannot_be_read_spoils_no_reading_of_the_meshs_own(cluster: Cluster, healthy: ApiServer) -> None:
    unread, elsewhere = pools("/run", "/run/batch")
    for made in (unread, elsewhere):
        for volume in made["spec"]["template"]["spec"]["volumes"]:
            if "configMap" in volume:
                volume |= {"configMap": None, "secret": {"secretName": "tbot-config"}}
    healthy.answer(f"GET {APPS}/daemonsets", {"items": [unread, elsewhere]})
    tbots = read_tbots(cluster, Names(), LOOKED_FOR)
    assert tbots.only.daemon_set.name == "tbot"
    assert [other.ref.name for other in tbots.left_out] == ["pool-0", "pool-1"]
    (other,) = tbots.unread
    assert other.ref.name == "pool-0"
    assert "which is no ConfigMap" in other.why
    assert other.directories == frozenset(), "a mount of a parent says nothing"
    (its,) = read_tbots(cluster, Names(), (*LOOKED_FOR, "/run/batch/socket")).unread[1:]
    assert its.directories == {"/run/batch"}
    with pytest.raises(CouldNotTell, match="which is no ConfigMap"):
        read_tbots(cluster, Names(tbot_namespace="elsewhere"), LOOKED_FOR)


def test_the_one_that_serves_the_mesh_comes_first(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answer(f"GET {APPS}/daemonsets", {"items": pools("/run/mesh")})
    tbots = read_tbots(cluster, Names(), ("/run/mesh/socket",))
    assert [tbot.daemon_set.name for tbot in tbots.each] == ["pool-0", "tbot"]
    unnamed = read_tbots(cluster, Names(tbot_namespace="elsewhere"), ("/run/mesh/socket",))
    assert unnamed.only.daemon_set.name == "pool-0"


def test_of_several_that_serve_nothing_none_is_guessed(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answer(f"GET {APPS}/daemonsets", {"items": pools("/run/a", "/run/b")})
    with pytest.raises(CouldNotTell) as caught:
        read_tbots(cluster, Names(tbot_namespace="elsewhere"), LOOKED_FOR)
    assert "teleport-system/pool-0 (no proxy looks for" in caught.value.seen
