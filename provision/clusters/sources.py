"""The only place that resolves a component to an image or a binary.

``upstream``
    Public registries, with the names of ``versions.yaml``; kind, kubectl and istioctl from PATH. Istio's images are those
    that istioctl names itself.
``mirror``
    The same names under ``HOST/PREFIX`` (`settings.registry`) in place of the public registry's host.
``bundle``
    What ``make lab`` built: ``<cache>/bundle/bundle.json`` names every image and binary, and
    ``<cache>/bundle/istio-older/bundle.json`` those with the lab's older Istio.
``auto``
    The bundle if there is one and the public registry of the node image does not answer within two seconds; else upstream.
    Only the lab has the older Istio, so ``--istio older`` always uses the bundle.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import requests
import yaml

from facts.errors import ProvisioningFailed
from provision.clusters.directory import must_be_own
from provision.usable import must_have_istio, must_name_mirror
from settings import Settings

VERSIONS = Path(__file__).resolve().parent.parent / "versions.yaml"
BUNDLE_SCHEMA = 1
PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Images and binaries of all components.

    Attributes:
        origin: Source of all of them.
        kind: Binary of kind.
        kubectl: Binary of kubectl.
        istioctl: Binary of istioctl.
        node_image: Image of kind's nodes.
        istio_hub: Hub of Istio's images; empty for istioctl's default.
        istio_tag: Tag of Istio's images; empty for istioctl's default.
        teleport_image: Image of Teleport, with ``tctl`` beside it.
        tbot_image: tbot in a release that renews certificates.
        tbot_floating_image: tbot under the tag of its major version, which moves with each release.
        tbot_affected_image: tbot in a release with the renewal defect.
        workload_image: An image with ``python3``.
        stand_in: True where Teleport and tbot are the lab's stand-in.
        kind_patch: YAML file to merge into kind's configuration, if the node image needs one.
        istio_overlay: IstioOperator file to install after the suite's, if Istio's images need one.
        gateway_api: JSON list of the Gateway API's definitions, for a cluster that lacks them. None where there is none: the
            public ones are no images, and a user who installs Istio from a registry decides on them.
        faketime: libfaketime, to start a program of the images with another clock. None where there is none: it has no
            effect on programs in Go, such as Teleport's own.
        older_proxy_image: Istio's proxy with an Envoy older than 1.37, for a pod that asks for it with the annotation
            ``sidecar.istio.io/proxyImage``: such an Envoy reports a secret that tbot sends again unchanged as a new one.
            None where there is no such image.
    """

    origin: Literal["upstream", "mirror", "bundle"]
    kind: Path
    kubectl: Path
    istioctl: Path
    node_image: str
    istio_hub: str
    istio_tag: str
    teleport_image: str
    tbot_image: str
    tbot_floating_image: str
    tbot_affected_image: str
    workload_image: str
    stand_in: bool = False
    kind_patch: Path | None = None
    istio_overlay: Path | None = None
    gateway_api: Path | None = None
    faketime: Path | None = None
    older_proxy_image: str | None = None


def resolve(settings: Settings) -> Sources:
    """Resolve all components.

    Args:
        settings: Settings, of which `source`, `registry`, `istio`, `cache` and `workload_image` count.

    Raises:
        ProvisioningFailed: A binary or the bundle is missing.
        BadInput: `mirror` without a registry; the lab's older Istio from elsewhere; a cache that others may write to.
    """
    found = _of_source(settings)
    return replace(found, workload_image=settings.workload_image) if settings.workload_image else found


def _of_source(settings: Settings) -> Sources:
    must_have_istio(settings)
    must_be_own(settings.cache)
    bundle = settings.cache / "bundle"
    if settings.istio == "older":
        return _from_bundle(bundle / "istio-older" / "bundle.json", make="CONFORMANCE_ISTIO=older make lab")
    bundle /= "bundle.json"
    origin = settings.source
    if origin == "auto":
        origin = "bundle" if bundle.is_file() and wants_bundle(settings) else "upstream"
    if origin == "bundle":
        return _from_bundle(bundle, make="make lab")
    if origin == "mirror":
        must_name_mirror(settings)
        return _from_registry("mirror", settings.registry.rstrip("/"), needs_kind=settings.cluster == "kind")
    return _from_registry("upstream", "", needs_kind=settings.cluster == "kind")


def wants_bundle(settings: Settings) -> bool:
    """Return True where a run uses what the lab builds, so that ``make`` has to build it first.

    Args:
        settings: Settings, of which `source` and `istio` count; ``auto`` means the bundle where no registry answers.
    """
    if settings.istio == "older":
        return True
    if settings.source != "auto":
        return settings.source == "bundle"
    return not registry_answers(_upstream()["node"].split("/", 1)[0])


