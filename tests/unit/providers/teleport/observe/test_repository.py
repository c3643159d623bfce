"""The reader of the repository with the join token's template, and HYG-01, against repositories made by git."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.recorder import KeptInMemory
from providers.teleport.judge.repository import filled_in_token_is_kept_out
from providers.teleport.observe.repository import read_token_repository
from provision.faults.surroundings.repository import FILLED, KEYS, TEMPLATE, commit, fill_in, git, make_repository
from settings import Hygiene
from tests.unit.judge.assertions import holds, unknown, violated

NAMES = Hygiene()
NOT_IGNORED, COMMITTED = ("token-file-not-ignored",), ("join-token-committed",)


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)


def judged(directory: Path, recorder: KeptInMemory | None = None, names: Hygiene = NAMES) -> Finding:
    kept = recorder or KeptInMemory()
    found = read_token_repository(directory, names, kept, timeout=30, limit=1_000_000)
    assert {*found.evidence} == {*kept.evidence}
    return filled_in_token_is_kept_out(found)


def test_a_sound_repository(tmp_path: Path) -> None:
    make_repository(tmp_path)
    fill_in(tmp_path)  # it may lie there
    finding = judged(tmp_path)
    holds(finding, "HYG-01")
    assert finding.seen == "File istio-tbot-token.yaml: .gitignore:1 ignores it"


def test_the_file_is_looked_for_beside_each_template(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / TEMPLATE.name).rename(tmp_path / "deploy" / TEMPLATE.name)
    (tmp_path / ".gitignore").write_text(f"/{FILLED}\n")
    commit(tmp_path, "Move it")
    violated(judged(tmp_path / "deploy"), "HYG-01", "deploy/istio-tbot-token.yaml", "no rule", causes=NOT_IGNORED)


def test_a_file_that_git_would_add(tmp_path: Path) -> None:
    make_repository(tmp_path, ignores=False)
    violated(judged(tmp_path), "HYG-01", "no rule of the repository ignores it", causes=NOT_IGNORED)
    (tmp_path / ".gitignore").write_text(f"{FILLED}\n")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / f"{FILLED}.bak").write_text(KEYS)  # the guide's sed makes such a copy
    violated(judged(tmp_path), "HYG-01", "copy/istio-tbot-token.yaml.bak", "it lies there", causes=NOT_IGNORED)


def test_a_rule_of_one_clone_or_one_person_protects_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    make_repository(repository, ignores=False)
    (repository / ".git" / "info" / "exclude").write_text(f"{FILLED}\n")
    violated(judged(repository), "HYG-01", "only this clone ignores it (.git/info/exclude:1:", causes=NOT_IGNORED)
    (repository / ".git" / "info" / "exclude").write_text("")
    (tmp_path / "excludes").write_text(f"{FILLED}\n")
    (tmp_path / "gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path}/excludes\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    violated(judged(repository), "HYG-01", "no rule of the repository ignores it", causes=NOT_IGNORED)


def test_a_rule_that_takes_the_file_out_again(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / ".gitignore").write_text(f"*.yaml\n!{FILLED}\n")
    violated(judged(tmp_path), "HYG-01", "no rule", causes=NOT_IGNORED)


def test_a_file_that_git_tracks(tmp_path: Path) -> None:
    make_repository(tmp_path)
    fill_in(tmp_path)
    git(tmp_path, "add", "--force", FILLED)
    violated(judged(tmp_path), "HYG-01", "git tracks it", causes=COMMITTED)


@pytest.mark.parametrize("on", ["main", "another-branch", "a-tag"])
def test_a_file_that_was_committed_once(tmp_path: Path, on: str) -> None:
    make_repository(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-B", "main")
    git(tmp_path, "checkout", "--quiet", "-b", "work")
    fill_in(tmp_path)
    git(tmp_path, "add", "--force", FILLED)
    commit(tmp_path, "Add it")
    if on == "main":
        git(tmp_path, "branch", "--force", "main")
        git(tmp_path, "checkout", "--quiet", "main")
        git(tmp_path, "rm", "--quiet", "--force", FILLED)
        commit(tmp_path, "Remove it")
    else:
        git(tmp_path, *(("branch",) if on == "another-branch" else ("tag",)), on)
        git(tmp_path, "checkout", "--quiet", "main")
        git(tmp_path, "branch", "--quiet", "-D", "work")
    violated(judged(tmp_path), "HYG-01", "a filled-in file of this name is in the history: 1 commits", causes=COMMITTED)


def test_keys_under_another_name(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "prod.yml").write_text(TEMPLATE.read_text().replace("PASTE_JWKS_HERE", KEYS))
    commit(tmp_path, "Add the token of production")
    violated(judged(tmp_path), "HYG-01", "File prod.yml", "a join token with keys", causes=COMMITTED)


@pytest.mark.parametrize("linked", ["worktree", "submodule"])
def test_a_rule_of_one_clone_as_worktrees_and_submodules_name_it(tmp_path: Path, linked: str) -> None:
    repository, place = tmp_path / "repository", tmp_path / "outer" / "linked"
    make_repository(repository, ignores=False)
    if linked == "worktree":
        git(repository, "worktree", "add", "--quiet", str(place))
        exclude = repository / ".git" / "info" / "exclude"
    else:
        make_repository(tmp_path / "outer")
        git(tmp_path / "outer", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "linked")
        exclude = tmp_path / "outer" / ".git" / "modules" / "linked" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(f"{FILLED}\n")
    violated(judged(place), "HYG-01", "only this clone ignores it (/", "info/exclude:1:", causes=NOT_IGNORED)


def in_json(keys: str) -> str:
    return json.dumps({"kind": "token", "spec": {"kubernetes": {"type": "static_jwks", "static_jwks": {"jwks": keys}}}})


def in_a_block(keys: str) -> str:
    return TEMPLATE.read_text().replace("'PASTE_JWKS_HERE'", "|\n        " + keys.replace("\n", "\n        "))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prod.json", in_json(KEYS)),
        ("prod.json", json.dumps(json.loads(in_json(KEYS)), indent=2)),
        ("prod.yaml", in_a_block(KEYS)),
        ("prod.yaml", in_a_block(json.dumps(json.loads(KEYS), indent=2))),
        ("prod.yaml", in_a_block('{"keys":[{"kty":"EC","crv":"P-256","x":"' + "a" * 43 + '"}]}')),
        ("prod.yaml", TEMPLATE.read_text().replace("'PASTE_JWKS_HERE'", json.dumps(KEYS))),
    ],
)
def test_keys_in_every_form_that_a_file_may_have(tmp_path: Path, name: str, text: str) -> None:
    make_repository(tmp_path)
    (tmp_path / name).write_text(text)
    commit(tmp_path, "Add the token of production")
    violated(judged(tmp_path), "HYG-01", f"File {name}", "a join token with keys", causes=COMMITTED)


def test_keys_of_something_else_are_no_join_token(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "authentication.yaml").write_text(f"kind: RequestAuthentication\njwks: '{KEYS}'\n")
    (tmp_path / "point.json").write_text('{"x": "' + "a" * 43 + '"}')
    commit(tmp_path, "Check tokens of users")
    holds(judged(tmp_path), "HYG-01")


def test_a_template_that_speaks_of_keys(tmp_path: Path) -> None:
    make_repository(tmp_path)
    with (tmp_path / TEMPLATE.name).open("a") as template:
        template.write('# {"keys": [{"kty": "RSA", "n": "...", "e": "AQAB"}]}\n')
    commit(tmp_path, "Say what it looks like")
    holds(judged(tmp_path), "HYG-01")


@pytest.mark.parametrize("directory", ["café", "日本", 'a"b', "a\\b", "a\tb"])
def test_paths_that_git_quotes(tmp_path: Path, directory: str) -> None:
    make_repository(tmp_path)
    (tmp_path / directory).mkdir()
    (tmp_path / TEMPLATE.name).rename(tmp_path / directory / TEMPLATE.name)
    commit(tmp_path, "Move it")
    finding = judged(tmp_path)
    holds(finding, "HYG-01")
    assert [str(each.subject) for each in finding.held] == [f"File {directory}/{FILLED}"]
    fill_in(tmp_path / directory)
    git(tmp_path, "add", "--force", f"{directory}/{FILLED}")
    commit(tmp_path, "Add it")
    violated(judged(tmp_path), "HYG-01", f"File {directory}/{FILLED}: git tracks it", causes=COMMITTED)


def test_keys_in_the_template_once(tmp_path: Path) -> None:
    make_repository(tmp_path)
    sound = (tmp_path / TEMPLATE.name).read_text()
    indented = sound.replace("'PASTE_JWKS_HERE'", f"|\n        {KEYS}")
    (tmp_path / TEMPLATE.name).write_text(indented)
    commit(tmp_path, "Fill it in")
    (tmp_path / TEMPLATE.name).write_text(sound)
    commit(tmp_path, "Take it back")
    violated(judged(tmp_path), "HYG-01", "the history of this template has keys", "2 commits", causes=COMMITTED)


def test_what_came_by_a_merge_alone(tmp_path: Path) -> None:
    make_repository(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-b", "work")
    (tmp_path / "note").write_text("x")
    commit(tmp_path, "Work")
    git(tmp_path, "checkout", "--quiet", "-")
    (tmp_path / "other").write_text("x")
    commit(tmp_path, "Other work")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@y.z", "merge", "--quiet", "--no-commit", "work")
    fill_in(tmp_path)
    git(tmp_path, "add", "--force", FILLED)
    commit(tmp_path, "Merge")
    git(tmp_path, "rm", "--quiet", "--force", FILLED)
    commit(tmp_path, "Remove it")
    violated(judged(tmp_path), "HYG-01", "in the history: 1 commits", causes=COMMITTED)


def test_a_private_key_is_a_note(tmp_path: Path) -> None:
    make_repository(tmp_path)
    (tmp_path / "tls.yaml").write_text("key: |\n  -----BEGIN EC PRIVATE KEY-----\n  x\n")
    commit(tmp_path, "Add a key")
    finding = judged(tmp_path)
    holds(finding, "HYG-01")
    assert [str(note.subject) for note in finding.notes] == ["File tls.yaml"]
    assert "looks like a private key" in finding.notes[0].said


def test_a_shallow_clone_and_a_repository_without_the_template(tmp_path: Path) -> None:
    make_repository(tmp_path / "whole")
    (tmp_path / "whole" / "x").write_text("x")
    commit(tmp_path / "whole", "More")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tmp_path}/whole", "shallow")
    unknown(judged(tmp_path / "shallow"), "HYG-01", "the clone is shallow")
    unknown(
        judged(tmp_path / "whole", names=Hygiene(token_template="another.template")),
        "HYG-01",
        "no file with the name of the template",
    )


def test_what_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(CouldNotTell, match="not a git repository"):
        judged(tmp_path)


@pytest.mark.parametrize("make", [make_repository, lambda path: make_repository(path, ignores=False)])
def test_no_content_reaches_evidence(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    fill_in(tmp_path)
    git(tmp_path, "add", "--force", FILLED)
    commit(tmp_path, "Add it")
    recorder = KeptInMemory()
    judged(tmp_path, recorder)
    kept = "".join(each.body for each in recorder.evidence.values())
    assert FILLED in kept
    assert "of-a-cluster" not in kept
    assert "kty" not in kept


def test_nothing_of_the_repositorys_own_configuration_runs(tmp_path: Path) -> None:
    make_repository(tmp_path)
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for setting in ("core.fsmonitor", "core.pager", "diff.external", "diff.x.textconv", "diff.x.command"):
        git(tmp_path, "config", setting, str(program))
    (tmp_path / ".gitattributes").write_text("* diff=x\n")
    fill_in(tmp_path)
    git(tmp_path, "-c", "core.fsmonitor=false", "add", "--force", FILLED, ".gitattributes")
    git(tmp_path, "-c", "core.fsmonitor=false", "-c", "user.name=x", "-c", "user.email=x@y.z", "commit", "-qm", "Add it")
    ran.unlink(missing_ok=True)
    judged(tmp_path)
    assert not ran.exists()


def test_the_faults_break_it_and_name_their_causes(tmp_path: Path) -> None:
    from unittest.mock import Mock

    from provision.faults import FAULTS, Operator

    scene = Mock()
    scene.installation.directory = tmp_path
    scene.operator = Operator(tmp_path, "context", ("tctl",))
    for name in ("token-file-not-ignored", "join-token-committed"):
        fault = FAULTS[name]
        with fault.inject(scene) as operator:
            assert operator is not None
            assert operator.repository is not None
            violated(judged(operator.repository), "HYG-01", causes=(fault.cause,))
