"""The resources in Teleport: role, bot, workload identity, and the join token with this cluster's keys."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from facts.errors import ProvisioningFailed
from facts.evidence import ObjectRef, Recorder
from provision.objects import RUN_LABEL
from provision.render import MANIFESTS, documents
from provision.teleport import Teleport

PLACEHOLDER = "PASTE_JWKS_HERE"
TOKEN_TEMPLATE = MANIFESTS / "istio-tbot-token.yaml.template"
TOKEN_FILE = "istio-tbot-token.yaml"

# In an order in which each finds what it refers to.
_FILES = ("teleport-bot-role.yaml", "teleport-bot.yaml", "teleport-workload-identity.yaml")


def create_resources(teleport: Teleport, run_id: str, recorder: Recorder, *, replace: bool) -> None:
    """Creates role, bot and workload identity.

    Args:
        teleport: Where.
        run_id: Value of their label.
        recorder: Takes what tctl says.
        replace: Replace those that are there; else their presence is an error.

    Raises:
        ProvisioningFailed: tctl refused.
    """
    made = [document for name in _FILES for document in documents(MANIFESTS / name, {})]
    create(teleport, made, run_id, recorder, replace=replace)


def create_token(teleport: Teleport, jwks: str, run_id: str, recorder: Recorder, directory: Path, *, replace: bool) -> None:
    """Creates the join token for the cluster whose keys are given; the file with them is gone afterwards.

    Args:
        teleport: Where.
        jwks: The cluster's answer at ``/openid/v1/jwks``.
        run_id: Value of its label.
        recorder: Takes what tctl says.
        directory: Private directory to put the file in.
        replace: Replace the token if there is one.

    Raises:
        ProvisioningFailed: The keys cannot be used, or tctl refused.
    """
    with token_file(directory, jwks) as file:
        create(teleport, [yaml.safe_load(file.read_text())], run_id, recorder, replace=replace)


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


def create(teleport: Teleport, made: Iterable[dict[str, Any]], run_id: str, recorder: Recorder, *, replace: bool) -> None:
    """Creates Teleport resources, labelled with the run, in one ``tctl create``.

    Raises:
        ProvisioningFailed: tctl refused.
    """
    labelled = [_labelled(document, run_id) for document in made]
    names = ", ".join(f"{document['kind']}/{document['metadata']['name']}" for document in labelled)
    argv = ["create", *(["--force"] if replace else [])]
    answer = teleport.tctl(argv, yaml.safe_dump_all(labelled))
    recorder.record(
        answer.as_evidence(ObjectRef("Teleport", teleport.cluster_name), shown_as=f"tctl {' '.join(argv)} # {names}")
    )
    if answer.exit_code:
        raise ProvisioningFailed(
            expected=f"Teleport to take {names}",
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where=f"Teleport {teleport.cluster_name}",
            remedy="read tctl's own words; a resource of that name that is not ours is never replaced: remove it first",
        )


def remove_resources(teleport: Teleport, recorder: Recorder) -> None:
    """Removes what `create_resources` and `create_token` made, in a Teleport that outlives the run.

    Raises:
        ProvisioningFailed: tctl refused for another reason than that it is gone.
    """
    made = [d for name in (*_FILES, TOKEN_TEMPLATE.name) for d in documents(MANIFESTS / name, {})]
    for document in reversed(made):
        name = f"{document['kind']}/{document['metadata']['name']}"
        answer = teleport.tctl(["rm", name])
        recorder.record(answer.as_evidence(ObjectRef("Teleport", teleport.cluster_name), shown_as=f"tctl rm {name}"))
        if answer.exit_code and "not found" not in answer.stderr + answer.stdout:
            raise ProvisioningFailed(
                expected=f"Teleport to remove {name}",
                seen=f"exit code {answer.exit_code}: {answer.tail()}",
                where=f"Teleport {teleport.cluster_name}",
                remedy=f"remove it by hand: tctl rm {name}",
            )


def _labelled(document: dict[str, Any], run_id: str) -> dict[str, Any]:
    labels = {**document["metadata"].get("labels", {}), RUN_LABEL: run_id}
    return {**document, "metadata": {**document["metadata"], "labels": labels}}
