"""The guide's own commands, run against an install with its names in them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from facts.evidence import ObjectRef
from facts.guide import GuideAnswer
from facts.kubernetes.objects import Pod
from observe.guide.application import ApplicationFacet
from observe.guide.commands import GuideCommand, NoPodToAsk, about, conclusion
from observe.istio.facet import IstioFacet
from observe.kubernetes.denial import denial
from observe.kubernetes.facet import ClusterFacet
from observe.tools import Tools
from providers.teleport.observe.facet import TeleportFacet
from providers.teleport.observe.tbot_facet import TbotFacet
from settings import Names


@dataclass(frozen=True, slots=True)
class GuideFacet:
    """Answers to the guide's commands, which are read anew each time.

    Attributes:
        tools: Runs kubectl.
        istio: Istio, whose namespace is found.
        tbot: tbot, whose namespace is found.
        teleport: Runs tctl, and finds the names of resources.
        application: The test application, whose pods are asked about.
    """

    tools: Tools
    cluster: ClusterFacet
    istio: IstioFacet
    tbot: TbotFacet
    teleport: TeleportFacet
    application: ApplicationFacet

    def run(self, command: str, pod: Pod | None = None) -> GuideAnswer:
        """Runs one of the guide's own commands as it is written, with this install's names, and records its answer.

        Args:
            command: As the guide prints it.
            pod: Another pod in the place of the test application.

        Raises:
            NotGiven: The identity in use lacks a right that kubectl needs for it.
        """
        names = self._found_names() if command.startswith("tctl ") else self._names_for(about(command))
        if pod is not None:
            names = names.model_copy(update={"app_namespace": pod.namespace})
        try:
            asked = GuideCommand.of(
                command,
                names,
                app_pod=lambda: _first([pod] if pod else self.application.pods()),
                tbot_pod=lambda: _first(pod for tbot in self.tbot.all().each for pod in tbot.pods.values()),
            )
        except NoPodToAsk as error:
            # An answer too: the suite still judges the truth about the item, which says what is missing.
            said = f"the command cannot be run: expected {error.expected}, there is none"
            return GuideAnswer(command, said, healthy=False, evidence=self.cluster.pods_evidence())
        self.cluster.readings.need(asked.about)
        subject = ObjectRef("Command", asked.program)
        kubectl = asked.program == "kubectl"
        result = self.tools.run_kubectl(asked.words[1:]) if kubectl else self.teleport.session().tctl(asked.words[1:])
        line = shlex.join(asked.words)
        recorded = result.recorded(self.cluster.readings.recorder, subject, parser=asked.conclude, shown_as=line)
        if kubectl and recorded.exit_code and (denied := denial(recorded.stderr, line)) is not None:
            raise denied  # the guide's conclusion would be about the rights of this run, not about the install
        healthy, said = conclusion(asked, recorded)
        return GuideAnswer(line, said, healthy, recorded.evidence)

    def _found_names(self) -> Names:
        """The names of this install, with those of Teleport's resources as found."""
        found = {
            "token": self.teleport.token_name(),
            "role": self.teleport.role_name(),
            "workload_identity": self.teleport.workload_identity_name(),
        }
        return self.cluster.names.model_copy(update=found)

    def _names_for(self, part: str) -> Names:
        """The names of this install, with the namespace of a part where the suite finds it."""
        found = {}
        if part == "istio":
            found = {"istio_namespace": self.istio.namespace()}
        elif part == "tbot":
            found = {"tbot_namespace": self.tbot.namespace()}
        return self.cluster.names.model_copy(update=found)


def _first(pods: Iterable[Pod]) -> str:
    return next((pod.name for pod in pods), "")
