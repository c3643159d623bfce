"""All join tokens of a Teleport cluster: what each lets in, and until when. Source: Teleport's reference of join tokens.

The name of a token may be all that a stranger needs to join, and most of the list concerns other people. So no name is kept
but those that tbot's own configuration shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, ListOf, Many, Read, Text, mask_of, read
from facts.document import damaged, when
from facts.masks import JOIN_NAME, LEAF, NAME, Fields, Items, KnownNames, Mask, keeps
from providers.teleport.facts.resources import KubernetesRule

_WHERE = "tctl get token"

_NO_END = 1970
"""Year up to which a time is none: programs in Go write their zero times where nothing was set."""


def _end(text: str) -> datetime | None:
    moment = when(text, "") if text else None
    return moment if moment is not None and moment.year > _NO_END else None


@dataclass(frozen=True, slots=True)
class ListedToken(Declared):
    """One of all join tokens.

    Attributes:
        name: Its name where tbot's configuration shows it, else a mark.
        join_method: E.g. ``kubernetes``; ``token`` where none is given.
        bot_name: The bot that it lets in as; empty for tokens of other systems.
        allow: Service accounts as ``namespace:name``, of method kubernetes.
        expires: UTC; None for never.
    """

    name: Annotated[str, At("metadata.name"), JOIN_NAME]
    join_method: Annotated[str, Field(default="token"), At("spec.join_method")]
    bot_name: Annotated[Text, At("spec.bot_name"), NAME]
    allow: Annotated[
        Many[str],
        At("spec.kubernetes.allow"),
        Read(ListOf[KubernetesRule], lambda rules: tuple(rule.service_account for rule in rules)),
    ]
    expires: Annotated[datetime | None, Field(default=None), At("metadata.expires"), Read(str, _end)]


@dataclass(frozen=True, slots=True)
class JoinTokens:
    """All join tokens.

    Attributes:
        tokens: In Teleport's order.
        evidence: Ids of the readings.
    """

    tokens: tuple[ListedToken, ...]
    evidence: tuple[str, ...]


def listing(known: Collection[str] = ()) -> Mask:
    """The mask of the list, with the names that tbot's configuration shows."""
    names = Fields({"metadata": Fields({"name": KnownNames(frozenset(known))})})
    return Items(Fields({"kind": LEAF}).merged(names).merged(mask_of(ListedToken)))


@keeps(listing())
def parse_join_tokens(document: Any, evidence: tuple[str, ...] = ()) -> JoinTokens:
    """Reads all token resources of ``tctl get token --format=json``.

    Raises:
        CouldNotTell: It is no list, or a token in it is damaged.
    """
    if not isinstance(document, list):
        raise damaged("a list of token resources", type(document).__name__, _WHERE)
    return JoinTokens(tuple(read(ListedToken, entry, _WHERE) for entry in document), evidence)
