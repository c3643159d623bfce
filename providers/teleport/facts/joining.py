"""A tbot beside what its configuration names to join with, as Teleport has it."""

from __future__ import annotations

from dataclasses import dataclass

from facts.document import Absent
from facts.evidence import readings
from providers.teleport.facts.resources import Bot, JoinToken
from providers.teleport.facts.tbot import Tbot


@dataclass(frozen=True, slots=True)
class Joining:
    """A tbot, its join token and its bot.

    Attributes:
        token: The token that its configuration names; None without an admin session.
        bot: The bot that the token is for; None without an admin session.
        others: Other tbots that join with the same token.
    """

    tbot: Tbot
    token: JoinToken | Absent | None = None
    bot: Bot | Absent | None = None
    others: tuple[Tbot, ...] = ()

    @property
    def accounts(self) -> tuple[str, ...]:
        """Service accounts of the tbots that join with the token, as ``namespace:name``."""
        return tuple(dict.fromkeys(tbot.service_account for tbot in (self.tbot, *self.others)))

    @property
    def kubernetes_type(self) -> str:
        """Type of the Kubernetes join: empty where it is not known, the guide's ``static_jwks`` where there is no token."""
        if self.token is None:
            return ""
        return "static_jwks" if isinstance(self.token, Absent) else self.token.kubernetes_type

    @property
    def known_token(self) -> JoinToken | Absent:
        """The token.

        Raises:
            LookupError: It was read without an admin session.
        """
        if self.token is None:
            raise LookupError("the join token was not read")
        return self.token

    @property
    def known_bot(self) -> Bot | Absent:
        """The bot.

        Raises:
            LookupError: It was read without an admin session.
        """
        if self.bot is None:
            raise LookupError("the bot was not read")
        return self.bot

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""
        return readings(self.tbot, self.token, self.bot, *self.others)
