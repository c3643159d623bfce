"""Faults of the git repository that has the template of the join token; each is made in a directory of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from facts.kubernetes.jwks import LITERAL_PLACEHOLDER
from observe.command import must_run
from provision.faults.fault import Operator, Scene
from provision.render import MANIFESTS

TEMPLATE = MANIFESTS / "istio-tbot-token.yaml.template"
FILLED = "istio-tbot-token.yaml"
KEYS = '{"keys":[{"use":"sig","kty":"RSA","kid":"of-a-cluster","alg":"RS256","n":"%s","e":"AQAB"}]}' % ("AQAB" * 16)
"""A key set as an API server publishes it, with a key that signs nothing."""

_AUTHOR = ("-c", "user.name=operator", "-c", "user.email=operator@example.org", "-c", "commit.gpgsign=false")


def make_repository(directory: Path, *, ignores: bool = True) -> None:
    """Make a git repository that has the template of the join token and, where `ignores`, ignores the filled-in file."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "--quiet")
    (directory / TEMPLATE.name).write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    (directory / ".gitignore").write_text(f"{FILLED}\n" if ignores else "*.log\n", encoding="utf-8")
    commit(directory, "Install Istio with Teleport")


def fill_in(directory: Path) -> None:
    """Make the filled-in file from the template, as the guide's step 4 does."""
    template = (directory / TEMPLATE.name).read_text(encoding="utf-8")
    (directory / FILLED).write_text(template.replace(LITERAL_PLACEHOLDER, KEYS), encoding="utf-8")


def commit(directory: Path, subject: str) -> None:
    """Commit everything that git does not ignore."""
    git(directory, "add", "--all")
    git(directory, *_AUTHOR, "commit", "--quiet", "--message", subject)


def git(directory: Path, *words: str) -> None:
    """Run a command of git.

    Raises:
        CouldNotTell: It failed.
    """
    must_run(["git", "-C", directory, *words], timeout=30)


def _not_ignored(directory: Path) -> None:
    make_repository(directory, ignores=False)
    fill_in(directory)


def _committed_once(directory: Path) -> None:
    """Commit the filled-in file, and take it away again: it stays in the history."""
    _not_ignored(directory)
    commit(directory, "Add the token")
    (directory / FILLED).unlink()
    (directory / ".gitignore").write_text(f"{FILLED}\n", encoding="utf-8")
    commit(directory, "Remove the token")


@contextmanager
def _made(scene: Scene, make: Callable[[Path], None]) -> Iterator[Operator]:
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="repository-") as directory:
        make(Path(directory))
        yield replace(scene.operator, repository=Path(directory))


def not_ignored(scene: Scene) -> AbstractContextManager[Operator]:
    """Use a repository that does not ignore the filled-in join token, which lies there."""
    return _made(scene, _not_ignored)


def committed_once(scene: Scene) -> AbstractContextManager[Operator]:
    """Use a repository into which the filled-in join token was committed."""
    return _made(scene, _committed_once)