def registry_answers(host: str) -> bool:
    """Return True where a container registry answers at `host` within two seconds, also through an HTTP proxy."""
    # The images of Docker Hub are called docker.io/…, but its registry has another host name.
    address = "registry-1.docker.io" if host == "docker.io" else host
    try:
        answer = requests.head(f"https://{address}/v2/", timeout=PROBE_SECONDS, allow_redirects=False)
    except requests.RequestException:
        return False
    return answer.status_code in (200, 401)


def _upstream() -> dict[str, str]:
    """Return the section ``upstream`` of the versions, with the tags of Teleport filled in."""
    versions: dict[str, dict[str, str]] = yaml.safe_load(VERSIONS.read_text(encoding="utf-8"))
    names, teleport = versions["upstream"], versions["teleport"]
    return {
        "node": names["node"],
        "workload": names["workload"],
        "teleport": f"{names['teleport']}:{teleport['fixed']}",
        "tbot": f"{names['tbot']}:{teleport['fixed']}",
        "tbot-floating": f"{names['tbot']}:{teleport['fixed'].partition('.')[0]}",
        "tbot-affected": f"{names['tbot']}:{teleport['affected']}",
    }


def _from_registry(origin: Literal["upstream", "mirror"], mirror: str, *, needs_kind: bool) -> Sources:
    def image(name: str) -> str:
        return f"{mirror}/{name.split('/', 1)[1].partition('@')[0]}" if mirror else name

    names = _upstream()
    return Sources(
        origin=origin,
        kind=_on_path("kind") if needs_kind else Path("kind"),
        kubectl=_on_path("kubectl"),
        istioctl=_on_path("istioctl"),
        node_image=image(names["node"]),
        istio_hub=f"{mirror}/istio" if mirror else "",
        istio_tag="",
        teleport_image=image(names["teleport"]),
        tbot_image=image(names["tbot"]),
        tbot_floating_image=image(names["tbot-floating"]),
        tbot_affected_image=image(names["tbot-affected"]),
        workload_image=image(names["workload"]),
    )


def _on_path(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise ProvisioningFailed(
            expected=f"the program {program}",
            seen="no such program on PATH",
            where="PATH",
            remedy=f"install {program}; or, where no container registry can be reached, build everything: make lab",
        )
    return Path(found)


def _from_bundle(file: Path, *, make: str) -> Sources:
    def unusable(expected: str, seen: str, where: Path = file) -> ProvisioningFailed:
        return ProvisioningFailed(expected=expected, seen=seen, where=str(where), remedy=f"build the lab again: {make}")

    try:
        bundle: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProvisioningFailed(
            expected="a bundle of the lab", seen="no such file", where=str(file), remedy=f"build it: {make}"
        ) from error
    except (OSError, ValueError) as error:
        raise unusable("a readable bundle of the lab", str(error)) from error
    if bundle.get("schema") != BUNDLE_SCHEMA:
        raise unusable(f"schema {BUNDLE_SCHEMA}", f"schema {bundle.get('schema')}")
    try:
        images = {name: str(image["ref"]) for name, image in bundle["images"].items()}
        sources = Sources(
            origin="bundle",
            kind=file.parent / bundle["binaries"]["kind"]["path"],
            kubectl=file.parent / bundle["binaries"]["kubectl"]["path"],
            istioctl=file.parent / bundle["binaries"]["istioctl"]["path"],
            node_image=images["node"],
            istio_hub=bundle["istio"]["hub"],
            istio_tag=bundle["istio"]["tag"],
            teleport_image=images["teleport"],
            tbot_image=images["tbot"],
            tbot_floating_image=images["tbot-floating"],
            tbot_affected_image=images["tbot-affected"],
            workload_image=images["python"],
            stand_in=bool(bundle["stand_in"]),
            kind_patch=file.parent / bundle["kind_patch"],
            istio_overlay=file.parent / bundle["istio_overlay"],
            gateway_api=file.parent / bundle["gateway_api"] if "gateway_api" in bundle else None,
            faketime=file.parent / bundle["faketime"] if "faketime" in bundle else None,
            older_proxy_image=images.get("proxyv2-older-envoy"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise unusable("every component in the bundle of the lab", f"no {error}") from error
    named = (sources.kind_patch, sources.istio_overlay, sources.gateway_api, sources.faketime)
    for path in (sources.kind, sources.kubectl, sources.istioctl, *named):
        if path is not None and not path.is_file():
            raise unusable("every file that the bundle of the lab names", "no such file", path)
    return sources
