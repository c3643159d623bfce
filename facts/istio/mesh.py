"""An Istio install, as found: its mesh configuration, its injector, its control plane and its gateways.

Source: Istio's MeshConfig reference; the ConfigMaps ``istio`` and ``istio-sidecar-injector`` that its charts write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, ListOf, OneOrMany, Read, Text, Texts, mask_of, read
from facts.document import decoded_in, parse_json, parse_yaml
from facts.evidence import ObjectRef
from facts.kubernetes.label_selector import LabelSelector
from facts.kubernetes.objects import ConfigMap, Labelled
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.masks import KEY, LEAF, NAME, Decoded, Fields, Items, NamesIn, Prepared, yaml_document

DEFAULT_TRUST_DOMAIN = "cluster.local"
DEFAULT_REVISION = "default"
"""Revision of an istiod that was installed without one."""

# In a template, which is text: the volume that Istio looks for the socket in, taken from the node or from a CSI driver.
# Istio's own templates may have a volume of that name, too; theirs is an emptyDir.
_NODES_SOCKET = re.compile(
    r"""name:[ ]*["']?workload-socket["']?\s+(?:hostPath|csi):"""
    # Each key has a line of its own, and a volume has few: in whatever text, this takes time linear in its length.
    r"""|(?:hostPath|csi):[^\S\n]*(?:\n[^\S\n]*(?:\w+:[^\n]*)?){1,20}?\n[^\S\n]*name:[ ]*["']?workload-socket\b"""
)


def _mount_in(template: Any) -> Any:
    """The part of a template's text that decides: the volume with the node's socket; empty where it has none."""
    if not isinstance(template, str):
        return template
    found = _NODES_SOCKET.search(template)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class MeshConfig(Declared):
    """The key ``mesh`` of the ConfigMap ``istio``, with Istio's own defaults for what it leaves out.

    Attributes:
        trust_domain: Istio's default is ``cluster.local``.
        normalization: ``pathNormalization.normalization``; Istio's default is ``DEFAULT``, which acts as ``BASE``.
        evidence: Ids of the readings.
        trust_domain_aliases: Other trust domains whose workloads proxies are to accept.
        discovery_selectors: Selectors of the namespaces that istiod watches; without any it watches all.
    """

    trust_domain: Annotated[
        str,
        Field(default=DEFAULT_TRUST_DOMAIN),
        NAME,
        At("trustDomain"),
        Read(str, lambda text: text or DEFAULT_TRUST_DOMAIN),
    ]
    normalization: Annotated[
        str, Field(default="DEFAULT"), At("pathNormalization.normalization"), Read(str, lambda text: text or "DEFAULT")
    ]
    evidence: tuple[str, ...] = ()
    trust_domain_aliases: Annotated[OneOrMany, At("trustDomainAliases"), Items(NAME)] = ()
    discovery_selectors: Annotated[ListOf[LabelSelector], At("discoverySelectors")] = ()

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """The trust domain and its aliases."""
        return (self.trust_domain, *self.trust_domain_aliases)


@dataclass(frozen=True, slots=True)
class Injector(Declared):
    """The ConfigMap ``istio-sidecar-injector``.

    Attributes:
        templates: The volume with the node's socket in each injection template, as text, by name; empty where a template has
            none. Aliases are not among them.
        default_templates: Names used where a pod names none.
        hub: ``global.hub`` of the values.
        tag: ``global.tag`` of the values.
        evidence: Ids of the readings.
        never_inject: Selectors of pods that istiod does not inject unless they ask for it.
        always_inject: Selectors of pods that it injects although the policy is not ``enabled``.
        policy: ``enabled``; with another one, istiod injects only pods that ask for it or that `always_inject` fits.
    """

    templates: Annotated[
        Mapping[str, str],
        Fields(others=Prepared(_mount_in, LEAF)),
        Read(dict[str, str], lambda t: {k: _mount_in(t[k]) for k in t}),
    ]
    default_templates: Annotated[Texts, At("defaultTemplates")]
    hub: str
    tag: str
    evidence: tuple[str, ...] = ()
    never_inject: Annotated[ListOf[LabelSelector], At("neverInjectSelector")] = ()
    always_inject: Annotated[ListOf[LabelSelector], At("alwaysInjectSelector")] = ()
    policy: str = "enabled"


@dataclass(frozen=True, slots=True)
class _Values(Declared):
    hub: Annotated[Text, At("global.hub"), NamesIn("/")]
    tag: Annotated[Text, At("global.tag"), Read(Any, str)]


