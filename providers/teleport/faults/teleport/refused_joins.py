"""Faults of the join token where tbot on one node had to join again.

It is in CrashLoopBackOff, as the guide's chapter has it, and its log has Teleport's answer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from providers.teleport.faults.tbot.pod_template import CUT_OFF
from providers.teleport.faults.tbot.way_to_teleport import has_to_join_again
from providers.teleport.faults.teleport import resources
from provision.faults import reach
from provision.faults.fault import Fault, Operator, Scene, by_name

_OF_RESOURCES = by_name(resources.FAULTS)


def _injected(of_token: Fault, scene: Scene) -> AbstractContextManager[Operator | None]:
    return has_to_join_again(scene, scene.nodes()[0], of_token.inject(scene))


def _at_a_join(of: str, description: str, *, by_session: bool = False) -> Fault:
    """Return a fault of the join token after which tbot on one node had to join again.

    Args:
        of: Name of the fault of the join token.
        description: What the operator did, as a sentence.
        by_session: What Teleport says to a tbot that it refuses for this is not documented, so tbot's log cannot tell.
    """
    of_token = _OF_RESOURCES[of]
    return Fault(
        name=f"{of}-at-a-join",
        description=description,
        cause=of_token.cause,
        touches=f"{of_token.touches}; tbot's pod on one node",
        undo="The suite creates the resource again as the manifest has it, replaces tbot's pod, and waits until every Envoy"
        " has its streams again.",
        breaks=of_token.breaks | {"INST-13", "INST-14", "CHK-5"} | CUT_OFF,
        reach=of_token.reach | reach.TBOT | reach.INJECTED_PODS,
        by_session=by_session,
        inject=partial(_injected, of_token),
    )


FAULTS = (
    _at_a_join(
        "jwks-of-another-cluster",
        "The join token holds keys that this cluster does not sign with, and tbot on one node had to join again.",
    ),
    _at_a_join(
        "placeholder-in-the-token",
        "The join token has the placeholder of its template in place of keys, and tbot on one node had to join again.",
    ),
    _at_a_join(
        "token-for-another-service-account",
        "The join token allows another service account than tbot's, and tbot on one node had to join again.",
    ),
    _at_a_join(
        "token-removed",
        "Teleport no longer has the join token, and tbot on one node had to join again.",
    ),
    _at_a_join(
        "token-for-a-missing-bot",
        "The join token names a bot that does not exist, as in the guide, and tbot on one node had to join again.",
        by_session=True,
    ),
)
