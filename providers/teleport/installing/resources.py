"""The suite's resources in Teleport: role, bot, workload identity, and the join token with this cluster's keys.

In a Teleport that the suite did not start, a resource without the suite's label is another user's: the suite neither
overwrites nor removes it. Teleport itself does not protect it, because `tctl create` of a token overwrites unasked.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from facts.document import decoded, maybe
from facts.errors import ProvisioningFailed
from facts.evidence import ObjectRef
from facts.kubernetes.jwks import LITERAL_PLACEHOLDER
from facts.masks import OPEN, Mask, OneOrMany, at, merged, only
from facts.recorder import Recorder
from facts.redaction import beginning
from observe.command import CommandResult
from providers.teleport.facts.tctl import remedy_for, says_not_created
from providers.teleport.installing.teleport import CLUSTER_LABEL, TeleportCluster
from providers.teleport.observe.session import is_not_there
from provision.installing.variant import RECOMMENDED, Variant
from provision.objects import MADE_LABEL, RUN_LABEL
from provision.render import MANIFESTS

TOKEN_TEMPLATE = MANIFESTS / "istio-tbot-token.yaml.template"
TOKEN_FILE = "istio-tbot-token.yaml"
LABELS = OneOrMany(merged(only("kind"), at("metadata", only("name")), at("metadata.labels", OPEN)))
"""What evidence keeps of a resource that another may have made: whose it is."""


class Resources:
    """Creates resources in a Teleport, and removes them where the Teleport outlives the run."""

    def __init__(
        self,
        teleport: TeleportCluster,
        run_id: str,
        recorder: Recorder,
        *,
        cluster: str = "",
        reuse: bool = False,
    ) -> None:
        """Prepare, without creating anything yet.

        Args:
            run_id: Value of the run's label.
            recorder: Records the output of tctl.
            cluster: Name of the kind cluster that they are for, as a second label; empty for no such label.
            reuse: Replace resources of the same name that an earlier run made for the same cluster.
        """
        self._teleport = teleport
        self._run_id = run_id
        self._recorder = recorder
        self._cluster = cluster
        self._reuse = reuse
        self._lock = threading.Lock()
        self._made: list[str] = []

    def create_all(self, variant: Variant) -> None:
        """Create all resources of an installation except the join token: role, workload identity and, usually, bot.

        Raises:
            ProvisioningFailed: tctl refused.
        """
        for name in variant.teleport_files:
            for document in variant.documents(name, {}):
                self.create(document)

    def create_token(self, jwks: str, directory: Path) -> None:
        """Create the join token with the keys of a cluster, and delete the file with them.

        Args:
            jwks: Answer of the cluster at ``/openid/v1/jwks``.
            directory: Private directory for the file.

        Raises:
            ProvisioningFailed: The answer is no key set, or tctl refused.
        """
        with token_file(directory, jwks) as file:
            self.create(yaml.safe_load(file.read_text(encoding="utf-8")))

    def create(self, document: dict[str, Any]) -> None:
        """Create one resource, labelled with the run; replace the suite's own of the same name.

        Raises:
            ProvisioningFailed: There is one of this name that the suite may not replace; or tctl refused.
            CouldNotTell: tctl did not exit in time.
        """
        name = _name_of(document)
        of_cluster = {CLUSTER_LABEL: self._cluster} if self._cluster else {}
        ours = {RUN_LABEL: self._run_id, MADE_LABEL: "true", **of_cluster}
        labels = {**document["metadata"].get("labels", {}), **ours}
        labelled = {**document, "metadata": {**document["metadata"], "labels": labels}}
        # Without --force Teleport refuses what has come since the suite looked; of a token alone it overwrites that, too.
        force = self._teleport.is_own or self._replaces(name)
        with self._lock:  # before tctl runs, so that the clean-up finds the resource at any moment
            self._made.append(name)
        answer = self._ask(["create", *(["--force"] if force else [])], name, yaml.safe_dump(labelled))
        if answer.exit_code:
            if says_not_created(answer.stderr):
                with self._lock:
                    self._made.remove(name)
            raise self._failed(f"Teleport to accept {name}", answer, "read the error of tctl")

    def _replaces(self, name: str) -> bool:
        """Return True where a resource of this name is the suite's to replace, False where there is none.

        Raises:
            ProvisioningFailed: There is one, and it is not.
        """
        labels = self._labels(name)
        if labels is None:
            return False
        if labels.get(RUN_LABEL) == self._run_id or (self._reuse and self._is_of_cluster(labels)):
            return True
        raise ProvisioningFailed(
            expected=f"no {name}, or one with the label {RUN_LABEL} that this run may replace",
            seen=f"{name} with {shown(labels)}",
            where=f"Teleport {self._teleport.cluster_name}",
            remedy=(
                f"the suite replaces only what it made for the same cluster: look at it (tctl get {name}), then rename or"
                " remove it, or use another Teleport; what an earlier run left goes with `conformance down`"
            ),
        )

    def remove(self) -> None:
        """Remove what this run created, last first, and nothing else.

        Raises:
            ProvisioningFailed: tctl refused to remove a resource that exists.
        """
        while self._made:
            name = self._made[-1]
            labels = self._labels(name)
            if labels is not None and labels.get(RUN_LABEL) == self._run_id:
                self._remove(name)
            self._made.pop()

    def remove_kept(self) -> None:
        """Remove what earlier runs created for the same kind cluster, and nothing else.

        Raises:
            ProvisioningFailed: tctl refused to remove a resource that exists.
        """
        documents = [d for file in RECOMMENDED.teleport_files for d in RECOMMENDED.documents(file, {})]
        token = yaml.safe_load(TOKEN_TEMPLATE.read_text(encoding="utf-8"))
        for name in reversed([_name_of(document) for document in (*documents, token)]):
            labels = self._labels(name)
            if labels is not None and self._is_of_cluster(labels):
                self._remove(name)

    def _is_of_cluster(self, labels: Mapping[str, str]) -> bool:
        """Return True for the labels of a resource that a run of this suite created for this kind cluster."""
        return RUN_LABEL in labels and labels.get(CLUSTER_LABEL) == self._cluster

    def _labels(self, name: str) -> dict[str, str] | None:
        """Return the labels of a resource; None if it does not exist."""
        answer = self._ask(["get", name, "--format=json"], name, mask=LABELS)
        if _is_gone(answer, name):
            return None
        if answer.exit_code:
            raise self._failed(f"Teleport to return {name}", answer, f"read its labels by hand: tctl get {name}")
        found = decoded(answer.stdout)
        resources = found if isinstance(found, list) else [found]
        return maybe(resources[0], "metadata.labels", dict[str, str](), name) if resources else None

    def _remove(self, name: str) -> None:
        answer = self._ask(["rm", name], name)
        if answer.exit_code and not _is_gone(answer, name):
            raise self._failed(f"Teleport to remove {name}", answer, f"remove it by hand: tctl rm {name}")

    def _failed(self, expected: str, answer: CommandResult, remedy: str) -> ProvisioningFailed:
        return ProvisioningFailed(
            expected=expected,
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where=f"Teleport {self._teleport.cluster_name}",
            remedy=remedy_for(answer.stderr, remedy),
        )

    def _ask(self, argv: list[str], name: str, stdin: str = "", mask: Mask | None = None) -> CommandResult:
        answer = self._teleport.tctl(argv, stdin)
        subject = ObjectRef("Teleport", f"{self._teleport.cluster_name} {name}")
        self._recorder.record(answer.as_evidence(subject, shown_as=f"tctl {' '.join(argv)}", mask=mask))
        return answer


def _name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def _is_gone(answer: CommandResult, name: str) -> bool:
    return is_not_there(answer, name.partition("/")[2])


def shown(labels: Mapping[str, str]) -> str:
    """Return the labels of a resource in words."""
    return "the labels " + ", ".join(f"{k}: {v}" for k, v in sorted(labels.items())) if labels else "no labels"


@contextlib.contextmanager
def token_file(directory: Path, jwks: str) -> Iterator[Path]:
    """Write the join token's file from its template, readable only for its owner; delete it in any case.

    Raises:
        ProvisioningFailed: `jwks` is no key set.
    """
    text = TOKEN_TEMPLATE.read_text(encoding="utf-8").replace(LITERAL_PLACEHOLDER, _one_line(jwks))
    with tempfile.TemporaryDirectory(dir=directory, prefix="token-") as private:
        file = Path(private) / TOKEN_FILE
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
        yield file


def _one_line(jwks: str) -> str:
    """Return the keys as one line of JSON that fits between the template's single quotes."""
    try:
        parsed = json.loads(jwks)
        keys = parsed["keys"]
    except (ValueError, KeyError, TypeError):
        parsed, keys = {}, []
    line = json.dumps(parsed, separators=(",", ":"))
    if not keys or "'" in line:
        raise ProvisioningFailed(
            expected="a JSON Web Key Set with at least one key",
            seen=repr(beginning(jwks, 80)),
            where="GET /openid/v1/jwks",
            remedy="check whether the API server publishes its service account keys: kubectl get --raw /openid/v1/jwks",
        )
    return line
