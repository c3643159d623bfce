"""INST-16: the releases of tbot and Istio, by tags and heartbeats."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from judge.explain.cause import CAUSES
from judge.install.components import istio_components, no_known_defect, of_tbots, tbot_components
from providers.teleport.facts.tbot import Tbot
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW


def on_two_nodes(*images: str, **given: Any) -> Tbot:
    pods = [make.tbot_pod(f"tbot-{n}", node=f"node-{n}", image=image) for n, image in enumerate(images, 1)]
    return make.tbot(*pods, runs=make.tbot_container(image=images[0]), **given)


FLOATING = "registry.example/tbot-distroless:18"
NOT_RENEWED = "tbot-pushes-without-renewing"


def test_exact_tags_of_versions_without_a_defect() -> None:
    components = [*tbot_components(make.tbot(), None), *istio_components(make.planes(), [make.pod()])]
    finding = no_known_defect(components)
    holds(finding, "INST-16", "ev-agent", "ev-mesh", "ev-pod-app")
    assert "tbot 18.6.4 (image registry.example/tbot-distroless:18.6.4)" in finding.seen
    assert "istio 1.31.0" in finding.seen


def test_beside_a_digest_a_tag_tells_no_version() -> None:
    pinned = on_two_nodes(f"registry.example/tbot-distroless:18.6.4@sha256:{'0' * 64}")
    unknown(no_known_defect(tbot_components(pinned, None)), "INST-16", "@sha256")
    holds(no_known_defect(tbot_components(pinned, [make.bot_instance("tbot-1", "18.6.4")])), "INST-16")
    violated(no_known_defect(tbot_components(pinned, [make.bot_instance("tbot-1", "18.6.3")])), "INST-16", "tbot 18.6.3")


def test_on_the_nodes_network_no_newer_neighbour_hides_an_affected_tbot() -> None:
    tbot = on_two_nodes(FLOATING, host_network=True)
    beats = [make.bot_instance("node-1", "18.5.0"), make.bot_instance("node-1", "18.7.0", last_heartbeat=NOW + timedelta(1))]
    finding = no_known_defect(tbot_components(tbot, beats))
    violated(finding, "INST-16", "tbot 18.5.0: this release of tbot", causes=(NOT_RENEWED,))
    assert finding.where == "Pod teleport-system/tbot-1"


def test_an_affected_tbot_by_its_tag() -> None:
    affected = on_two_nodes("registry.example/tbot-distroless:18.6.3", "registry.example/tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(affected, None))
    violated(finding, "INST-16", evidence=("ev-agent",), causes=(NOT_RENEWED,))
    subjects = "DaemonSet teleport-system/tbot, Pod teleport-system/tbot-1, Pod teleport-system/tbot-2"
    issues = "gravitational/teleport#62813, gravitational/teleport#62829, gravitational/teleport#62830"
    assert finding.seen == (
        f"{subjects}: tbot 18.6.3: this release of tbot pushes the old certificate under a fresh version,"
        f" so new connections fail with 503 some hours after a pod has started ({issues})"
    )
    assert "Upgrade tbot to 18.6.4 or 17.7.14" in CAUSES[NOT_RENEWED].remedy[0]


def test_each_defect_of_one_release_is_a_problem_of_its_own() -> None:
    finding = no_known_defect(tbot_components(on_two_nodes("tbot:17.6.9"), None))
    causes = (NOT_RENEWED, "tbot-never-recovers", "tbot-hangs-on-unhealthy-cache")
    violated(finding, "INST-16", causes=causes)
    assert [(str(p.subject), p.cause) for p in finding.problems] == [
        (subject, cause) for cause in causes for subject in ("DaemonSet teleport-system/tbot", "Pod teleport-system/tbot-1")
    ]


def test_what_a_tag_and_a_heartbeat_tell_of_one_pod_is_told_once() -> None:
    affected = on_two_nodes("tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(affected, [make.bot_instance("tbot-1", "18.6.3")]))
    violated(finding, "INST-16", "DaemonSet teleport-system/tbot, Pod teleport-system/tbot-1: tbot 18.6.3: this release")
    assert finding.seen.count("this release") == 1
    assert finding.where == "DaemonSet teleport-system/tbot, Pod teleport-system/tbot-1"


def test_an_affected_version_that_no_pod_runs_yet() -> None:
    coming = make.tbot(make.tbot_pod(image="tbot:18.6.4"), runs=make.tbot_container(image="tbot:18.6.3"))
    finding = no_known_defect(tbot_components(coming, None))
    violated(finding, "INST-16", "DaemonSet teleport-system/tbot: tbot 18.6.3: ", causes=(NOT_RENEWED,))
    assert [str(p.subject) for p in finding.problems] == ["DaemonSet teleport-system/tbot"]


def test_a_pod_of_a_floating_template_with_a_tag_of_its_own() -> None:
    old = make.tbot(make.tbot_pod(image="tbot:18.6.3"), runs=make.tbot_container(image="tbot:18"))
    finding = no_known_defect(tbot_components(old, None))
    violated(finding, "INST-16", "tbot 18.6.3: ", causes=(NOT_RENEWED,))
    assert [str(p.subject) for p in finding.problems] == ["Pod teleport-system/tbot-1"]


def test_a_pod_without_the_container_is_taken_to_run_the_templates() -> None:
    bare = make.tbot_pod()
    bare = replace(bare, spec=replace(bare.spec, containers=()))
    holds(no_known_defect(tbot_components(make.tbot(bare), None)), "INST-16")


def test_one_pod_that_still_runs_the_affected_version() -> None:
    mixed = on_two_nodes("tbot-distroless:18.6.4", "tbot-distroless:18.6.3")
    finding = no_known_defect(tbot_components(mixed, None))
    violated(finding, "INST-16", "Pod teleport-system/tbot-2: tbot 18.6.3: ", causes=(NOT_RENEWED,))
    assert [str(p.subject) for p in finding.problems] == ["Pod teleport-system/tbot-2"]


@pytest.mark.parametrize(
    "image", ["tbot-distroless:18", "tbot-distroless:18.6", "tbot-distroless", "tbot@sha256:abc", "tbot:latest"]
)
def test_a_floating_tag_tells_no_version(image: str) -> None:
    finding = no_known_defect(tbot_components(on_two_nodes(image), None))
    unknown(finding, "INST-16", evidence=("ev-agent",))
    assert finding.where == "Pod teleport-system/tbot-1"
    assert finding.seen == f"the version of tbot is unknown: image {image}"
    assert "heartbeats" in finding.settle


FLOATS = "tbot-version-floating"


@pytest.mark.parametrize("image", [FLOATING, "registry.example/tbot:18.6", "registry.example/tbot", "tbot:latest"])
def test_a_floating_tag_is_a_note_whether_or_not_heartbeats_tell_the_version(image: str) -> None:
    silent = no_known_defect(tbot_components(on_two_nodes(image), None), image)
    unknown(silent, "INST-16", image)
    heard = no_known_defect(tbot_components(on_two_nodes(image), [make.bot_instance("tbot-1")]), image)
    holds(heard, "INST-16")
    assert heard.seen == f"the tag of {image} floats; tbot 18.6.4 (heartbeat)"
    affected = no_known_defect(tbot_components(on_two_nodes(image), [make.bot_instance("tbot-1", "18.6.3")]), image)
    violated(affected, "INST-16", causes=(NOT_RENEWED,))
    for finding in (silent, heard, affected):
        (note,) = finding.showing(FLOATS)
        assert finding.notes == (note,)
        assert (str(note.subject), note.said) == (f"Image {image}", "its tag floats")
    assert "Pin an exact version" in CAUSES[FLOATS].remedy[0]


@pytest.mark.parametrize("image", ["tbot:18.6.4", f"tbot:18.6.4@sha256:{'a' * 64}", f"tbot@sha256:{'a' * 64}", ""])
def test_an_exact_tag_and_a_digest_do_not_float(image: str) -> None:
    finding = no_known_defect(tbot_components(make.tbot(), [make.bot_instance("tbot-1")]), image)
    holds(finding, "INST-16")
    assert finding.showing(FLOATS) == ()
    assert "floats" not in finding.seen


def test_a_floating_tag_before_any_pod_runs() -> None:
    without_pods = replace(on_two_nodes(FLOATING), pods={})
    unknown(no_known_defect(tbot_components(without_pods, None)), "INST-16", FLOATING)


def test_heartbeats_tell_the_version_under_a_floating_tag() -> None:
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-2"), make.bot_instance("gone", "18.6.3")]
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), beats))
    holds(finding, "INST-16", "ev-agent", "ev-heartbeat-tbot-1", "ev-heartbeat-tbot-2")
    assert finding.seen == "tbot 18.6.4 (heartbeat)"


def test_the_heartbeat_of_one_node_says_nothing_of_another() -> None:
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), [make.bot_instance("tbot-1")]))
    unknown(finding, "INST-16", FLOATING)
    assert finding.seen == f"Pod teleport-system/tbot-2: the version of tbot is unknown: image {FLOATING}"


def test_two_versions_under_one_floating_tag() -> None:
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-2", "18.5.0")]
    finding = no_known_defect(tbot_components(on_two_nodes(FLOATING, FLOATING), beats))
    violated(finding, "INST-16", evidence=("ev-heartbeat-tbot-2",), causes=(NOT_RENEWED,))
    assert finding.seen.startswith("Pod teleport-system/tbot-2: tbot 18.5.0: ")


def test_a_heartbeat_that_contradicts_the_tag_is_believed() -> None:
    finding = no_known_defect(tbot_components(make.tbot(), [make.bot_instance("tbot-1", "18.6.3")]))
    violated(finding, "INST-16", "tbot 18.6.3: ", causes=(NOT_RENEWED,))
    assert [str(p.subject) for p in finding.problems] == ["Pod teleport-system/tbot-1"]


def test_a_tag_that_contradicts_the_heartbeat_is_believed_too() -> None:
    tagged = make.tbot(make.tbot_pod(image="tbot:18.6.3"), runs=make.tbot_container(image="tbot:18.6.4"))
    violated(no_known_defect(tbot_components(tagged, [make.bot_instance("tbot-1")])), "INST-16", "tbot 18.6.3")


@pytest.mark.parametrize("earlier", [NOW - timedelta(hours=1), None])
def test_of_several_instances_of_a_pod_the_latest_heartbeat_counts(earlier: datetime | None) -> None:
    """Each restart of a tbot that keeps its state in memory is an instance of its own."""
    beats = [make.bot_instance("tbot-1"), make.bot_instance("tbot-1", "18.6.3", last_heartbeat=earlier)]
    holds(no_known_defect(tbot_components(on_two_nodes(FLOATING), beats)), "INST-16")
    holds(no_known_defect(tbot_components(on_two_nodes(FLOATING), beats[::-1])), "INST-16")


def test_on_the_nodes_network_only_a_heartbeat_since_the_pod_began_is_its_own() -> None:
    """The host's name is then the node's; Teleport still remembers the instance of the pod before."""
    tbot = on_two_nodes(FLOATING, host_network=True)
    old = make.bot_instance("node-1", "18.6.3", last_heartbeat=NOW - timedelta(hours=3))
    unknown(no_known_defect(tbot_components(tbot, [old])), "INST-16", FLOATING)
    holds(no_known_defect(tbot_components(tbot, [old, make.bot_instance("node-1")])), "INST-16", "ev-heartbeat-node-1")
    for silent in (make.bot_instance("node-1", last_heartbeat=None), replace(make.bot_instance("node-1"), version=None)):
        unknown(no_known_defect(tbot_components(tbot, [silent])), "INST-16", FLOATING)
    unknown(no_known_defect(tbot_components(tbot, [make.bot_instance("node-2")])), "INST-16", FLOATING)


def test_off_the_nodes_network_a_tbot_of_the_node_itself_is_another() -> None:
    unknown(no_known_defect(tbot_components(on_two_nodes(FLOATING), [make.bot_instance("node-1")])), "INST-16", FLOATING)


def test_an_instance_without_a_heartbeat_tells_nothing() -> None:
    silent = make.bot_instance("tbot-1", version="18.6.4", last_heartbeat=None)
    unknown(no_known_defect(tbot_components(on_two_nodes(FLOATING), [replace(silent, version=None)])), "INST-16", FLOATING)


def test_a_sidecar_older_than_istiod_is_looked_at_too() -> None:
    old = make.pod("old", proxy=make.istio_proxy(image="proxyv2:1.24.3"))
    finding = no_known_defect(istio_components(make.planes(), [make.pod(), old, make.pod("plain", injected=False)]))
    violated(finding, "INST-16", evidence=("ev-pod-old",), causes=("istio-ignores-socket-name",))
    assert finding.seen == (
        "Pod test-app/old: istio 1.24.3: this release of Istio ignores WORKLOAD_IDENTITY_SOCKET_FILE, so Envoy still"
        " dials a file called `socket` (istio/istio#51979, istio/istio#55047)"
    )
    assert "Upgrade Istio to 1.23.6, 1.24.4" in CAUSES["istio-ignores-socket-name"].remedy[0]


def test_a_foreign_container_beside_istiod_has_no_version_to_tell() -> None:
    beside = make.deployment("istiod", make.container("discovery", "pilot:1.31.0"), make.container("vault", "vault:latest"))
    holds(no_known_defect(istio_components(make.planes(make.mesh(istiod=(beside,))), [])), "INST-16", "ev-mesh")


def test_a_defect_is_a_failure_also_where_another_version_cannot_be_told() -> None:
    components = [*tbot_components(on_two_nodes(FLOATING, "tbot:18.6.3"), None)]
    finding = no_known_defect(components)
    violated(finding, "INST-16", "Pod teleport-system/tbot-2: tbot 18.6.3: ", causes=(NOT_RENEWED,))
    assert finding.seen.endswith(f"Pod teleport-system/tbot-1: the version of tbot is unknown: image {FLOATING}")


def test_the_versions_of_several_daemon_sets() -> None:
    image = "registry.example/tbot:18.6.3"
    pods = {"node-2": make.tbot_pod("b", node="node-2", image=image)}
    pool = make.tbot(make.tbot_pod("tbot-b", node="node-2"))
    pool = replace(pool, daemon_set=replace(pool.daemon_set, name="tbot-b"))
    old = replace(pool, container=make.tbot_container(image=image), pods=pods)
    versions = {str(c.version) for c in of_tbots(make.tbots(make.tbot(), old), None)}
    assert versions == {"18.6.4", "18.6.3"}
