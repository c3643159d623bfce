"""Getting SVIDs for a caller."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab.standin import wire
from lab.standin.agent.client import ClusterClient
from lab.standin.agent.services import WorkloadIdentityApi
from lab.standin.logs import Log

_log = Log("tbot:svc:workload-identity-api")


@dataclass(frozen=True, slots=True)
class Svid:
    """An X.509-SVID with its key, both DER (the key as PKCS#8)."""

    spiffe_id: str
    certificate: bytes
    key: bytes
    hint: str


class SvidIssuer:
    """Asks the cluster for the SVIDs that one service of this tbot hands out."""

    def __init__(self, client: ClusterClient, service: WorkloadIdentityApi) -> None:
        self._client = client
        self._service = service

    async def issue(self, workload: Mapping[str, Any]) -> list[Svid]:
        """New SVIDs for a workload with these attributes, with a new key. Selected by labels there may be none.

        Raises:
            Refusal: the cluster's, or that it cannot be reached.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        answer = await self._client.post(
            wire.ISSUE,
            {
                "name": self._service.selector_name,
                "labels": {label: list(values) for label, values in self._service.selector_labels.items()},
                "workload": dict(workload),
                "public_key": base64.b64encode(public).decode(),
                "ttl": self._service.credential_ttl.total_seconds(),
            },
        )
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return [self._taken(entry, private, workload) for entry in answer["svids"]]

    def _taken(self, entry: Mapping[str, Any], private: bytes, workload: Mapping[str, Any]) -> Svid:
        _log.info(
            "Issued Workload Identity Credential",
            credential={
                "type": "x509-svid",
                "spiffe_id": entry["spiffe_id"],
                "serial_number": entry["serial_number"],
                "hint": entry["hint"],
                "expires_at": entry["expires_at"],
                "ttl": int(entry["ttl"]),
                "workload_identity_name": entry["name"],
                "workload_identity_revision": entry["revision"],
            },
            workload=workload,
        )
        return Svid(entry["spiffe_id"], base64.b64decode(entry["certificate"]), private, entry["hint"])
