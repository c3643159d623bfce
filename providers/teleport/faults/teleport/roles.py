"""Faults in what tbot's bot may do at Teleport: the bot, its roles, and what these select."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from provision.faults import reach
from provision.faults.changes import Document
from provision.faults.fault import Fault, Scene
from provision.faults.recreated import CREATED_AGAIN, beside, of_manifest, with_field

BOT, ROLE, IDENTITY = "teleport-bot.yaml", "teleport-bot-role.yaml", "teleport-workload-identity.yaml"
LABELS, RULES = "allow.workload_identity_labels", "allow.rules"
IDENTITY_BESIDE = "payments"
ROLE_NAME = "istio-workload-identity-issuer"
MISSPELT_ROLE = "istio-workload-identity-isuer"
SECOND_ROLE = "payments-issuer"


def _manifest(scene: Scene, file: str) -> Document:
    (document,) = scene.installation.variant.documents(file, {})
    return document


def _identity_beside(scene: Scene) -> AbstractContextManager[None]:
    """Create a workload identity that has the labels of the mesh's and is not tbot's, and delete it afterwards."""
    sound = _manifest(scene, IDENTITY)
    return beside(scene, {**sound, "metadata": {**sound["metadata"], "name": IDENTITY_BESIDE}})


@contextmanager
def _second_role(scene: Scene) -> Iterator[None]:
    """Give the bot a second role, for workload identities of another team, and take both away afterwards."""
    second = with_field(LABELS, {"team": ["payments"]})(with_field(RULES, [])(_manifest(scene, ROLE)))
    second["metadata"]["name"] = SECOND_ROLE
    with beside(scene, second), of_manifest(BOT, with_field("roles", [ROLE_NAME, SECOND_ROLE]))(scene):
        yield


def _verbs(*verbs: str) -> list[Document]:
    """Return the rules of a role that has these verbs on workload identities."""
    return [{"resources": ["workload_identity"], "verbs": [*verbs]}]


_bot_fault = partial(Fault, touches="Teleport bot/istio-tbot", undo=CREATED_AGAIN)
_role_fault = partial(Fault, touches=f"Teleport role/{ROLE_NAME}", undo=CREATED_AGAIN, reach=reach.TELEPORT)

FAULTS = (
    _bot_fault(
        name="role-taken-from-bot",
        description="The bot has lost its role: Teleport issues no identity, and tbot's log stays clean.",
        cause="bot-without-role",
        breaks=frozenset({"INST-10", "INST-14", "CHK-2"}),
        reach=reach.TELEPORT | reach.TBOT,
        inject=of_manifest(BOT, with_field("roles", [])),
    ),
    _bot_fault(
        name="bot-with-a-second-role",
        description="The bot also has a role for the workload identities of another team, so tbot's credentials on every"
        " node can issue these as well.",
        cause="bot-has-other-roles",
        touches=f"Teleport bot/istio-tbot and role/{SECOND_ROLE}",
        undo=f"{CREATED_AGAIN[:-1]} and removes the second role.",
        breaks=frozenset({"INST-11"}),
        reach=reach.TELEPORT,
        inject=_second_role,
    ),
    _bot_fault(
        name="role-misspelt-in-bot",
        description="The bot names a role that does not exist: Teleport issues no identity, and tbot's log stays clean.",
        cause="role-missing",
        breaks=frozenset({"INST-11", "INST-14", "CHK-3"}),
        reach=reach.TELEPORT | reach.TBOT,
        inject=of_manifest(BOT, with_field("roles", [MISSPELT_ROLE])),
    ),
    _role_fault(
        name="role-for-every-label",
        description="The role matches workload identities by the label *.",
        cause="role-too-wide",
        breaks=frozenset({"INST-11", "CHK-3"}),
        inject=of_manifest(ROLE, with_field(LABELS, {"*": ["*"]})),
    ),
    Fault(
        name="role-for-another-identity",
        description="Another workload identity has the label that the role selects by, so the bot may issue it as well.",
        cause="role-too-wide",
        touches=f"Teleport workload_identity/{IDENTITY_BESIDE}",
        undo="The suite removes that workload identity.",
        breaks=frozenset({"INST-11", "CHK-3"}),
        reach=reach.TELEPORT,
        inject=_identity_beside,
    ),
    _role_fault(
        name="role-with-older-spiffe-rules",
        description="The role also has allow.spiffe, with which the older SPIFFE service issues any ID.",
        cause="role-too-wide",
        breaks=frozenset({"INST-11", "CHK-3"}),
        inject=of_manifest(ROLE, with_field("allow.spiffe", [{"path": "/*"}])),
    ),
    _role_fault(
        name="role-for-production",
        description="The role matches env: prod, and the workload identity is env: dev: Teleport issues no identity.",
        cause="role-matches-nothing",
        breaks=frozenset({"INST-11", "INST-14", "CHK-3"}),
        inject=of_manifest(ROLE, with_field(LABELS, {"env": ["prod"]})),
    ),
    _role_fault(
        name="role-without-read",
        description="The role may list workload identities and not read them: Teleport issues no identity.",
        cause="role-rules-wrong",
        breaks=frozenset({"INST-11", "INST-14", "CHK-3"}),
        inject=of_manifest(ROLE, with_field(RULES, _verbs("list"))),
    ),
    _role_fault(
        name="role-that-may-change-identities",
        description="The role may also change workload identities, so whoever has tbot's credentials can choose the SPIFFE"
        " IDs that Teleport issues.",
        cause="role-rules-wrong",
        breaks=frozenset({"INST-11", "CHK-3"}),
        inject=of_manifest(ROLE, with_field(RULES, _verbs("list", "read", "create", "update"))),
    ),
)
