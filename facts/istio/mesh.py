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

from facts.declared import At, Declared, OneOrMany, Read, Text, Texts, mask_of, read
from facts.document import decoded_in, parse_json, parse_yaml
from facts.kubernetes.objects import ConfigMap
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.masks import KEY, OPEN, Decoded, Fields, yaml_document

DEFAULT_TRUST_DOMAIN = "cluster.local"

# In a template, which is text: the volume that Istio looks for the socket in, taken from the node or from a CSI driver.
# Istio's own templates may have a volume of that name, too; theirs is an emptyDir.
_NODES_SOCKET = re.compile(
    r"""name:[ ]*["']?workload-socket["']?\s+(?:hostPath|csi):"""
    # Each key has a line of its own, and a volume has few: in whatever text, this takes time linear in its length.
    r"""|(?:hostPath|csi):[^\S\n]*(?:\n[^\S\n]*(?:\w+:[^\n]*)?){1,20}?\n[^\S\n]*name:[ ]*["']?workload-socket\b"""
)


@dataclass(frozen=True, slots=True)
class MeshConfig(Declared):
    """The key ``mesh`` of the ConfigMap ``istio``, with Istio's own defaults for what it leaves out.

    Attributes:
        trust_domain: Istio's default is ``cluster.local``.
        normalization: ``pathNormalization.normalization``; Istio's default is ``DEFAULT``, which acts as ``BASE``.
        evidence: Ids of the readings.
        trust_domain_aliases: Other trust domains whose workloads proxies are to accept.
    """

    trust_domain: Annotated[
        str,
        Field(default=DEFAULT_TRUST_DOMAIN),
        At("trustDomain"),
        Read(str, lambda text: text or DEFAULT_TRUST_DOMAIN),
    ]
    normalization: Annotated[
        str, Field(default="DEFAULT"), At("pathNormalization.normalization"), Read(str, lambda text: text or "DEFAULT")
    ]
    evidence: tuple[str, ...] = ()
    trust_domain_aliases: Annotated[OneOrMany, At("trustDomainAliases")] = ()

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """The trust domain and its aliases."""
        return (self.trust_domain, *self.trust_domain_aliases)


@dataclass(frozen=True, slots=True)
class Injector(Declared):
    """The ConfigMap ``istio-sidecar-injector``.

    Attributes:
        templates: Text of each injection template by name; aliases are not among them.
        default_templates: Names used where a pod names none.
        hub: ``global.hub`` of the values.
        tag: ``global.tag`` of the values.
        evidence: Ids of the readings.
    """

    templates: Annotated[Mapping[str, str], OPEN]
    default_templates: Annotated[Texts, At("defaultTemplates")]
    hub: str
    tag: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Values(Declared):
    hub: Annotated[Text, At("global.hub")]
    tag: Annotated[Text, At("global.tag"), Read(Any, str)]


KEPT_OF_MESH = Fields({"mesh": Decoded(yaml_document, mask_of(MeshConfig))}, others=KEY)
"""What is kept of the texts of the ConfigMap ``istio``."""
KEPT_OF_INJECTOR = Fields(
    {"config": Decoded(yaml_document, mask_of(Injector)), "values": Decoded(json.loads, mask_of(_Values))}, others=KEY
)
"""What is kept of the texts of the ConfigMap ``istio-sidecar-injector``."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """An Istio install.

    Attributes:
        namespace: Where istiod runs.
        revision: Its revision; ``default`` where it has none.
        config: Mesh configuration.
        injector: Injection templates.
        istiod: Deployments of istiod of this revision.
        gateways: Deployments and DaemonSets of gateways, in any namespace, as their templates tell.
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

    def socket_template(self, named: str) -> str:
        """Name of the injection template that mounts the node's socket.

        Args:
            named: Its expected name. The result is this name if there is such a template, or if the other candidates are
                none or several; the suite then reports that the expected template is missing.
        """
        mounting = [name for name, text in self.templates.items() if _NODES_SOCKET.search(text)]
        return mounting[0] if named not in self.templates and len(mounting) == 1 else named

    @property
    def image_tags(self) -> Mapping[str, str]:
        """Tag of each istiod Deployment's image; empty where the image has none (a digest)."""
        return {d.name: image_tag(c.image) for d in self.istiod for c in d.template.spec.containers if c.name == "discovery"}


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
