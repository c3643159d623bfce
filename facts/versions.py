"""Versions as these programs write them: ``v1.34.4``, ``1.31.0-lab``, ``18.9.0-rc.2``, ``v1.34.4+k3s1``, ``1.31``.

Semantic Versioning 2.0.0 decides the order; a missing patch counts as 0 and a leading v is allowed, since image tags and
kubelets write them so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from facts.document import damaged, need
from facts.masks import TEXT, Fields, keeps, only
from facts.redaction import beginning

_VERSION = re.compile(
    r"v?(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)(?:\.(?P<patch>0|[1-9]\d*))?"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+(?P<build>[0-9A-Za-z.-]+))?"
)

_PRERELEASE = re.compile(r"(?:pre|alpha|beta|rc|dev)", re.IGNORECASE)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version; two that differ only in their build are equal.

    Attributes:
        major: First number.
        minor: Second number.
        patch: Third number, 0 where it was not written.
        pre: Pre-release, e.g. ``rc.2``; empty for a release.
        build: Build metadata; plays no part in the order.
    """

    major: int
    minor: int
    patch: int = 0
    pre: str = ""
    build: str = ""

    @classmethod
    def parse(cls, text: str, where: str = "a version") -> Version:
        """Reads a version.

        Args:
            text: As a program wrote it.
            where: Where it was read, for the message.

        Raises:
            CouldNotTell: It is not a version, such as a floating tag (``18``, ``latest``).
        """
        found = _VERSION.fullmatch(text.strip())
        if not found:
            raise damaged("a version such as 1.31.0", repr(text), where)
        return cls(
            int(found["major"]), int(found["minor"]), int(found["patch"] or 0), found["pre"] or "", found["build"] or ""
        )

    @property
    def release(self) -> Version:
        """The same without pre-release and build: ``1.31.0-lab`` has what 1.31.0 has."""
        return Version(self.major, self.minor, self.patch)

    @property
    def stands_for(self) -> Version:
        """The version to compare with: a pre-release stands for itself, a variant (``1.28.0-solo``) for its release."""
        return self if _PRERELEASE.match(self.pre) else self.release

    def _key(self) -> tuple[object, ...]:
        # A pre-release sorts before its release; numeric identifiers sort before words and by number.
        identifiers = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre.split(".")) if self.pre else ()
        return (self.major, self.minor, self.patch, not self.pre, identifiers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        pre, build = f"-{self.pre}" if self.pre else "", f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A command-line tool that was asked for its version.

    Attributes:
        name: ``kubectl``, ``istioctl`` or ``tctl``.
        version: As it says.
        evidence: Ids of the readings.
    """

    name: str
    version: Version
    evidence: tuple[str, ...] = ()


@keeps(only("gitVersion"))
def parse_server_version(document: Any) -> Version:
    """Reads the API server's ``/version``.

    Raises:
        CouldNotTell: It does not name the version.
    """
    return Version.parse(need(document, "gitVersion", str, "/version"), "/version")


@keeps(Fields({"clientVersion": only("gitVersion")}))
def parse_kubectl_version(document: Any) -> Version:
    """Reads ``kubectl version --client -o json``.

    Raises:
        CouldNotTell: It does not name the client's version.
    """
    return Version.parse(need(document, "clientVersion.gitVersion", str, "kubectl version"), "kubectl version")


@keeps(Fields({"clientVersion": only("version")}))
def parse_istioctl_version(document: Any) -> Version:
    """Reads ``istioctl version --remote=false -o json``.

    Raises:
        CouldNotTell: It does not name the client's version.
    """
    return Version.parse(need(document, "clientVersion.version", str, "istioctl version"), "istioctl version")


@keeps(TEXT)
def parse_tctl_version(text: str) -> Version:
    """Reads ``tctl version``: ``Teleport v18.6.4 git:… go1.24.7``.

    Raises:
        CouldNotTell: It does not name the version.
    """
    found = re.search(r"\bv?(\d+\.\d+\.\d+\S*)", text)
    if not found:
        raise damaged("Teleport and a version", repr(beginning(text, 80)), "tctl version")
    return Version.parse(found[1], "tctl version")
