"""The guide's own read commands, a fixed list, with what each looks at and the conclusion that is drawn from it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from facts.errors import CouldNotTell
from facts.guide import (
    Conclude,
    Conclusion,
    conclude_listing,
    conclude_log,
    conclude_pods,
    conclude_proxy_log,
    conclude_resource,
)
from observe.command import CommandResult
from settings import Names

RENAMED = ("istio_namespace", "tbot_namespace", "app_namespace", "token", "role", "workload_identity")
"""Names of the guide that stand in its commands."""


class NoPodToAsk(CouldNotTell):
    """A command of the guide names a pod, and there is none."""


@dataclass(frozen=True, slots=True)
class GuideCommand:
    """One of the guide's commands, ready to run.

    Attributes:
        words: Program and arguments.
        about: The part of the installation that it looks at.
        conclude: Draws the conclusion of a person who follows the guide from a successful answer.
    """

    words: tuple[str, ...]
    about: str
    conclude: Conclude

    @property
    def program(self) -> str:
        """``kubectl`` or ``tctl``."""
        return self.words[0]

    @classmethod
    def of(cls, text: str, names: Names, *, app_pod: Callable[[], str], tbot_pod: Callable[[], str]) -> GuideCommand:
        """Finds a command of the guide and puts this install's names into it.

        Args:
            text: As the guide prints it.
            names: Names of this install.
            app_pod: Name of a pod of the test application; empty if there is none.
            tbot_pod: Name of a tbot pod; empty if there is none.

        Raises:
            NoPodToAsk: The pod that the command asks about does not exist.
            KeyError: The guide has no such command.
        """
        about, conclude = _COMMANDS[text]
        guide, here = Names().model_dump(), names.model_dump()
        # All in one pass, since a name of this install may be another name of the guide.
        by_guide = {str(guide[field]): str(here[field]) for field in RENAMED}
        pattern = rf"(?<![\w-])({'|'.join(map(re.escape, by_guide))})(?![\w-])"
        renamed = re.sub(pattern, lambda found: by_guide[found[1]], text)
        for placeholder, pod in (("$POD_NAME", app_pod), ("<pod-name>", tbot_pod)):
            if placeholder in renamed:
                name = pod()
                if not name:
                    raise NoPodToAsk(
                        expected=f"a pod to put in the place of {placeholder}",
                        seen="there is none",
                        where=text,
                        remedy="see why the pod was not created: kubectl describe replicaset, or the DaemonSet's events",
                    )
                renamed = renamed.replace(placeholder, name)
        return cls(tuple(shlex.split(renamed)), about, conclude)


def about(text: str) -> str:
    """The part of the installation that a command of the guide looks at.

    Raises:
        KeyError: The guide has no such command.
    """
    return _COMMANDS[text][0]


def conclusion(command: GuideCommand, result: CommandResult) -> Conclusion:
    """The guide's own conclusion from an answer as it was recorded."""
    if result.exit_code != 0:
        return False, f"the command fails with exit code {result.exit_code}: {result.tail(200)}"
    return command.conclude(result.stdout)


_COMMANDS: dict[str, tuple[str, Conclude]] = {
    "kubectl get pods -n istio-system": ("istio", conclude_pods),
    "tctl get token/istio-tbot-k8s-join": ("resources", conclude_resource),
    "tctl get role/istio-workload-identity-issuer": ("resources", conclude_resource),
    "tctl get workload_identity/istio-workloads": ("resources", conclude_resource),
    "kubectl get pods -n teleport-system": ("tbot", conclude_pods),
    "kubectl logs -n teleport-system <pod-name>": ("tbot", conclude_log),
    "kubectl get pods -n test-app": ("app", conclude_pods),
    "kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/": (
        "app",
        conclude_listing,
    ),
    "kubectl logs -n test-app $POD_NAME -c istio-proxy": ("app", conclude_proxy_log),
}
