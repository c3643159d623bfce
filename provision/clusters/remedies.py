"""What to try, by the words of Docker and of those who call it."""

from __future__ import annotations

START_DOCKER = "start Docker (on Debian, as root: make lab does), or give this user access to it"
FIND_IMAGES = "see what `conformance images` lists; where no registry can be reached, build the lab: make lab"

_BY_WORDS = (
    (("port is already allocated", "address already in use"), "free the port that is named, then do it again"),
    (("Cannot connect to the Docker daemon", "docker ps"), START_DOCKER),
    (
        ("no space left on device",),
        "free disk space there, or where Docker keeps its data; docker system df tells what takes it",
    ),
    (("failed to pull image", "images/create"), FIND_IMAGES),
    (
        # A node's systemd that gets no inotify instance of its own ends without the line that kind waits for.
        ("could not find a log line that matches",),
        "raise fs.inotify.max_user_instances if other clusters run here (sysctl), or remove one of them",
    ),
    (("is already in progress",), "wait a moment, then do it again"),
)


def remedy_for(said: str, *, otherwise: str) -> str:
    """What a person should try.

    Args:
        said: Words of Docker or kind.
        otherwise: What to try where they are of no known kind.
    """
    return next((remedy for words, remedy in _BY_WORDS if any(word in said for word in words)), otherwise)
