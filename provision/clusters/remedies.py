"""Remedies for the error messages of Docker and of the programs that use it."""

from __future__ import annotations

START_DOCKER = "start Docker (on Debian, as root: make lab does), or give this user access to it"
FIND_IMAGES = "compare with the list of `conformance images`; where no registry can be reached, build the lab: make lab"

_BY_WORDS = (
    (("port is already allocated", "address already in use"), "free the port that the message names, then try again"),
    (("Cannot connect to the Docker daemon", "docker ps"), START_DOCKER),
    (
        ("no space left on device",),
        "free disk space there, or where Docker keeps its data; docker system df shows what uses it",
    ),
    (("failed to pull image", "images/create"), FIND_IMAGES),
    (
        # The systemd of a node that gets no inotify instance exits without the line that kind waits for.
        ("could not find a log line that matches",),
        "raise fs.inotify.max_user_instances if other clusters run here (sysctl), or remove one of them",
    ),
    (("is already in progress",), "wait a moment, then try again"),
)


def remedy_for(said: str, *, otherwise: str) -> str:
    """Return the remedy for an error message.

    Args:
        said: Message of Docker or kind.
        otherwise: Remedy for an unknown message.
    """
    return next((remedy for words, remedy in _BY_WORDS if any(word in said for word in words)), otherwise)
