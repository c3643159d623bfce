"""What is compiled from Go modules: which commands of which module, and what is stamped on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.versions import Istio, Versions

ISTIO_MODULE = "istio.io/istio"
"""Istio's Go module."""

GATEWAY_API_MODULE = "sigs.k8s.io/gateway-api"
"""Module of the Gateway API; the one that Istio is compiled with also holds the definitions for a cluster."""

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
        raised: Module path → version, of dependencies that are taken newer than its go.mod asks for.
        named: Module path → version, of dependencies that the list of versions names as well.
        own: Binary name → module path and version. A program of this or another module that is compiled together with
            the others, from the lab's own main package in the directory of that name.
        tags: Build tags.
    """

    name: str
    module: str
    version: str
    commands: dict[str, str]
    stamps: dict[str, str]
    staging: str = ""
    raised: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    own: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def packages(self) -> dict[str, str]:
        """Binary name → main package, as the Go command takes it in the component's directory."""
        return {**self.commands, **{name: f"./{name}" for name in self.own}}


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
        # Most of its packages Kubernetes needs itself. In one module with it they are compiled once.
        own={"etcd": ("go.etcd.io/etcd/server/v3", versions.etcd)},
    )


def _coredns(versions: Versions) -> Component:
    module = "github.com/coredns/coredns"
    # CoreDNS's own main package links every cloud's SDK, for plugins that the Corefile of kubeadm does not name.
    return Component(
        name="coredns",
        module=module,
        version=versions.coredns,
        commands={},
        stamps={},
        own={"coredns": (module, versions.coredns)},
    )


def istio_component(istio: Istio) -> Component:
    """Istio's commands."""
    stamped = f"{ISTIO_MODULE}/pkg/version"
    return Component(
        name=istio.part("istio"),
        module=ISTIO_MODULE,
        version=istio.module,
        commands={
            "pilot-discovery": f"{ISTIO_MODULE}/pilot/cmd/pilot-discovery",
            "pilot-agent": f"{ISTIO_MODULE}/pilot/cmd/pilot-agent",
            "istioctl": f"{ISTIO_MODULE}/istioctl/cmd/istioctl",
        },
        stamps={
            f"{stamped}.buildVersion": istio.version,
            f"{stamped}.buildTag": istio.version,
            f"{stamped}.buildGitRevision": istio.module.rsplit("-", 1)[-1],
            f"{stamped}.buildStatus": "Modified",
            f"{stamped}.buildHub": "localhost/istio",
        },
        # As Istio's own releases. Without it, code that checks messages is compiled and never called.
        tags=("disable_pgv",),
        raised=istio.raised,
        named={GATEWAY_API_MODULE: istio.gateway_api},
    )


def helm_component(versions: Versions) -> Component:
    """Helm, which no cluster of the lab needs."""
    return Component(
        name="helm",
        module="helm.sh/helm/v3",
        version=versions.helm,
        commands={"helm": "helm.sh/helm/v3/cmd/helm"},
        stamps={"helm.sh/helm/v3/internal/version.version": versions.helm},
    )


def _single(name: str, module: str, version: str) -> Component:
    return Component(name=name, module=module, version=version, commands={name: module}, stamps={})


_BUILDERS: tuple[Callable[[Versions], Component], ...] = (
    lambda v: _single("kind", "sigs.k8s.io/kind", v.kind),
    _coredns,
    _kubernetes,
    lambda v: istio_component(v.istio),
)


def components(versions: Versions) -> tuple[Component, ...]:
    """What is compiled by default, the quick ones first."""
    return tuple(build(versions) for build in _BUILDERS)


def all_components(versions: Versions) -> tuple[Component, ...]:
    """Those, and what is compiled on request."""
    return (*components(versions), istio_component(versions.istio_older), helm_component(versions))