KEPT_OF_MESH = Fields({"mesh": Decoded(yaml_document, mask_of(MeshConfig))}, others=KEY)
"""What is kept of the texts of the ConfigMap ``istio``."""
KEPT_OF_INJECTOR = Fields(
    {"config": Decoded(yaml_document, mask_of(Injector)), "values": Decoded(json.loads, mask_of(_Values))}, others=KEY
)
"""What is kept of the texts of the ConfigMap ``istio-sidecar-injector``."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A control plane of Istio: one revision, with its own mesh configuration and injector, and the gateways that follow it.

    Attributes:
        namespace: Where istiod runs.
        revision: Its revision; ``default`` where it has none.
        config: Mesh configuration.
        injector: Injection templates.
        istiod: Deployments of istiod of this revision.
        gateways: Deployments and DaemonSets of its gateways, in any namespace, as their templates tell.
        evidence: Ids of all readings.
    """

    namespace: str
    revision: str
    config: MeshConfig
    injector: Injector
    istiod: tuple[Deployment, ...]
    gateways: tuple[Deployment | DaemonSet, ...]
    evidence: tuple[str, ...]

    @property
    def title(self) -> str:
        """The control plane, as people name it."""
        return f"Istio in {self.namespace}{self.mark}"

    @property
    def mark(self) -> str:
        """What tells it from the default revision, to be put behind a name; empty for the default one."""
        return "" if self.revision == DEFAULT_REVISION else f", revision {self.revision}"

    @property
    def config_map(self) -> ObjectRef:
        """The ConfigMap with its mesh configuration."""
        return ObjectRef("ConfigMap", of_revision("istio", self.revision), self.namespace)

    @property
    def selectors_in_force(self) -> tuple[LabelSelector, ...]:
        """Selectors of the namespaces that istiod watches; empty where it watches all, as it does if one is not valid."""
        selectors = self.config.discovery_selectors
        return selectors if all(selector.is_valid for selector in selectors) else ()

    def watches(self, namespace: Labelled) -> bool:
        """Tell whether istiod watches a namespace."""
        selectors = self.selectors_in_force
        return not selectors or any(selector.fits(namespace.labels) for selector in selectors)

    @property
    def trust_domain(self) -> str:
        """The mesh's trust domain."""
        return self.config.trust_domain

    @property
    def normalization(self) -> str:
        """The mesh's path normalization."""
        return self.config.normalization

    @property
    def templates(self) -> Mapping[str, str]:
        """The injection templates."""
        return self.injector.templates

    def mounts_the_nodes_socket(self, template: str) -> bool:
        """Tell whether the text of a template has the node's socket as the volume in which Istio looks for it."""
        return _NODES_SOCKET.search(self.templates.get(template, "")) is not None

    def socket_template(self, named: str) -> str:
        """Name of the injection template that mounts the node's socket.

        Args:
            named: Its expected name. The result is this name if there is such a template, or if the other candidates are
                none or several; the suite then reports that the expected template is missing.
        """
        mounting = [name for name in self.templates if self.mounts_the_nodes_socket(name)]
        return mounting[0] if named not in self.templates and len(mounting) == 1 else named

    @property
    def image_tags(self) -> Mapping[str, str]:
        """Tag of each istiod Deployment's image; empty where the image has none (a digest)."""
        return {d.name: image_tag(c.image) for d in self.istiod for c in d.template.spec.containers if c.name == "discovery"}


def of_revision(name: str, revision: str) -> str:
    """The name of one of Istio's objects in a revision: the charts append the revision, if there is one."""
    return name if revision == DEFAULT_REVISION else f"{name}-{revision}"


def image_tag(image: str) -> str:
    """The tag of an image reference, empty when it has none: ``host:5000/a/b:1.2@sha256:…`` has the tag ``1.2``."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2]


def parse_mesh_config(config_map: ConfigMap) -> MeshConfig:
    """Reads the ConfigMap ``istio``.

    Raises:
        CouldNotTell: It has no key ``mesh``, or that is not a YAML mapping.
    """
    where = f"ConfigMap {config_map.namespace}/{config_map.name}, key mesh"
    mesh = decoded_in(config_map.data, "mesh", parse_yaml, where)
    return read(MeshConfig, mesh or {}, where, evidence=config_map.evidence)


def parse_injector(config_map: ConfigMap) -> Injector:
    """Reads the ConfigMap ``istio-sidecar-injector``.

    Raises:
        CouldNotTell: It has no key ``config`` or ``values``, or one of them is damaged.
    """
    where = f"ConfigMap {config_map.namespace}/{config_map.name}"
    config = decoded_in(config_map.data, "config", parse_yaml, f"{where}, key config")
    values = read(_Values, decoded_in(config_map.data, "values", parse_json, f"{where}, key values"), f"{where}, key values")
    return read(Injector, config, where, hub=values.hub, tag=values.tag, evidence=config_map.evidence)
