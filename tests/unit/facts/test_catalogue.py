"""The catalogue of requirements: what is read, and what is refused with words that lead to the mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.catalogue import About, Catalogue, Level, parse_catalogue
from facts.errors import BadInput

FILE = Path(__file__).parents[3] / "features" / "catalogue.yaml"


def entry(**changes: Any) -> dict[str, Any]:
    made = {
        "id": "INST-01",
        "sentence": "It  holds,\n  really.",
        "level": "MUST",
        "about": "install",
        "profile": "install",
        "source": "Guide",
        "really_known_by": "looking",
    }
    return {**made, **changes}


def parsed(*entries: dict[str, Any], **groups: list[str]) -> Catalogue:
    return parse_catalogue({"profiles": groups, "requirements": list(entries)})


def refused(document: Any) -> BadInput:
    with pytest.raises(BadInput) as raised:
        parse_catalogue(document, "some.yaml")
    assert raised.value.where.startswith("some.yaml")
    assert raised.value.remedy
    return raised.value


def test_a_requirement_is_read_with_its_texts_on_one_line() -> None:
    requirement = parsed(entry(not_applicable_when=["no  pod\nruns"], not_enough="All is\nwell."))["INST-01"]
    assert requirement.sentence == "It holds, really."
    assert (requirement.level, requirement.about) == (Level.MUST, About.INSTALL)
    assert requirement.not_applicable_when == ("no pod runs",)
    assert requirement.not_enough == "All is well."


def test_what_may_be_left_out_is_empty() -> None:
    requirement = parsed(entry())["INST-01"]
    assert (requirement.guide_words, requirement.not_enough, requirement.not_applicable_when) == ("", "", ())


def test_the_order_of_the_file_is_kept() -> None:
    catalogue = parsed(entry(id="B"), entry(id="A"))
    assert [r.id for r in catalogue] == ["B", "A"]
    assert "A" in catalogue
    assert "C" not in catalogue


@pytest.mark.parametrize("key", sorted(entry()))
def test_a_missing_key_is_named(key: str) -> None:
    error = refused({"requirements": [{k: v for k, v in entry().items() if k != key}]})
    assert key in error.expected
    assert error.seen == "it is missing"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "NoneType"),
        ([], "list"),
        ({"profiles": {}}, "requirements"),
        ({"requirements": {"INST-01": entry()}}, "dict"),
        ({"requirements": ["INST-01"]}, "requirements.0 to be a mapping"),
        ({"requirements": [entry(sentense="x")]}, "sentense"),
        ({"requirements": [entry(level="must")]}, "'must'"),
        ({"requirements": [entry(about="mesh")]}, "'mesh'"),
        ({"requirements": [entry(), entry()]}, "INST-01 twice"),
        ({"requirements": [entry(not_applicable_when="no pod runs")]}, "not_applicable_when to be a list"),
        ({"requirements": [entry()], "profiles": {"core": ["instal"]}}, "instal"),
        ({"requirements": [entry()], "profiles": {"install": ["install"]}}, "install"),
        ({"requirements": [entry()], "profiles": {"mesh": ["install"]}}, "mesh"),
        ({"requirements": [entry(needs=["luck"])]}, "'luck'"),
    ],
    ids=[
        "nothing",
        "a list",
        "no requirements",
        "requirements by id",
        "a requirement that is a text",
        "an unknown key",
        "an unknown level",
        "an unknown subject",
        "an id twice",
        "conditions as one text",
        "an unknown profile in a group",
        "a group named as a profile",
        "a group named as the profile of readers",
        "an unknown need",
    ],
)
def test_a_mistake_is_refused_and_shown(document: Any, words: str) -> None:
    error = refused(document)
    assert words in f"{error.expected}; {error.seen}"


TWO = (entry(id="A", profile="install"), entry(id="B", profile="checklist"))


def test_profiles_and_groups_choose_in_the_order_of_the_catalogue() -> None:
    catalogue = parsed(*TWO, core=["checklist", "install"])
    assert [r.id for r in catalogue.chosen(("install",))] == ["A"]
    assert [r.id for r in catalogue.chosen(("core",))] == ["A", "B"]
    assert [r.id for r in catalogue.chosen(("checklist", "install", "core"))] == ["A", "B"]
    assert catalogue.chosen(()) == ()


def test_an_unknown_profile_is_refused_with_those_that_exist() -> None:
    with pytest.raises(BadInput) as raised:
        parsed(*TWO, core=["install"]).chosen(("install", "everything"))
    assert raised.value.expected == "one of the profiles checklist, core, install"
    assert (raised.value.seen, raised.value.where) == ("'everything'", "--profile")


def test_mesh_is_what_core_can_know_by_reading_alone() -> None:
    entries = (
        entry(id="A"),
        entry(id="B", needs=["session"]),
        entry(id="C", needs=["session", "exec"]),
        entry(id="D", profile="rotation"),
        entry(id="E", profile="resilience"),
        entry(id="F", needs=["audit-events"]),
    )
    catalogue = parsed(*entries, core=["install", "rotation"]).for_readers({"A", "B", "C", "E", "F"})
    assert [r.id for r in catalogue.chosen(("mesh",))] == ["A"]
    assert [r.id for r in catalogue.chosen(("mesh", "resilience"))] == ["A", "E"]
    assert catalogue.left_out(("mesh",)) == {
        "an admin session at Teleport": ("B",),
        "an admin session at Teleport and the right to run programs in containers": ("C",),
        "pods of the suite's own, or changes": ("D",),
        "Teleport's audit events": ("F",),
    }
    assert [*catalogue.left_out(("mesh", "rotation")).values()] == [("B",), ("C",), ("F",)]
    assert catalogue.left_out(("core",)) == catalogue.left_out(("core", "mesh")) == {}
    with pytest.raises(BadInput, match="core, install, mesh, resilience, rotation"):
        catalogue.chosen(("everything",))


def test_without_its_requirements_there_is_no_profile_mesh() -> None:
    with pytest.raises(BadInput):
        parsed(*TWO, core=["install"]).chosen(("mesh",))
    assert parsed(*TWO).for_readers({"A"}).mesh == frozenset()


def test_the_projects_own_catalogue() -> None:
    catalogue = parse_catalogue(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    assert (
        {r.id for r in catalogue.chosen(("core",))}
        <= {r.id for r in catalogue.chosen(("all",))}
        == {r.id for r in catalogue}
    )


# The guide's own defects.


def defects(*entries: Any) -> Any:
    requirements = [entry(), entry(id="ID-1", profile="identity"), entry(id="ID-2", profile="identity")]
    return {"requirements": requirements, "guide_defects": list(entries)}


BOT = {"name": "bot", "sentence": "No  bot.", "cause": "bot-missing", "caught_by": ["INST-01"]}


def test_a_defect_is_read_and_the_profiles_that_it_hides_become_their_requirements() -> None:
    (plain,) = parse_catalogue(defects(BOT)).guide_defects
    assert (plain.name, plain.sentence, plain.cause, plain.caught_by, plain.stops, plain.hides) == (
        "bot",
        "No bot.",
        "bot-missing",
        ("INST-01",),
        "",
        (),
    )
    (stopping,) = parse_catalogue(defects({**BOT, "stops": "All.", "hides": ["identity", "INST-01"]})).guide_defects
    assert (stopping.stops, stopping.hides) == ("All.", ("ID-1", "ID-2", "INST-01"))
    assert parse_catalogue({"requirements": [entry()]}).guide_defects == ()


@pytest.mark.parametrize(
    ("damaged", "seen"),
    [
        ("bot", "guide_defects.0 to be a mapping"),
        ({"name": "bot", "sentence": "No bot.", "cause": "bot-missing"}, "caught_by"),
        ({"name": "bot", "sentence": "No bot.", "caught_by": ["INST-01"]}, "cause"),
        ({**BOT, "remedy": "Make one."}, "remedy"),
        ({**BOT, "caught_by": ["INST-99"]}, "INST-99"),
        ({**BOT, "hides": ["trafic"]}, "trafic"),
    ],
)
def test_a_damaged_defect_is_named(damaged: Any, seen: str) -> None:
    error = refused(defects(damaged))
    assert seen in f"{error.expected} {error.seen}"


@pytest.mark.parametrize("field", ["id", "profile", "sentence"])
def test_a_text_is_a_text_and_nothing_that_can_be_made_one(field: str) -> None:
    for value in (b"bytes", 1, True):
        assert field in refused({"requirements": [entry(**{field: value})]}).expected


def test_the_guides_words_have_their_section_and_say_nothing_of_the_suites() -> None:
    """Else a reader of the report takes the suite's own words for the guide's."""
    for requirement in parse_catalogue(yaml.safe_load(FILE.read_text(encoding="utf-8"))):
        assert bool(requirement.guide_words) is bool(requirement.guide_section), requirement.id
        if requirement.guide_words:
            assert requirement.not_enough, requirement.id
            assert requirement.guide_words not in requirement.not_enough, requirement.id
