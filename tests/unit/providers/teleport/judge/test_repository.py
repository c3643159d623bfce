"""HYG-01, from what git says; the reader's own tests have real repositories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from providers.teleport.facts.token_repository import Commit, TokenRepository
from providers.teleport.judge.repository import filled_in_token_is_kept_out
from tests.unit.judge.assertions import holds, unknown, violated

FILE, TEMPLATE = "deploy/istio-tbot-token.yaml", "deploy/istio-tbot-token.yaml.template"
SOUND = TokenRepository(
    where="/platform",
    is_shallow=False,
    templates=(TEMPLATE,),
    ignored_by={FILE: ".gitignore:3:istio-tbot-token.yaml"},
    tracked=(),
    lying_there=(),
    committed=(),
    filled_templates=(),
    keys_elsewhere=(),
    private_keys=(),
    at_most=50,
    evidence=("ev-git",),
)
NOT_IGNORED, COMMITTED = ("token-file-not-ignored",), ("join-token-committed",)


def commits(number: int, *files: str) -> tuple[Commit, ...]:
    return tuple(Commit(f"{each:02}{0:038}", files or (FILE,)) for each in range(number))


def test_a_sound_repository() -> None:
    finding = filled_in_token_is_kept_out(SOUND)
    holds(finding, "HYG-01", "ev-git")
    assert finding.seen == f"File {FILE}: .gitignore:3 ignores it"


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"ignored_by": {FILE: ""}}, "no rule of the repository ignores it", NOT_IGNORED),
        ({"ignored_by": {FILE: ".git/info/exclude:1:*"}}, "only this clone ignores it (.git/info/exclude:1:*)", NOT_IGNORED),
        ({"lying_there": ("copy.bak",)}, "File copy.bak: it lies there", NOT_IGNORED),
        ({"tracked": (FILE,)}, "git tracks it", COMMITTED),
        ({"committed": commits(1)}, "a filled-in file of this name is in the history: 1 commits (000000000000)", COMMITTED),
        ({"filled_templates": commits(2, TEMPLATE)}, "the history of this template has keys of a cluster: 2", COMMITTED),
        ({"keys_elsewhere": commits(1, "prod.yml")}, "File prod.yml: the history of this file has a join token", COMMITTED),
    ],
)
def test_what_breaks_it(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    violated(filled_in_token_is_kept_out(replace(SOUND, **changes)), "HYG-01", words, causes=causes)


def test_a_file_is_named_once_for_each_cause() -> None:
    everything = replace(
        SOUND, ignored_by={FILE: ""}, lying_there=(FILE,), tracked=(FILE,), committed=commits(1), keys_elsewhere=commits(1)
    )
    finding = filled_in_token_is_kept_out(everything)
    assert [(each.subject.name, each.cause) for each in finding.problems] == [(FILE, *NOT_IGNORED), (FILE, *COMMITTED)]


def test_many_commits_are_counted_and_some_are_named() -> None:
    finding = filled_in_token_is_kept_out(replace(SOUND, committed=commits(7)))
    violated(finding, "HYG-01", "7 commits (", "040000000000 and 2 more)")
    assert "050000000000" not in finding.seen
    violated(filled_in_token_is_kept_out(replace(SOUND, committed=commits(50))), "HYG-01", "50 or more commits")
    violated(filled_in_token_is_kept_out(replace(SOUND, committed=commits(5))), "HYG-01", "5 commits (", "040000000000)")


def test_a_private_key_is_a_note() -> None:
    finding = filled_in_token_is_kept_out(replace(SOUND, private_keys=commits(1, "tls.yaml")))
    holds(finding, "HYG-01")
    assert [(note.subject.name, note.cause) for note in finding.notes] == [("tls.yaml", "")]


def test_what_git_cannot_tell() -> None:
    unknown(filled_in_token_is_kept_out(replace(SOUND, is_shallow=True)), "HYG-01", "the clone is shallow")
    unknown(filled_in_token_is_kept_out(replace(SOUND, templates=())), "HYG-01", "no file with the name of the template")
    # What is wrong is wrong in a part of the history as well.
    violated(filled_in_token_is_kept_out(replace(SOUND, is_shallow=True, tracked=(FILE,))), "HYG-01", causes=COMMITTED)
