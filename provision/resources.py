"""The resources in Teleport: role, bot, workload identity, and the join token with this cluster's keys."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from facts.evidence import ObjectRef, Recorder
from observe.command import CommandResult
from observe.teleport import is_not_there
from provision.objects import RUN_LABEL
from provision.render import MANIFESTS
from provision.teleport import Teleport
from provision.variant import Variant

PLACEHOLDER = "PASTE_JWKS_HERE"
TOKEN_TEMPLATE = MANIFESTS / "istio-tbot-token.yaml.template"
TOKEN_FILE = "istio-tbot-token.yaml"


class Resources:
    """Resources that a run makes in a Teleport, and removes again where the Teleport outlives the run."""

    def __init__(self, teleport: Teleport, run_id: str, recorder: Recorder, *, replace: bool) -> None:
        """Nothing is made yet.

        Args:
            teleport: Where.
            run_id: Value of their label.
            recorder: Takes what tctl says.
            replace: Replace resources of the same name; else their presence is an error.
        """
        self._teleport = teleport
        self._run_id = run_id
        self._recorder = recorder
        self._replace = replace
        self._lock = threading.Lock()
        self._made: list[str] = []

    def create_all(self, variant: Variant) -> None:
        """Creates what an installation has in Teleport besides the join token: role, workload identity and, as a rule, bot.

        Raises:
            ProvisioningFailed: tctl refused.
        """
        for name in variant.teleport_files:
            for document in variant.documents(name, {}):
                self.create(document)

    def create_token(self, jwks: str, directory: Path) -> None:
        """Creates the join token for the cluster whose keys are given; the file with them is gone afterwards.

        Args:
            jwks: The cluster's answer at ``/openid/v1/jwks``.
            directory: Private directory to put the file in.

        Raises:
            ProvisioningFailed: The keys cannot be used, or tctl refused.
        """
        with token_file(directory, jwks) as file:
            self.create(yaml.safe_load(file.read_text(encoding="utf-8")))

    def create(self, document: dict[str, Any]) -> None:
        """Creates one resource, labelled with the run.

        Raises:
            ProvisioningFailed: tctl refused.
        """
        name = f"{document['kind']}/{document['metadata']['name']}"
        labels = {**document["metadata"].get("labels", {}), RUN_LABEL: self._run_id}
        labelled = {**document, "metadata": {**document["metadata"], "labels": labels}}
        argv = ["create", *(["--force"] if self._replace else [])]
        answer = self._ask(argv, name, yaml.safe_dump(labelled))
        if answer.exit_code:
            raise ProvisioningFailed(
                expected=f"Teleport to take {name}",
                seen=f"exit code {answer.exit_code}: {answer.tail()}",
                where=f"Teleport {self._teleport.cluster_name}",
                remedy="read tctl's own words; what is not ours is never replaced: remove or rename it first",
            )
        with self._lock:
            self._made.append(name)

    def remove(self) -> None:
        """Removes what was made here, last first, and nothing else.

        Raises:
            ProvisioningFailed: tctl refused for another reason than that it is gone.
        """
        while self._made:
            name = self._made[-1]
            answer = self._ask(["rm", name], name)
            if answer.exit_code and not is_not_there(answer):
                raise ProvisioningFailed(
                    expected=f"Teleport to remove {name}",
                    seen=f"exit code {answer.exit_code}: {answer.tail()}",
                    where=f"Teleport {self._teleport.cluster_name}",
                    remedy=f"remove it by hand: tctl rm {name}",
                )
            self._made.pop()

    def _ask(self, argv: list[str], name: str, stdin: str = "") -> CommandResult:
        answer = self._teleport.tctl(argv, stdin)
        subject = ObjectRef("Teleport", f"{self._teleport.cluster_name} {name}")
        self._recorder.record(answer.as_evidence(subject, shown_as=f"tctl {' '.join(argv)}"))
        return answer


@contextlib.contextmanager
def token_file(directory: Path, jwks: str) -> Iterator[Path]:
    """The join token's file, filled in from its template: only its owner can read it, and it is deleted in any case.

    Raises:
        ProvisioningFailed: `jwks` is not a set of keys.
    """
    text = TOKEN_TEMPLATE.read_text(encoding="utf-8").replace(PLACEHOLDER, _one_line(jwks))
    with tempfile.TemporaryDirectory(dir=directory, prefix="token-") as private:
        file = Path(private) / TOKEN_FILE
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
        yield file


def _one_line(jwks: str) -> str:
    """The keys as one line of JSON that fits between the template's single quotes."""
    try:
        parsed = json.loads(jwks)
        keys = parsed["keys"]
    except (ValueError, KeyError, TypeError) as error:
        keys = []
        parsed = {"keys": [], "error": str(error)}
    line = json.dumps(parsed, separators=(",", ":"))
    if not keys or "'" in line:
        raise ProvisioningFailed(
            expected="a JSON Web Key Set with at least one key",
            seen=f"{jwks[:80]!r}",
            where="GET /openid/v1/jwks",
            remedy="see whether the API server publishes its service account keys: kubectl get --raw /openid/v1/jwks",
        )
    return line
