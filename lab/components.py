"""What is compiled from Go modules: which commands of which module, and what is stamped on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.versions import Versions

BUILD_DATE = "1970-01-01T00:00:00Z"
"""Stamped instead of the time of the build, so that the same inputs give the same bytes."""


@dataclass(frozen=True, slots=True)
class Component:
    """One Go module whose commands the lab compiles.

    Attributes:
        name: Directory below `lab/go/` and name of the part.
        module: Module path.
        version: Module version to take, from the list of versions.
        commands: Binary name → main package.
        stamps: Variable path → value, passed to the linker.
        staging: Version of the modules that its go.mod requires at v0.0.0; "" when there are none.
    """

    name: str
    module: str
    version: str
    commands: dict[str, str]
    stamps: dict[str, str]
    staging: str = ""


def _kubernetes(versions: Versions) -> Component:
    package = "k8s.io/kubernetes/cmd"
    names = (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubeadm",
        "kubectl",
    )
    major, minor, _ = versions.kubernetes.removeprefix("v").split(".", 2)
    stamped = "k8s.io/component-base/version"
    return Component(
        name="kubernetes",
        module="k8s.io/kubernetes",
        version=versions.kubernetes,
        commands={name: f"{package}/{name}" for name in names},
        # kubeadm derives image tags and its version-skew checks from the stamp.
        stamps={
            f"{stamped}.gitVersion": versions.kubernetes,
            f"{stamped}.gitMajor": major,
            f"{stamped}.gitMinor": minor,
            f"{stamped}.gitTreeState": "archive",
            f"{stamped}.gitCommit": versions.kubernetes,
            f"{stamped}.buildDate": BUILD_DATE,
        },
        staging=versions.kubernetes_staging,
    )


def _istio(versions: Versions) -> Component:
    stamped = "istio.io/istio/pkg/version"
    return Component(
        name="istio",
        module="istio.io/istio",
        version=versions.istio_module,
        commands={
            "pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery",
            "pilot-agent": "istio.io/istio/pilot/cmd/pilot-agent",
            "istioctl": "istio.io/istio/istioctl/cmd/istioctl",
        },
        stamps={
            f"{stamped}.buildVersion": versions.istio,
            f"{stamped}.buildTag": versions.istio,
            f"{stamped}.buildGitRevision": versions.istio_module.rsplit("-", 1)[-1],
            f"{stamped}.buildStatus": "Modified",
            f"{stamped}.buildHub": "localhost/istio",
        },
    )


def _single(name: str, module: str, version: str) -> Component:
    return Component(name=name, module=module, version=version, commands={name: module}, stamps={})


_BUILDERS: tuple[Callable[[Versions], Component], ...] = (
    lambda v: _single("kind", "sigs.k8s.io/kind", v.kind),
    lambda v: _single("etcd", "go.etcd.io/etcd/server/v3", v.etcd),
    lambda v: _single("coredns", "github.com/coredns/coredns", v.coredns),
    _kubernetes,
    _istio,
)


def components(versions: Versions) -> tuple[Component, ...]:
    """All components, the quick ones first."""
    return tuple(build(versions) for build in _BUILDERS)
