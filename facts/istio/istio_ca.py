"""The authorities of Istio's own CA, as istiod distributes them; no certificate from Teleport may descend from them.

Source: Istio, ConfigMap ``istio-ca-root-cert``, which istiod keeps in every namespace.
"""

from __future__ import annotations

from dataclasses import dataclass

from facts.document import damaged
from facts.kubernetes.objects import ConfigMap
from facts.masks import only
from facts.svid import Certificate, parse_certificates

CONFIG_MAP = "istio-ca-root-cert"
KEY = "root-cert.pem"
KEPT = only(KEY)
"""What is kept of the texts of that ConfigMap."""


@dataclass(frozen=True, slots=True)
class IstioAuthorities:
    """Istiod's own authorities.

    Attributes:
        authorities: Roots, at least one.
        evidence: Ids of the readings.
    """

    authorities: tuple[Certificate, ...]
    evidence: tuple[str, ...]


def parse_istio_authorities(config_map: ConfigMap) -> IstioAuthorities:
    """Reads the authorities from the ConfigMap.

    Raises:
        CouldNotTell: It holds none.
    """
    where = f"ConfigMap {config_map.namespace}/{config_map.name}, key {KEY}"
    pem = config_map.data.get(KEY, "")
    if not pem.strip():
        raise damaged("istiod's root certificates in PEM", "nothing", where)
    return IstioAuthorities(parse_certificates(pem, where), config_map.evidence)
