"""What the stand-in remembers: one JSON file in the data directory, replaced as a whole."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.standin.auth.certificates import Signer, new_authority
from lab.standin.auth.rotation import SpiffeAuthority
from lab.standin.failure import Kind, Refusal

Document = dict[str, Any]
_SCHEMA = 2


@dataclass(slots=True)
class State:
    """Everything that survives a restart.

    Attributes:
        path: the file, mode 0600, since it holds private keys.
        cluster_name: fixed at the first start.
        host_authority: signs the web certificate; its pin is the cluster's CA pin.
        session_key: signs the identities that tbots hold.
        resources: kind → name → resource.
    """

    path: Path
    cluster_name: str
    host_authority: Signer
    spiffe: SpiffeAuthority
    session_key: str
    resources: dict[str, dict[str, Document]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, cluster_name: str) -> State:
        """The state in ``path``, made for ``cluster_name`` if there is none yet.

        Raises:
            Refusal: the file is there and cannot be read.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            state = cls(
                path=path,
                cluster_name=cluster_name,
                host_authority=new_authority(cluster_name),
                spiffe=SpiffeAuthority.create(cluster_name),
                session_key=secrets.token_hex(32),
            )
            state.save()
            return state
        except (OSError, ValueError) as error:
            raise Refusal(Kind.BAD_PARAMETER, f"reading the state file {path}", str(error)) from error
        if document.get("schema") != _SCHEMA:
            raise Refusal(
                Kind.BAD_PARAMETER,
                f"the state file {path} is of schema {document.get('schema')}, this stand-in reads {_SCHEMA}; "
                "start with an empty data directory",
            )
        return cls(
            path=path,
            cluster_name=document["cluster_name"],
            host_authority=Signer(**document["host_authority"]),
            spiffe=SpiffeAuthority.from_document(document["spiffe"]),
            session_key=document["session_key"],
            resources=document["resources"],
        )

    def save(self) -> None:
        """Write the file: the old content or the new one, never a part, whatever happens in between."""
        document = {
            "schema": _SCHEMA,
            "cluster_name": self.cluster_name,
            "host_authority": asdict(self.host_authority),
            "spiffe": self.spiffe.to_document(),
            "session_key": self.session_key,
            "resources": self.resources,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".state-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
