"""The identity a joined tbot holds: in Teleport a certificate, here a signed bearer token with the same content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from lab.standin import durations
from lab.standin.failure import Kind, Refusal

_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class BotSession:
    """Who is calling.

    Attributes:
        bot: the bot's name.
        instance: id of the bot instance.
        join: what templates and rules see as ``join``.
    """

    bot: str
    instance: str
    join: Mapping[str, Any]


def mint(session: BotSession, key: str, lifetime: timedelta) -> tuple[str, datetime]:
    """A bearer token for ``session`` and the moment it expires."""
    expires = durations.now() + lifetime
    return jwt.encode({"exp": expires, "session": asdict(session)}, key, algorithm=_ALGORITHM), expires


def read(token: str, key: str) -> BotSession:
    """The session behind a bearer token.

    Raises:
        Refusal: it is expired, or not ours.
    """
    try:
        claims = jwt.decode(token, key, algorithms=[_ALGORITHM], options={"require": ["exp"]})
    except jwt.ExpiredSignatureError as error:
        raise Refusal(Kind.ACCESS_DENIED, "the bot's certificate has expired") from error
    except jwt.InvalidTokenError as error:
        raise Refusal(Kind.ACCESS_DENIED, "invalid credentials") from error
    return BotSession(**claims["session"])
