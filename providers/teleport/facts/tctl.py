"""The words in which tctl and tbot say that they failed. They differ by kind of resource and by release.

Outside Windows both color the prefix ``ERROR:``, whether a terminal reads it or not. The layers of an error follow, the
outermost first: each on a line of its own and one tab further in. Sources: ``tests/data/teleport/README.md``.
"""

from __future__ import annotations

import re

from facts.document import plain
from facts.masks import lines

# No error of Teleport has nearly as many layers.
_ERROR = re.compile(r"^ERROR: .*(?:\n\t.*){0,50}", re.MULTILINE)
_ABSENT = re.compile(r"(?:not found|doesn't exist|does not exist)$")
# The name of a token is a secret, so Teleport hides all but its end.
_MASKED = re.compile(r"\(\*+([^(]*)\)")
_DENIED = "access denied"
_NOT_CREATED = re.compile(rf"already exists|already registered|{_DENIED}")
_WANTS_MFA = re.compile(r"\bMFA\b|multi-?factor|webauthn", re.IGNORECASE)
_SESSION_ENDED = re.compile(r"expired|not logged in|credentials|certificate has|re-?login", re.IGNORECASE)


def layers(said: str) -> tuple[str, ...]:
    """The messages of an error, outermost first; none where the text is no error of Teleport's programs.

    Args:
        said: Standard error, or a log.
    """
    found = _ERROR.search(plain(said))
    return tuple(line.strip() for line in lines(found[0].removeprefix("ERROR: "))) if found else ()


def says_absent(said: str, name: str) -> bool:
    """Tell whether an error says that the resource of this name does not exist.

    The innermost message decides, and must be about the resource: Docker, kubectl and shells also say `not found`, and so
    does Teleport of the user who asks.

    Args:
        said: Standard error of tctl.
        name: Name of the resource, without its kind.
    """
    innermost = (layers(said) or ("",))[-1]
    if not _ABSENT.search(innermost):
        return False
    masked = _MASKED.search(innermost)
    return name.endswith(masked[1]) if masked else name in innermost


def says_not_created(said: str) -> bool:
    """Tell whether an error says that tctl certainly did not create a resource: it exists, or tctl may not."""
    return any(_NOT_CREATED.search(layer) for layer in layers(said))


def says_denied(said: str) -> bool:
    """Tell whether an error says that the session's roles do not allow the command."""
    return any(_DENIED in layer for layer in layers(said))


def says_session_ended(said: str) -> bool:
    """Tell whether an error speaks of a session that ended or never began."""
    return not _wants_mfa(said) and bool(_SESSION_ENDED.search(said))


def _wants_mfa(said: str) -> bool:
    return bool(_WANTS_MFA.search(plain(said)))


def remedy_for(said: str, otherwise: str) -> str:
    """The next step after an error: for a second factor, for a session that ended, or else the given one.

    Args:
        said: Standard error of tctl.
        otherwise: Next step for any other error.
    """
    if _wants_mfa(said):
        return (
            "Teleport asks for a second factor, which a program cannot give: use the identity of a bot,"
            " `--tctl 'tctl -i IDENTITY_FILE --auth-server HOST:PORT'`, or tctl beside Teleport's Auth Service"
        )
    return "log in again with `tsh login`" if says_session_ended(said) else otherwise
