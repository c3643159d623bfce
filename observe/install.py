"""One install, as something to read, the guide's own commands among it. See `observe.readings` for how it is read."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, Recorder
from facts.guide import GuideAnswer
from facts.kubernetes.objects import Labelled, Pod
from facts.teleport.resources import WorkloadIdentity
from observe.guide import GuideCommand, NoPodToAsk, about, conclusion
from observe.kubernetes.cluster import Cluster
from observe.teleport.audit import AuditEvents
from observe.teleport.authority import Authority
from observe.teleport.session import TeleportSession
from observe.tools import Tools
from settings import Names


class Install(Authority):
    """Everything that can be read of one install: its `Premises`, `Proxies` and `Authority`, and what the guide says of it.

    Args:
        cluster: Its Kubernetes API.
        teleport: Makes the reader of its Teleport; called when first needed.
        tools: The command-line tools.
        names: What things are called; the guide's, or discovered ones.
        recorder: Takes readings that are made again by attaching them.
        allowed: Safety classes of this run; they decide which rights it needs.
        profiles: Those that are certified, by name; they decide which rights it needs besides.
        provisions: Whether this run installs, and so needs admin rights.
        audit_events: Where Teleport's audit events are; called when first needed, None where nobody said.
        is_scratch: Whether a namespace is one that a run made for pods of its own, which are no part of the install.
        progress: Told how many proxies were read, and of how many.
        need: Called with the part of the installation that a reading is about, before it is made.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        teleport: Callable[[], TeleportSession],
        tools: Tools,
        names: Names,
        recorder: Recorder,
        allowed: frozenset[str],
        provisions: bool,
        profiles: frozenset[str] = frozenset(),
        audit_events: Callable[[], AuditEvents | None] = lambda: None,
        is_scratch: Callable[[Labelled], bool] = lambda _namespace: False,
        progress: Callable[[int, int], None] | None = None,
        need: Callable[[str], None] = lambda _part: None,
    ) -> None:
        super().__init__(
            cluster=cluster,
            tools=tools,
            names=names,
            recorder=recorder,
            need=need,
            allowed=allowed,
            provisions=provisions,
            profiles=profiles,
            is_scratch=is_scratch,
            progress=progress,
            teleport=teleport,
            audit_events=audit_events,
        )

    def guide(self, command: str, pod: Pod | None = None) -> GuideAnswer:
        """Runs one of the guide's own commands as it is written, with this install's names, and keeps its answer.

        Args:
            command: As the guide prints it.
            pod: Another pod in the place of the test application.
        """
        names = self._found_names() if command.startswith("tctl ") else self._names_for(about(command))
        app_pod = self._first_app_pod
        if pod is not None:
            names = names.model_copy(update={"app_namespace": pod.namespace})
            app_pod = lambda: pod.name  # noqa: E731 - as the method it stands for
        try:
            asked = GuideCommand.of(command, names, app_pod=app_pod, tbot_pod=self._first_tbot_pod)
        except NoPodToAsk as error:
            # An answer too: the truth about the item is still judged, and says what is missing.
            said = f"the command cannot be run: expected {error.expected}, there is none"
            return GuideAnswer(command, said, healthy=False, evidence=self.pods_evidence())
        self._need(asked.about)
        subject = ObjectRef("Command", asked.program)
        kubectl = asked.program == "kubectl"
        result = self._tools.run_kubectl(asked.words[1:]) if kubectl else self.teleport().tctl(asked.words[1:])
        evidence = self._recorder.record(result.as_evidence(subject, shown_as=shlex.join(asked.words)))
        healthy, said = conclusion(asked, result)
        return GuideAnswer(shlex.join(asked.words), said, healthy, (evidence,))

    def _found_names(self) -> Names:
        """The names with those of Teleport's resources as they were found."""
        found = {
            "token": self._token_name(),
            "role": self.role_name(),
            "workload_identity": self._found_identity_name(),
        }
        return self.names.model_copy(update=found)

    def _names_for(self, part: str) -> Names:
        """The names with the namespace of a part as it was found; as they are where it cannot be found."""
        found = {}
        with contextlib.suppress(CouldNotTell):
            if part == "istio":
                found = {"istio_namespace": self.mesh().namespace}
            elif part == "tbot":
                found = {"tbot_namespace": self.tbot().daemon_set.namespace}
        return self.names.model_copy(update=found)

    def _found_identity_name(self) -> str:
        if self._identity_labels():
            found = self.workload_identity()
            return found.name if isinstance(found, WorkloadIdentity) else self.names.workload_identity
        return self._identity_name()

    def _first_app_pod(self) -> str:
        return next((p.name for p in self.app_pods()), "")

    def _first_tbot_pod(self) -> str:
        return next((p.name for p in self.tbot().pods.values()), "")
