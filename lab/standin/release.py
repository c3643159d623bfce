"""Which release of Teleport the stand-in behaves as."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass

from lab.standin.failure import Kind, Refusal

DEFAULT = "18.6.4"
ENVIRONMENT = "STANDIN_VERSION"
NOTICE = "stand-in for Teleport, not Teleport itself"


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A release number of Teleport, compared as numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def resends_old_svid(self) -> bool:
        """Whether SDS pushes the SVID it already has when the renewal timer fires, instead of a new one.

        Introduced with federation support, fixed in 17.7.14 and 18.6.4 (gravitational/teleport#62813).
        """
        return self < Release(17, 7, 14) or Release(18, 0, 0) <= self < Release(18, 6, 4)

    @property
    def refuses_unknown_keys(self) -> bool:
        """Whether tbot refuses keys that it does not know; later releases ignore them without a word."""
        return self < Release(17, 2, 0)

    @property
    def migrates_first_version(self) -> bool:
        """Whether tbot takes a configuration of version 1, to which a missing version amounts, and drops its services."""
        return self < Release(19, 0, 0)

    @property
    def audits_attributes(self) -> bool:
        """Whether the audit event of an SVID has the attributes that it was issued for (gravitational/teleport#53016)."""
        return self >= Release(17, 5, 0)

    @property
    def writes_protobuf_json(self) -> bool:
        """Whether bot instances are printed with RFC 3339 times, not seconds and nanos (gravitational/teleport#55163)."""
        return self >= Release(17, 5, 0)

    @property
    def names_bot_before_user(self) -> bool:
        """Whether the error for a missing bot has a layer of its own around the one about the bot's user."""
        return self >= Release(19, 0, 0)


def current() -> Release:
    """The release named by the environment variable ``STANDIN_VERSION``, by default the first 18.x with the SDS fix.

    Raises:
        Refusal: the variable is not of the form ``X.Y.Z``.
    """
    text = os.environ.get(ENVIRONMENT, DEFAULT)
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text)
    if match is None:
        raise Refusal(Kind.BAD_PARAMETER, f"{ENVIRONMENT} must name a release such as {DEFAULT}, it is {text!r}")
    return Release(*(int(part) for part in match.groups()))


def banner(release: Release) -> str:
    """The line that ``version`` prints, in Teleport's shape."""
    return f"Teleport v{release} git:stand-in python{platform.python_version()} ({NOTICE})"
