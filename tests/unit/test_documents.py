"""What the documents say of the suite: links, options and requirements that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from cli import app
from conftest import OPTIONS
from facts.catalogue import Catalogue, parse_catalogue
from judge.verdict import Verdict
from reporting.writing.words import FINDING, LOOKS, MEANINGS
from settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "manifests").rglob("*.md"), ROOT / "lab/README.md"}
)
USER_PAGES = ("ci", "existing-cluster", "broken-mesh", "report")
FOR_USERS = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in USER_PAGES)]
OF_OTHERS = {"--proxy", "--lf", "--docker"}
"""Options of tsh, pytest and the lab."""


def anchors(document: Path) -> set[str]:
    """Names that a link may lead to: headings as GitHub names them, and explicit ones."""
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings} | {*re.findall(r'<a id="([^"]+)"', text)}


def catalogue() -> Catalogue:
    return parse_catalogue(yaml.safe_load((ROOT / "features" / "catalogue.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if not link.startswith(("https://", "http://")):
            name, _, anchor = link.partition("#")
            target = (document.parent / name).resolve() if name else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", FOR_USERS, ids=lambda path: path.name)
def test_each_option_and_variable_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    without_other_tools = re.sub(r"^(?:kubectl|tctl) .*$", "", text, flags=re.MULTILINE)
    named = {*re.findall(r"(?<![\w-])--[a-z][a-z-]+", without_other_tools)}
    there = {option for option, _, _ in OPTIONS} | _of_the_command()
    assert named - there - OF_OTHERS - {"--profile"} == set()
    variables = {name.lower() for name in re.findall(r"\bCONFORMANCE_([A-Z_]+)", text)}
    assert variables - {*Settings.model_fields} == set()


def _of_the_command() -> set[str]:
    """Options of `conformance`."""
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    return {option for command in commands for parameter in command.params for option in parameter.opts}


def test_the_readme_lists_exactly_the_requirements_of_each_profile() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| ((?:[A-Z]+-\d+[, …]*)+) \|", text, re.MULTILINE))
    listed = {profile: {*_expanded(ranges)} for profile, ranges in rows.items()}
    there: dict[str, set[str]] = {}
    for requirement in catalogue().requirements.values():
        there.setdefault(requirement.profile, set()).add(requirement.id)
    assert listed == there


def test_each_word_for_a_requirement_is_explained_with_its_mark_as_the_report_explains_it() -> None:
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    told = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    rows = {word: (mark, said) for mark, word, said in re.findall(r"^\| (\S) \| ([\w-]+) \| ([^|]+) \|", told, re.MULTILINE)}
    assert rows == {word: (LOOKS[word][0], MEANINGS[word]) for word in (*Verdict, FINDING)}


def _expanded(ranges: str) -> list[str]:
    """`ID-01 … ID-03, NEG-01` as single requirements."""
    found = []
    for each in ranges.split(", "):
        first, _, last = each.partition(" … ")
        kind, number = first.split("-")
        end = int((last or first).split("-")[1])
        found += [f"{kind}-{n:0{len(number)}d}" for n in range(int(number), end + 1)]
    return found


def test_each_excerpt_in_the_guide_for_developers_is_in_its_file() -> None:
    text = (ROOT / "DEVELOPMENT.md").read_text(encoding="utf-8")
    excerpts = re.findall(
        r"^\*\*\d+\. [^`\n]+`([^`]+)`\.\*\*(?:(?!\*\*\d).)*?\n```\w+\n(.*?)```", text, re.MULTILINE | re.DOTALL
    )
    assert len(excerpts) > 5
    for file, excerpt in excerpts:
        source = (ROOT / file).read_text(encoding="utf-8")
        for part in re.split(r"^ *\.\.\.\n", excerpt, flags=re.MULTILINE):
            _, found, source = source.partition(part)
            assert found, f"{file} has no:\n{part}"


@pytest.mark.parametrize("document", ["DEVELOPMENT.md", "docs/internals.md"])
def test_each_path_in_a_page_for_developers_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`([\w.-]+/[\w./-]*|\w+\.(?:py|yaml|txt|md))`", text)
    folders = (
        "checks",
        "docs",
        "doctor",
        "facts",
        "features",
        "judge",
        "lab",
        "manifests",
        "observe",
        "providers",
        "provision",
        "reporting",
        "steps",
        "tests",
    )
    below = {path for folder in folders for path in ((ROOT / folder), *(ROOT / folder).rglob("*"))}
    there = {f"/{path.relative_to(ROOT)}{'/' * path.is_dir()}" for path in (*below, *ROOT.glob("*.*"))}
    made = {"build/mutants.md", "features/not-evaluated.txt"}
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in there)} <= made


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_of_python_works_as_typed_in_a_fresh_checkout(document: Path) -> None:
    if document.name != "CHANGELOG.md":  # it says what changed, and is no place to copy a command from
        assert re.findall(r"(?<!\.venv/bin/)python3? -m (?!venv)[\w.]+", document.read_text(encoding="utf-8")) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 950


def test_the_guide_for_developers_is_short() -> None:
    assert (ROOT / "DEVELOPMENT.md").read_text(encoding="utf-8").count("\n") <= 150
