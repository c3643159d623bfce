"""The join token's file in a git repository: whether git ignores it, and whether a filled-in one is in the history.

Every parser takes what a command of git printed: paths and commits, never the content of a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from facts.document import damaged
from facts.masks import TEXT, keeps, lines
from facts.redaction import beginning

_IN_THE_REPOSITORY = re.compile(r"(?:[^/].*/)?\.gitignore:\d+:", re.DOTALL)
"""A rule of a file in the repository. All others are of one clone or person: git names their files in several ways."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that adds or changes files.

    Attributes:
        id: Its hash, 40 hexadecimal digits or more.
        files: Paths of those files, as git prints them.
    """

    id: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenRepository:
    """What git says about the join token's file.

    Attributes:
        where: Path of the repository, as it was given.
        is_shallow: The clone lacks a part of the history.
        templates: Tracked files with the template's name.
        ignored_by: By each path where the filled-in file belongs, the rule that ignores it, as ``FILE:LINE:PATTERN``; empty
            where git would add the file.
        tracked: Tracked files with the filled-in file's name, or with that of a copy such as ``.bak``.
        lying_there: Files of that kind that git neither tracks nor ignores.
        committed: Commits that add or change such files.
        filled_templates: Commits that bring a key into a template, or take one out.
        keys_elsewhere: Commits that bring a join token with keys into any YAML or JSON file, or take one out.
        private_keys: The same with private keys.
        at_most: Number of commits of each kind that were asked for; there may be more.
        evidence: Ids of the readings.
    """

    where: str
    is_shallow: bool
    templates: tuple[str, ...]
    ignored_by: Mapping[str, str]
    tracked: tuple[str, ...]
    lying_there: tuple[str, ...]
    committed: tuple[Commit, ...]
    filled_templates: tuple[Commit, ...]
    keys_elsewhere: tuple[Commit, ...]
    private_keys: tuple[Commit, ...]
    at_most: int
    evidence: tuple[str, ...]


@keeps(TEXT)
def parse_paths(text: str) -> tuple[str, ...]:
    """Reads one path a line."""
    return tuple(_unquoted(line) for line in lines(text) if line)


@keeps(TEXT)
def parse_shallow(text: str) -> bool:
    """Reads the answer of ``git rev-parse --is-shallow-repository``.

    Raises:
        CouldNotTell: It is neither true nor false.
    """
    said = text.strip()
    if said not in ("true", "false"):
        raise damaged("true or false", beginning(repr(said), 80), "git rev-parse --is-shallow-repository")
    return said == "true"


@keeps(TEXT)
def parse_ignored(text: str) -> Mapping[str, str]:
    """Reads the answer of ``git check-ignore --verbose --non-matching``: by path the rule, or an empty text.

    Raises:
        CouldNotTell: A line of it is damaged.
    """
    found = {}
    for line in filter(None, lines(text)):
        rule, tab, path = line.rpartition("\t")
        parts = _RULE.fullmatch(rule)
        if not tab or not parts:
            raise damaged("a rule, a tab and a path", beginning(repr(line), 80), "git check-ignore")
        source, number, pattern = parts.groups()
        # A pattern with an exclamation mark takes the path out again.
        is_out = not pattern or pattern.startswith("!")
        found[_unquoted(path)] = "" if is_out else f"{_unquoted(source)}:{number}:{pattern}"
    return found


_COMMIT = re.compile(r"commit ([0-9a-f]{40,64})")


@keeps(TEXT)
def parse_commits(text: str) -> tuple[Commit, ...]:
    """Reads the answer of ``git log --name-only --format='commit %H'``; a merge counts once, with the files of all parents.

    Raises:
        CouldNotTell: A path stands before the first commit.
    """
    found: dict[str, dict[str, None]] = {}
    current: dict[str, None] | None = None
    for line in filter(None, lines(text)):
        if commit := _COMMIT.fullmatch(line):
            current = found.setdefault(commit[1], {})
        elif current is None:
            raise damaged("a commit", beginning(repr(line), 80), "git log")
        else:
            current[_unquoted(line)] = None
    return tuple(Commit(commit, tuple(files)) for commit, files in found.items())


def only_of(commits: Iterable[Commit], files: Collection[str]) -> tuple[Commit, ...]:
    """The commits that add or change some files, each with these of its files alone."""
    left = (Commit(commit.id, tuple(file for file in commit.files if file in files)) for commit in commits)
    return tuple(commit for commit in left if commit.files)


def is_of_every_clone(rule: str) -> bool:
    """Tell whether a rule, as ``FILE:LINE:PATTERN``, is of a file that belongs to the repository."""
    return _IN_THE_REPOSITORY.match(rule) is not None


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_RULE = re.compile(rf"({_QUOTED.pattern}|.*?):(\d*):(.*)")
_ESCAPED = re.compile(r"\\(?:([0-7]{3})|(.))")
_CONTROL = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def _unquoted(path: str) -> str:
    """A path as it is: git quotes one with quotes, backslashes or control characters as C does."""
    if not _QUOTED.fullmatch(path):
        return path
    return _ESCAPED.sub(lambda m: chr(int(m[1], 8)) if m[1] else _CONTROL.get(m[2], m[2]), path[1:-1])
