"""Services as the Kubernetes API has them, and the ingress gateway behind one.

Source: the Kubernetes API reference, core/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, ListOf, Read, Text, read
from facts.istio.gateways import Gateway
from facts.kubernetes.objects import named, object_with
from facts.kubernetes.pod_spec import Labels, selects
from facts.masks import keeps


@dataclass(frozen=True, slots=True)
class _Port(Declared):
    name: Text
    port: int


def _numbers(ports: tuple[_Port, ...]) -> dict[str, int]:
    return {port.name: port.port for port in ports}


@dataclass(frozen=True, slots=True)
class Service(Declared):
    """A Service.

    Attributes:
        selector: Labels of its pods; empty for one without pods of its own.
        ports: Number by name; a single port may have an empty name.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    selector: Annotated[Labels, At("spec.selector")]
    ports: Annotated[Mapping[str, int], Field(default={}), At("spec.ports"), Read(ListOf[_Port], _numbers)]
    evidence: tuple[str, ...]

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it selects pods with these labels."""
        return selects(self.selector, labels)


@keeps(object_with(Service))
def parse_service(document: Any, evidence: tuple[str, ...] = ()) -> Service:
    """Reads a core/v1 Service.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(Service, document, named("Service", document), evidence=evidence)


@dataclass(frozen=True, slots=True)
class Ingress:
    """An ingress gateway and the Service in front of it.

    Attributes:
        port: Its port for plain HTTP.
    """

    gateway: Gateway
    service: Service
    port: int


def ingress_of(gateway: Gateway, services: tuple[Service, ...]) -> Ingress | None:
    """The Service through which a gateway takes plain HTTP: port 80, or one whose name says HTTP; None without one."""
    for service in services:
        if service.namespace == gateway.namespace and service.selects(gateway.labels):
            named_http = [port for name, port in service.ports.items() if name.split("-")[0] in ("http", "http2")]
            port = 80 if 80 in service.ports.values() else next(iter(named_http), 0)
            if port:
                return Ingress(gateway, service, port)
    return None
