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
