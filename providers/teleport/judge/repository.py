"""Judgment about the join token's file in a git repository: HYG-01."""

from __future__ import annotations

from collections.abc import Sequence

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from judge.findings import Claim, listed
from providers.teleport.facts.token_repository import Commit, TokenRepository, is_of_every_clone

NOT_IGNORED, COMMITTED = "token-file-not-ignored", "join-token-committed"

SHOWN = 5
"""Commits that a statement names."""


def filled_in_token_is_kept_out(repository: TokenRepository) -> Finding:
    """HYG-01: git ignores the filled-in file of the join token, no commit has one, and the template holds no key."""
    claim = Claim(
        "HYG-01",
        "git to ignore the filled-in join token, and no commit to have one",
        f"git repository {repository.where}",
        repository.evidence,
    )

    def problem(path: str, said: str, cause: str) -> Problem:
        return Problem(ObjectRef("File", path), said, cause, repository.evidence)

    problems: list[Problem] = []
    held: list[Remark] = []
    for path, rule in repository.ignored_by.items():
        if not rule:
            problems.append(problem(path, "no rule of the repository ignores it, so that git would add it", NOT_IGNORED))
        elif not is_of_every_clone(rule):
            problems.append(problem(path, f"only this clone ignores it ({rule}); other clones do not", NOT_IGNORED))
        else:
            held.append(Remark(ObjectRef("File", path), f"{rule.rsplit(':', 1)[0]} ignores it"))
    problems += [problem(path, "it lies there, and git does not ignore it", NOT_IGNORED) for path in repository.lying_there]
    problems += [problem(path, "git tracks it", COMMITTED) for path in repository.tracked]
    for commits, said in (
        (repository.committed, "a filled-in file of this name is in the history"),
        (repository.filled_templates, "the history of this template has keys of a cluster"),
        (repository.keys_elsewhere, "the history of this file has a join token with keys"),
    ):
        problems += [
            problem(path, f"{said}: {_named(ids, repository.at_most)}", COMMITTED) for path, ids in _by_file(commits)
        ]
    notes = [
        problem(path, f"its history has what looks like a private key: {_named(ids, repository.at_most)}", "")
        for path, ids in _by_file(repository.private_keys)
    ]
    unclear = []
    if repository.is_shallow:
        unclear.append(claim.problem("the clone is shallow: a part of the history is missing"))
    if not repository.templates:
        unclear.append(claim.problem("it has no file with the name of the template"))
    return claim.judged(
        _once_by_file(problems),
        held=held,
        unclear=unclear,
        notes=notes,
        settle="use a full clone (`git fetch --unshallow`) of the repository with the template, and name the files below"
        " [hygiene] in conformance.toml",
    )


def _by_file(commits: Sequence[Commit]) -> list[tuple[str, list[str]]]:
    """The commits by the files that they change."""
    by_file: dict[str, list[str]] = {}
    for commit in commits:
        for file in commit.files:
            by_file.setdefault(file, []).append(commit.id)
    return [*by_file.items()]


def _named(ids: Sequence[str], at_most: int) -> str:
    beginning = listed(each[:12] for each in ids[:SHOWN])
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return f"{len(ids)}{' or more' if len(ids) >= at_most else ''} commits ({beginning}{more})"


def _once_by_file(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, of each file and cause the first one: a filled-in file matches several searches."""
    first: dict[tuple[str, str], Problem] = {}
    for each in problems:
        first.setdefault((str(each.subject), each.cause), each)
    return [*first.values()]
