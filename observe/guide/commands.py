"""The guide's own read commands, a fixed list, with the conclusion that a person who follows the guide draws from each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from facts.errors import CouldNotTell
from facts.masks import lines
from observe.command import CommandResult
from settings import Names

FOUND = "Existing workload SDS socket found"
FILE_MOUNTED = "Workload is using file mounted certificates"


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
    conclude: Callable[[str], tuple[bool, str]]

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


def conclusion(command: GuideCommand, result: CommandResult) -> tuple[bool, str]:
    """The guide's own conclusion from an answer: healthy or not, and the sentence that says so."""
    if result.exit_code != 0:
        return False, f"the command fails with exit code {result.exit_code}: {result.tail(200)}"
    return command.conclude(result.stdout)


def _pods(table: str) -> tuple[bool, str]:
    rows = [line.split() for line in lines(table)[1:] if line.strip()]
    if not rows:
        return False, "there is no pod"
    bad = [r[0] for r in rows if r[2] != "Running" or len(set(r[1].split("/"))) != 1]
    if bad:
        return False, f"not Running or not ready: {', '.join(bad)}"
    return True, f"all {len(rows)} pods are Running and ready ({', '.join(sorted({r[1] for r in rows}))})"


def _exists(_answer: str) -> tuple[bool, str]:
    return True, "the command succeeds, so it was created"


def _quiet(log: str) -> tuple[bool, str]:
    bad = [line for line in lines(log) if re.search(r"\bERROR?\b|\"level\":\s*\"error\"", line)]
    return (not bad), f"the log has {len(bad)} errors" if bad else "the log shows no errors"


def _listed(listing: str) -> tuple[bool, str]:
    there = any(line.startswith("s") for line in lines(listing))
    return there, "a socket is listed" if there else "no socket is listed"


def _both_lines(log: str) -> tuple[bool, str]:
    found = [line for line in (FOUND, FILE_MOUNTED) if line in log]
    if len(found) == 2:
        return True, "both log lines are printed"
    return False, f"of the two log lines, {'only ' + repr(found[0]) if found else 'none'} is printed"


_COMMANDS: dict[str, tuple[str, Callable[[str], tuple[bool, str]]]] = {
    "kubectl get pods -n istio-system": ("istio", _pods),
    "tctl get token/istio-tbot-k8s-join": ("resources", _exists),
    "tctl get role/istio-workload-identity-issuer": ("resources", _exists),
    "tctl get workload_identity/istio-workloads": ("resources", _exists),
    "kubectl get pods -n teleport-system": ("tbot", _pods),
    "kubectl logs -n teleport-system <pod-name>": ("tbot", _quiet),
    "kubectl get pods -n test-app": ("app", _pods),
    "kubectl exec -n test-app $POD_NAME -c istio-proxy -- ls -la /var/run/secrets/workload-spiffe-uds/": ("app", _listed),
    "kubectl logs -n test-app $POD_NAME -c istio-proxy": ("app", _both_lines),
}
