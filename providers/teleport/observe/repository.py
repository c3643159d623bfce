"""Reader of the git repository that has the template of the join token's file.

It runs the read commands below and no others, on the machine of the suite. None of them prints the content of a file, so no
secret reaches evidence. What a repository's own configuration could let git run (a file system monitor, hooks, filters for
text, a signature check, a fetch of missing objects) is switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from observe.command import run
from providers.teleport.facts.token_repository import (
    TokenRepository,
    only_of,
    parse_commits,
    parse_ignored,
    parse_paths,
    parse_shallow,
)
from settings import Hygiene

T = TypeVar("T")

AT_MOST = 50
"""Commits of each kind that are read; one is enough to know."""

_SWITCHED_OFF = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.excludesFile=/dev/null",  # the excludes of one person protect nobody else
    "core.quotePath=false",  # it would write every letter beyond ASCII as a number
    "log.showSignature=false",
    "protocol.allow=never",
)
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

_LOG = (
    "log", "--all", "--full-history", "-m", "--no-renames", "--no-textconv", "--no-ext-diff", "--no-color", "--name-only",
    "--format=commit %H", f"--max-count={AT_MOST}",
)  # fmt: skip
"""Commits of every branch and tag, with the paths that they change; of a merge the paths against each parent."""

KEY = r'"(n|x)\\*" *: *\\*"[A-Za-z0-9_-]{20,}'
"""A public key as a key set has it, in JSON or quoted in another text; its fields may stand in lines of their own."""
JOINS_BY_KEYS = "static_jwks"
"""The field that makes a join token of a file with keys."""
PRIVATE_KEY = "BEGIN [A-Z ]*PRIVATE KEY"
COPIES = (".bak", ".old", ".orig", ".save", "~")
"""Suffixes that ``sed -i.bak`` and editors give a copy; the guide's own command makes one."""
STRUCTURED = ("*.yaml", "*.yaml.*", "*.yml", "*.yml.*", "*.json")
"""Files that a join token may stand in; a search through all files of a long history takes minutes."""


@dataclass(frozen=True, slots=True)
class _Git:
    """Git in one repository."""

    directory: Path
    recorder: Recorder
    timeout: float
    limit: int

    def ask(
        self, parser: Callable[[str], T], *words: str, paths: Sequence[str] = (), answers: Sequence[int] = (0,)
    ) -> tuple[T, tuple[str, ...]]:
        """Run one read command; return its answer, and the ids of the evidence.

        Raises:
            CouldNotTell: Git cannot answer, or takes too long.
        """
        options = [word for each in _SWITCHED_OFF for word in ("-c", each)]
        argv = ["git", "--no-pager", *options, "-C", str(self.directory), *words, *(("--", *paths) if paths else ())]
        done = run(argv, timeout=self.timeout, env=_ENVIRONMENT, limit=self.limit)
        shown = " ".join(["git", "-C", str(self.directory), *words, *(("--", *paths) if paths else ())])
        if done.exit_code not in answers:
            raise CouldNotTell(
                expected="git to read the repository",
                seen=f"exit code {done.exit_code}: {done.tail()}",
                where=shown,
                remedy="name the directory of a git repository in conformance.toml: `[hygiene]`, `repository`",
            )
        subject = ObjectRef("Repository", str(self.directory))
        recorded = done.recorded(self.recorder, subject, parser=parser, shown_as=shown)
        return parser(recorded.stdout), recorded.evidence


def read_token_repository(
    directory: Path, names: Hygiene, recorder: Recorder, *, timeout: float, limit: int
) -> TokenRepository:
    """Read what git says about the join token's file.

    Args:
        directory: A directory of the repository.
        names: Names of the file and of its template.
        recorder: Keeps the readings.
        timeout: Seconds for each command.
        limit: Bytes of the output of each command.

    Raises:
        CouldNotTell: Git is not installed, cannot answer, or takes too long.
    """
    (top,), seen = _Git(directory, recorder, timeout, limit).ask(parse_paths, "rev-parse", "--show-toplevel")
    git, evidence = _Git(Path(top), recorder, timeout, limit), [*seen]

    def ask(parser: Callable[[str], T], *words: str, paths: Sequence[str] = (), answers: Sequence[int] = (0,)) -> T:
        found, ids = git.ask(parser, *words, paths=paths, answers=answers)
        evidence.extend(ids)
        return found

    template = _anywhere(names.token_template)
    filled = [
        *_anywhere(*(names.token_file + suffix for suffix in ("", *COPIES))),
        f":(top,exclude,glob)**/{names.token_template}",
    ]
    templates = ask(parse_paths, "ls-files", paths=template)
    belongs = [str(PurePosixPath(each).with_name(names.token_file)) for each in templates] or [names.token_file]
    # Only of files that have keys, since the other searches end at some number of commits.
    with_keys = ask(parse_commits, *_LOG, "-E", "-G", KEY, paths=_anywhere(*STRUCTURED))
    named = [f":(top,literal){path}" for path in dict.fromkeys(path for each in with_keys for path in each.files)]
    every = "--max-count=-1"
    join_tokens = ask(parse_commits, *_LOG, every, "-G", JOINS_BY_KEYS, paths=named) if named else ()
    shallow = ask(parse_shallow, "rev-parse", "--is-shallow-repository")
    # Exit code 1: no path is ignored.
    ignored = ask(parse_ignored, "check-ignore", "--verbose", "--non-matching", "--no-index", paths=belongs, answers=(0, 1))
    return TokenRepository(
        where=str(directory),
        is_shallow=shallow,
        templates=templates,
        ignored_by={path: ignored.get(path, "") for path in belongs},
        tracked=ask(parse_paths, "ls-files", paths=filled),
        lying_there=ask(parse_paths, "ls-files", "--others", "--exclude-standard", paths=filled),
        committed=ask(parse_commits, *_LOG, "--diff-filter=AM", paths=filled),
        filled_templates=ask(parse_commits, *_LOG, "-E", "-G", KEY, paths=template),
        keys_elsewhere=only_of(with_keys, {path for each in join_tokens for path in each.files}),
        private_keys=ask(parse_commits, *_LOG, "-E", "-G", PRIVATE_KEY, paths=_anywhere(*STRUCTURED)),
        at_most=AT_MOST,
        evidence=tuple(dict.fromkeys(evidence)),
    )


def _anywhere(*names: str) -> list[str]:
    """Pathspecs of files of these names in any directory of the repository."""
    return [f":(top,glob)**/{name}" for name in names]
