"""What the suite's own pods may do, pod by pod: the least that each needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.catalogue import parse_catalogue
from provision.pods.privileges import SUITE_PODS, made_for, privileges
from provision.render import MANIFESTS, VARIABLE, documents
from settings import Names
from tests.unit import restricted

FEATURES = MANIFESTS.parent / "features"
MANIFESTS_OF_PODS = sorted(
    path
    for folder in ("probes", "traffic")
    for path in (MANIFESTS / folder).glob("*.yaml")
    if "kind: Pod\n" in path.read_text()
)


def spec(path: Path) -> dict[str, Any]:
    variables = {name: name for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    (pod,) = [document for document in documents(path, variables) if document["kind"] == "Pod"]
    found: dict[str, Any] = pod["spec"]
    return found


def test_each_manifest_of_a_pod_is_in_the_table() -> None:
    assert sorted(pod.manifest for pod in SUITE_PODS) == MANIFESTS_OF_PODS


def test_each_requirement_of_the_table_needs_pods() -> None:
    """Its scenarios are not read-only."""
    catalogue = parse_catalogue(yaml.safe_load((FEATURES / "catalogue.yaml").read_text(encoding="utf-8")))
    text = "".join(path.read_text(encoding="utf-8") for path in FEATURES.rglob("*.feature"))
    tagged = re.findall(r"@requirement:(\S+) @safety:(\S+)", text)
    named = {requirement for pod in SUITE_PODS for requirement in pod.requirements}
    assert named <= catalogue.requirements.keys()
    assert named <= {requirement for requirement, safety in tagged if safety != "read-only"}
    # NEG-06 copies tbot's own pod, INST-09 takes only a token.
    assert {requirement for requirement, safety in tagged if safety != "read-only"} - named == {"NEG-06", "INST-09"}


@pytest.mark.parametrize("path", MANIFESTS_OF_PODS, ids=lambda path: path.name)
def test_each_pod_ends_by_itself_under_the_default_seccomp_profile_without_a_token(path: Path) -> None:
    pod = spec(path)
    assert 0 < pod["activeDeadlineSeconds"] <= 4 * 3600
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("path", MANIFESTS_OF_PODS, ids=lambda path: path.name)
def test_each_container_drops_what_it_does_not_need(path: Path) -> None:
    for container in spec(path)["containers"]:
        context = container["securityContext"]
        if context.get("privileged"):
            continue
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["runAsUser"] is not None


def test_pod_security_refuses_only_what_a_pod_needs() -> None:
    """A mesh's own pods mount the directory of the node as well; two probes are root, to look at the node itself."""
    root = ("privileged", "allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "runAsUser")
    refused = {path.name: restricted.violations(spec(path)) for path in MANIFESTS_OF_PODS}
    assert {name: found for name, found in refused.items() if found} == {
        "node.yaml": ("hostPID", "hostNetwork", "volume hostPath", "capabilities", "runAsNonRoot", "runAsUser"),
        "outside.yaml": ("hostPID", *root),
        "sds.yaml": ("volume hostPath",),
        "socket_directory.yaml": ("volume hostPath",),
    }


def test_only_these_pods_have_more_than_an_ordinary_one() -> None:
    more = {pod.manifest.name: pod.privileges(Names()) for pod in SUITE_PODS if pod.privileges(Names())}
    assert more == {
        "node.yaml": ("hostPID", "hostNetwork where tbot has it", "/dev/null of the node (read-only)", "root", "SYS_PTRACE"),
        "sds.yaml": ("/run/spire/sockets of the node (read-only)",),
        "socket_directory.yaml": ("/run/spire/sockets of the node (writable)",),
        "outside.yaml": ("hostPID", "privileged", "root"),
    }


def test_a_hostpath_is_writable_if_any_container_may_write_it() -> None:
    mounts = [[{"name": "v", "readOnly": True}], [{"name": "v"}]]
    pod = {
        "hostNetwork": True,
        "volumes": [{"name": "v", "hostPath": {"path": "/run"}}, {"name": "w", "emptyDir": {}}],
        "containers": [{"name": str(n), "volumeMounts": each} for n, each in enumerate(mounts)],
    }
    assert privileges(pod) == ("hostNetwork", "/run of the node (writable)")


def test_the_pods_of_some_requirements() -> None:
    assert [pod.manifest.name for pod in made_for(["INST-04", "CHK-1"])] == ["node.yaml"]
    assert made_for(["CHK-1"]) == ()
