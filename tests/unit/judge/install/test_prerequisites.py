"""INST-01 to INST-04: tools, rights, Teleport's public face, nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from facts.kubernetes.probes import NodeProbe, Refused
from facts.versions import Version
from judge.explain.cause import CAUSES
from judge.install.prerequisites import (
    admin_session_works,
    istioctl_fits,
    kubectl_fits,
    kubelets_answer,
    mountinfo_identifies_pods,
    nodes_admit_probes,
    rights_suffice,
    tctl_fits,
    teleport_names_itself,
)
from providers.teleport.facts.resources import NoSession
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority

SERVER = ("ev-server",)
TOOL = "tool-version-unsupported"


@pytest.mark.parametrize(("kubectl", "server"), [("1.27.0", "1.28.9"), ("v1.34.4", "1.34.0"), ("1.35.1", "1.34.4-gke.1")])
def test_kubectl_fits_a_server_of_a_neighbouring_minor_version(kubectl: str, server: str) -> None:
    finding = kubectl_fits(make.tool("kubectl", kubectl), Version.parse(server), SERVER)
    holds(finding, "INST-01", "ev-kubectl", "ev-server")


@pytest.mark.parametrize(
    ("kubectl", "server", "words"),
    [
        ("1.26.15", "1.27.0", "its version is 1.26.15; install kubectl 1.27"),
        ("1.27.0-alpha.1", "1.27.0", "its version is 1.27.0-alpha.1; install kubectl 1.27"),
        (
            "1.32.0",
            "1.34.0",
            "its version 1.32.0 and the API server's 1.34.0 are more than one minor version apart; install kubectl 1.34",
        ),
        (
            "1.36.0",
            "1.34.0",
            "its version 1.36.0 and the API server's 1.34.0 are more than one minor version apart; install kubectl 1.34",
        ),
        (
            "2.34.0",
            "1.34.0",
            "its version 2.34.0 and the API server's 1.34.0 are more than one minor version apart; install kubectl 1.34",
        ),
        (
            "1.25.0",
            "1.34.4",
            "its version is 1.25.0, and its version 1.25.0 and the API server's 1.34.4 are more than one minor"
            " version apart;"
            " install kubectl 1.34",
        ),
    ],
)
def test_kubectl_that_is_too_old_or_too_far_from_its_server(kubectl: str, server: str, words: str) -> None:
    finding = kubectl_fits(make.tool("kubectl", kubectl), Version.parse(server), SERVER)
    violated(finding, "INST-01", evidence=("ev-kubectl", "ev-server"), causes=(TOOL,))
    assert finding.seen == f"Command kubectl: {words}"
    assert finding.problems[0].evidence == ("ev-kubectl",)


def test_the_kubectl_to_install_is_the_servers_and_never_one_that_is_too_old() -> None:
    for server, fits in (("1.34.4", "1.34"), ("1.26.0", "1.27")):
        finding = kubectl_fits(make.tool("kubectl", "1.25.0"), Version.parse(server), SERVER)
        violated(finding, "INST-01", causes=(TOOL,))
        assert finding.seen.endswith(f"; install kubectl {fits}")
    steps = CAUSES[TOOL].remedy
    for words in ("kubectl within one minor version of the API server", "istiod's version (1.28 or later)", "tctl of"):
        assert words in steps[0]


def test_istioctl_from_1_28_on() -> None:
    holds(istioctl_fits(make.tool("istioctl", "1.28.0")), "INST-01", "ev-istioctl")
    holds(istioctl_fits(make.tool("istioctl", "1.31.0-lab")), "INST-01")
    holds(istioctl_fits(make.tool("istioctl", "1.28.0-solo")), "INST-01")
    for version in ("1.28.0-rc.1", "1.27.9"):
        finding = istioctl_fits(make.tool("istioctl", version))
        violated(finding, "INST-01", evidence=("ev-istioctl",), causes=(TOOL,))
        assert finding.seen == f"Command istioctl: its version is {version}; install the one of istiod's version"
        assert finding.expected == "istioctl to be 1.28 or later"


def test_tctl_within_one_major_version_of_teleport() -> None:
    for version in ("17.0.0", "18.9.0", "19.0.0"):
        holds(tctl_fits(make.tool("tctl", version), make.ping()), "INST-01", "ev-tctl", "ev-ping")
    for version in ("16.5.0", "20.0.0"):
        finding = tctl_fits(make.tool("tctl", version), make.ping())
        violated(finding, "INST-01", evidence=("ev-tctl", "ev-ping"), causes=(TOOL,))
        assert finding.seen == f"Command tctl: its version is {version}, Teleport's is 18.6.4; install tctl 18"


def test_every_right_that_is_denied_is_named() -> None:
    allowed, denied = make.right("list", "pods"), make.right("create", "pods/exec", allowed=False)
    holds(rights_suffice([allowed], "context staging"), "INST-02", "ev-right-list-pods")
    finding = rights_suffice([allowed, denied], "context staging")
    violated(finding, "INST-02", evidence=("ev-right-create-pods/exec",), causes=("rights-missing",))
    assert finding.seen == "denied: create pods/exec"
    assert finding.where == "context staging"
    assert "Grant the verbs and resources that the report lists" in CAUSES["rights-missing"].remedy[0]
    both = rights_suffice([denied, make.right("get", "nodes/proxy", allowed=False)], "context staging")
    assert both.seen == "denied: create pods/exec; denied: get nodes/proxy"


def test_having_asked_for_no_right_is_no_yes() -> None:
    with pytest.raises(ValueError, match="needs evidence"):
        rights_suffice([], "context staging")


def test_a_bundle_with_one_valid_authority_of_the_clusters_name() -> None:
    old = authority("old", days=1, starts=NOW - timedelta(days=30))
    rotating = make.bundle(authorities=(old, authority()))
    holds(teleport_names_itself(make.ping(), rotating, NOW), "INST-03", "ev-ping", "ev-bundle")


def test_an_authority_that_names_no_trust_domain_is_taken_for_the_clusters() -> None:
    unnamed = make.bundle(authorities=(authority("plain", uri=""),))
    holds(teleport_names_itself(make.ping(), unnamed, NOW), "INST-03")


@pytest.mark.parametrize(
    ("name", "starts", "is_ca"),
    [
        ("expired", NOW - timedelta(days=2), True),
        ("future", NOW + timedelta(days=1), True),
        ("leaf", NOW - timedelta(hours=1), False),
    ],
)
def test_a_bundle_without_a_ca_that_is_valid_now(name: str, starts: datetime, is_ca: bool) -> None:
    of_no_use = make.bundle(authorities=(authority(name, days=1, starts=starts, is_ca=is_ca),))
    finding = teleport_names_itself(make.ping(), of_no_use, NOW)
    violated(finding, "INST-03", causes=())
    assert finding.seen == "none of 1 authorities is a CA that is valid at 2026-03-01 12:00:00 UTC"


def test_a_bundle_of_another_trust_domain() -> None:
    other = make.bundle(authorities=(authority("other", uri="spiffe://other.example.com"),))
    finding = teleport_names_itself(make.ping(), other, NOW)
    violated(finding, "INST-03", evidence=("ev-ping", "ev-bundle"), causes=())
    words = f"an authority of the bundle is for spiffe://other.example.com, the cluster is called {TRUST_DOMAIN}"
    assert finding.seen == words


def test_the_admin_session_is_of_the_same_teleport() -> None:
    holds(admin_session_works(make.status(), make.ping()), "INST-03", "ev-status", "ev-ping")
    finding = admin_session_works(make.status(cluster_name="other.example.com"), make.ping())
    violated(finding, "INST-03", evidence=("ev-status", "ev-ping"), causes=("teleport-session-invalid",))
    assert finding.seen == f"tctl talks to other.example.com, the proxy belongs to {TRUST_DOMAIN}"


@pytest.mark.parametrize(
    "session",
    [
        NoSession("exit code 1: your credentials have expired", expired=True, evidence=("ev-status",)),
        NoSession("exit code 1: permission denied", expired=False, evidence=("ev-status",)),
    ],
    ids=["expired", "denied"],
)
def test_a_session_that_was_given_and_does_not_work_is_a_failure_and_not_a_riddle(session: NoSession) -> None:
    finding = admin_session_works(session, make.ping())
    violated(finding, "INST-03", evidence=("ev-status", "ev-ping"), causes=("teleport-session-invalid",))
    assert finding.seen == f"the session that you supplied does not work: {session.said}"
    cause = CAUSES["teleport-session-invalid"]
    assert "Log in again: `tsh login" in cause.remedy[0]
    assert "`tctl status` prints" in cause.check


def test_a_probe_ran_on_every_node() -> None:
    probes = [make.node_probe("node-1"), make.node_probe("node-2")]
    holds(nodes_admit_probes(probes), "INST-04", "ev-probe-node-1", "ev-probe-node-2")


def test_a_probe_that_was_kept_from_running_is_no_violation() -> None:
    probes: list[NodeProbe | Refused] = [make.node_probe("node-1"), make.kept_out("node-2")]
    for finding in (nodes_admit_probes(probes), kubelets_answer(probes)):
        unknown(finding, "INST-04", evidence=("ev-kept-out-node-2",))
        assert finding.seen == ("Node node-2: the probe pod did not run: ImagePullBackOff: Back-off pulling image")
        assert "it needs its image and the rights of INST-02" in finding.settle


def test_a_probe_that_a_policy_refused_is_a_problem_and_no_open_point() -> None:
    finding = nodes_admit_probes([make.refused("node-1"), make.kept_out("node-2")])
    assert [str(each.subject) for each in finding.problems] == ["Node node-1"]
    assert [str(each.subject) for each in finding.unclear] == ["Node node-2"]


def test_a_refused_probe_is_named_with_the_clusters_words() -> None:
    probes: list[NodeProbe | Refused] = [make.node_probe("node-1"), make.refused("node-2")]
    evidence = ("ev-probe-node-1", "ev-refused-node-2")
    findings = (
        nodes_admit_probes(probes),
        kubelets_answer(probes),
        mountinfo_identifies_pods(probes, [make.pod()]),
    )
    for finding in findings:
        violated(finding, "INST-04", evidence=evidence, causes=())
        assert finding.seen == "Node node-2: the probe pod did not run: violates PodSecurity: hostPath volumes"


def test_without_a_node_nothing_is_proven() -> None:
    for finding in (nodes_admit_probes([]), kubelets_answer([]), mountinfo_identifies_pods([], [])):
        violated(finding, "INST-04", causes=())
        assert finding.seen == "no node takes workloads"


@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_kubelet_that_refuses_has_answered(status: int) -> None:
    holds(kubelets_answer([make.node_probe(kubelet_status=status)]), "INST-04", "ev-probe-node-1")


def test_a_kubelet_that_cannot_be_reached() -> None:
    silent = make.node_probe("node-2", kubelet_status=0, kubelet_error="TimeoutError: timed out")
    finding = kubelets_answer([make.node_probe("node-1"), silent])
    violated(finding, "INST-04", evidence=("ev-probe-node-2",), causes=("kubelet-unreachable",))
    assert finding.seen == "Node node-2: node-2:10250 did not answer: TimeoutError: timed out"
    assert [str(each.subject) for each in finding.held] == ["Node node-1"]
    assert "Open TCP port 10250" in CAUSES["kubelet-unreachable"].remedy[0]


def test_mountinfo_names_a_container_of_the_pod_that_the_api_server_knows() -> None:
    sandbox = make.seen_container(container="b" * 64)
    probe = make.node_probe(containers=(sandbox, make.seen_container()))
    finding = mountinfo_identifies_pods([probe], [make.pod()])
    holds(finding, "INST-04", "ev-probe-node-1", "ev-pod-app")
    assert finding.seen == "Node node-1: 1 containers identified"


@pytest.mark.parametrize(
    "strange", [{"container": "c" * 64}, {"container": ""}, {"pod": "uid-unknown"}, {"container": "", "ids_in_path": 0}]
)
def test_mountinfo_that_names_nothing_the_api_server_knows(strange: dict[str, object]) -> None:
    probe = make.node_probe(containers=(replace(make.seen_container(), **strange),), unreadable=7)  # type: ignore[arg-type]
    finding = mountinfo_identifies_pods([probe], [make.pod()])
    violated(finding, "INST-04", evidence=("ev-probe-node-1",), causes=())
    assert finding.seen == (
        "Node node-1: none of 1 paths in mountinfo names a container that the API server knows (the suite could"
        " not read 7 processes)"
    )


def test_a_pod_whose_containers_have_no_id_yet_identifies_nothing() -> None:
    pending = make.seen_container(container="")
    waiting = make.pod(proxy=make.istio_proxy(container_id=""))
    violated(mountinfo_identifies_pods([make.node_probe(containers=(pending,))], [waiting]), "INST-04", "none of 1 paths")


def test_the_nodes_own_id_in_front_of_the_containers_is_what_tbot_would_take() -> None:
    nested = make.seen_container(container="d" * 64, ids_in_path=2, root="/docker/ddd/kubepods/aaa")
    probe = make.node_probe(containers=(nested, make.seen_container()))
    finding = mountinfo_identifies_pods([probe], [make.pod()])
    violated(
        finding, "INST-04", "Node node-1: /docker/ddd/kubepods/aaa holds 2 ids", "attest without a container", causes=()
    )


def test_two_ids_in_a_path_do_no_harm_when_the_first_is_the_containers() -> None:
    probe = make.node_probe(containers=(make.seen_container(ids_in_path=2),))
    holds(mountinfo_identifies_pods([probe], [make.pod()]), "INST-04")
