"""The page about the guide's troubleshooting says of every cause what the causes say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import reporting.troubleshooting
from facts.errors import BadInput
from judge.explain.cause import CAUSES, parse_causes
from reporting.troubleshooting import chapters, main, page

CAUSE = {
    "id": "a-cause",
    "sentence": "It is wrong.",
    "shown_by": "A sign.",
    "remedy": ["First.", "Then."],
    "check": "It is gone.",
    "references": ["x"],
}


def topic(*causes: Mapping[str, object]) -> dict[str, object]:
    return {"a-file.yaml": {"place": 1, "causes": [*causes]}}


def test_the_repositorys_own_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 0, capsys.readouterr().out


def test_each_chapter_has_causes_and_each_cause_is_on_the_page() -> None:
    text = page(CAUSES.values())
    for chapter in chapters():
        assert [c for c in CAUSES.values() if c.guide and c.guide.chapter == chapter.number], chapter.symptom
    for cause in CAUSES.values():
        assert (f"\n### {cause.id}\n" in text) is (cause.guide is not None)
        assert cause.sentence in text
    assert [chapter.number for chapter in chapters()] == [1, 2, 3, 4, 5, 6, 7]


def test_the_section_of_a_cause() -> None:
    guide = {"chapter": 2, "helps": False, "why": "It looks elsewhere."}  # YAML reads `no` as a truth value
    text = page(parse_causes(topic({**CAUSE, "guide": guide})).values())
    assert "| [a-cause](#a-cause) | It is wrong. | no |" in text
    assert "- The guide's remedy does not help. It looks elsewhere.\n- How to tell: A sign.\n" in text
    assert "- What to do:\n  1. First.\n  2. Then.\n- How to check: It is gone.\n" in text
    assert "\n- a-cause: It is wrong.\n" in page(parse_causes(topic(CAUSE)).values())


@pytest.mark.parametrize("guide", [{"chapter": 8, "helps": "no", "why": "w"}, {"chapter": 1, "helps": "maybe", "why": "w"}])
def test_a_cause_that_names_no_chapter_or_no_answer_is_refused(guide: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"a-cause\.guide"):
        parse_causes(topic({**CAUSE, "guide": guide}))


def test_a_page_that_is_not_current_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reporting.troubleshooting, "PAGE", tmp_path / "docs" / "troubleshooting.md")
    assert main(["lint"]) == 1
    assert "docs/troubleshooting.md is not current: run make docs" in capsys.readouterr().out
    (tmp_path / "docs").mkdir()
    assert main(["page"]) == 0
    assert main(["lint"]) == 0
    assert main([]) == 4
