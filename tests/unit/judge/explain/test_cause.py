"""The causes: each can be read, acted on and checked; a file that is wrong is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from facts.errors import BadInput
from facts.versions import Version
from judge.explain.cause import CAUSES, Cause, causes_of_release, parse_causes, read_causes
from judge.rotation.renewal import PUSHED_NOT_RENEWED

ROOT = Path(__file__).resolve().parents[4]
ENTRY = {
    "id": "tbot-asleep",
    "sentence": "tbot sleeps.",
    "shown_by": "It snores.",
    "remedy": ["Wake it."],
    "check": "It is awake.",
    "references": ["example/example#1"],
}


def entry(**changes: Any) -> dict[str, Any]:
    return {**ENTRY, **changes}


def texts(cause: Cause) -> tuple[str, ...]:
    settled = (cause.settled_by,) if cause.settled_by else ()
    told_from = (other.told_by for other in cause.told_from)
    return (cause.sentence, cause.shown_by, *told_from, *cause.remedy, cause.check, *settled)


def topic(*causes: Any, **changes: Any) -> dict[str, Any]:
    return {"place": 1, "causes": [*causes], **changes}


def file(*causes: Any, **changes: Any) -> dict[str, Any]:
    """The files of causes, where there is one."""
    return {"a-file.yaml": topic(*causes, **changes)}


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.id)
def test_a_cause_is_told_in_sentences(cause: Cause) -> None:
    for text in texts(cause):
        assert text.endswith(".")
        assert not re.search(r"\b(nobody|somebody|anybody|everybody|whoever)\b", text, re.IGNORECASE)
        assert text.count("`") % 2 == 0
    assert "so that" not in cause.sentence, "a consequence, which 'so that' makes a purpose"


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.id)
def test_a_cause_refers_to_what_exists(cause: Cause) -> None:
    named = {*re.findall(r"manifests/[\w./-]*\w", " ".join(texts(cause))), *cause.references}
    for reference in named:
        if reference.startswith(("manifests/", "docs/")) or "/" not in reference:
            assert (ROOT / reference).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|https://\S+", reference)


def test_an_unknown_id_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(LookupError, match=r"no cause 'tbot-not-on-nod' in .+; did you mean 'tbot-not-on-node'\?"):
        CAUSES["tbot-not-on-nod"]
    with pytest.raises(LookupError, match="no cause 'x'"):
        CAUSES.get("x")
    assert "x" not in CAUSES
    assert len(CAUSES) == len(list(CAUSES))


def test_a_file_is_read() -> None:
    releases = [{"since": "1.0.0", "fixed": "1.2.0"}, {"since": "2.0", "fixed": "2.1.3"}]
    second = entry(
        id="tbot-dozing",
        told_from={"tbot-asleep": "There it snores."},
        versions={"component": "tbot", "affected": releases},
    )
    causes = parse_causes(file(entry(), second))
    assert [*causes] == ["tbot-asleep", "tbot-dozing"]
    assert causes["tbot-asleep"].remedy == ("Wake it.",)
    assert causes["tbot-asleep"].versions is None
    dozing = causes["tbot-dozing"]
    assert [(other.cause, other.told_by) for other in dozing.told_from] == [("tbot-asleep", "There it snores.")]
    assert dozing.versions is not None
    assert dozing.versions.fixed_in == "2.1.3 or 1.2.0"
    assert Version.parse("1.1.9") in dozing.versions
    assert Version.parse("1.2.0") not in dozing.versions


def test_a_cause_cannot_be_changed() -> None:
    cause = parse_causes(file(entry()))["tbot-asleep"]
    with pytest.raises(ValidationError):
        cause.sentence = "tbot dreams."


QUIET = {"quiet": {"because": "it sleeps", "requirements": ["ID-01"]}}
VERSIONS = {"component": "tbot", "affected": [{"since": "1.0.0", "fixed": "1.2.0"}]}


def since(version: Any) -> dict[str, Any]:
    return entry(versions=VERSIONS | {"affected": [{"since": version, "fixed": "19.0"}]})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "the file: Input should be a valid dictionary"),
        ({"causes": [entry()]}, "place: Field required"),
        (topic(), "causes: Tuple should have at least 1 item"),
        ({"place": 1, "causes": {}}, "causes: Input should be a valid tuple"),
        (topic(entry(), colour="red"), "colour: Extra inputs are not permitted"),
        (topic(3), "0: Input should be a valid dictionary"),
        (topic({"id": "a"}), "a.sentence: Field required"),
        (topic(entry(id="Not an id")), "Not an id.id: String should match"),
        (topic(entry(colour="red")), "tbot-asleep.colour: Extra inputs are not permitted"),
        (topic(entry(sentence=3)), "tbot-asleep.sentence: Input should be a valid string"),
        (topic(entry(sentence="")), "tbot-asleep.sentence"),
        (topic(entry(remedy=[])), "tbot-asleep.remedy"),
        (topic(entry(remedy="Wake it.")), "tbot-asleep.remedy: Input should be a valid tuple"),
        (topic(entry(remedy=[3])), "tbot-asleep.remedy.0"),
        (topic(entry(versions=VERSIONS | {"component": "etcd"})), "tbot-asleep.versions.component"),
        (topic(entry(versions=VERSIONS | {"affected": []})), "tbot-asleep.versions.affected"),
        (topic(since("18")), "affected.0.since: Value error, '18'"),
        (topic(since(18.0)), "affected.0.since"),
        (topic(entry(), entry()), "more than one cause tbot-asleep"),
        (
            topic(entry(told_from={"tbot-absent": "w."})),
            "told_from of tbot-asleep names 'tbot-absent', which is not another cause",
        ),
        (
            topic(entry(told_from={"tbot-asleep": "w."})),
            "told_from of tbot-asleep names 'tbot-asleep', which is not another cause",
        ),
        (
            topic(entry(lasts_as={"cause": "gone", "until_seen_at": "Pod"})),
            "lasts_as of tbot-asleep names 'gone', which is not another cause",
        ),
        (topic(entry(lasts_as={"cause": "tbot-tired"})), "tbot-asleep.lasts_as.until_seen_at: Field required"),
        (topic(entry(explains=["gone"])), "explains of tbot-asleep names 'gone', which is not another cause"),
        (topic(entry(explains=["tbot-asleep"])), "explains of tbot-asleep names 'tbot-asleep', which is not another cause"),
        (
            topic(entry(explains=["tbot-tired"]), entry(id="tbot-tired", explains=["tbot-asleep"])),
            "explains leads from tbot-asleep, tbot-tired back to the same cause",
        ),
        (topic(entry(symptoms=["gone"])), "symptoms of tbot-asleep names 'gone', which is no symptom"),
        (topic(entry(symptoms=["quiet", "quiet"]), symptoms=QUIET), "symptoms of tbot-asleep names one twice"),
        (topic(entry(), symptoms=QUIET), "no cause has the symptom quiet"),
        (topic(entry(), symptoms={"quiet": {**QUIET["quiet"], "colour": "red"}}), "symptoms.quiet.colour: Extra inputs"),
        (topic(entry(), symptoms={"quiet": {**QUIET["quiet"], "requirements": []}}), "symptoms.quiet.requirements"),
        (
            topic(entry(), symptoms={"quiet": {**QUIET["quiet"], "requirements": ["x"]}}),
            "symptoms.quiet.requirements.0",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_causes({"a-file.yaml": document})
    assert said in caught.value.seen
    assert caught.value.where == "a-file.yaml"


@pytest.mark.parametrize(
    ("first", "second", "said", "where"),
    [
        (topic(entry()), topic(entry(id="tbot-tired")), "place 1 is that of a.yaml as well", "b.yaml"),
        (topic(entry()), topic(entry(), place=2), "more than one cause tbot-asleep; a.yaml has it", "b.yaml"),
        (
            topic(entry(symptoms=["quiet"]), symptoms=QUIET),
            topic(entry(id="tbot-tired"), symptoms=QUIET, place=2),
            "more than one symptom quiet; a.yaml has it",
            "b.yaml",
        ),
        (
            topic(entry(explains=["tbot-tired"])),
            topic(entry(id="tbot-tired", explains=["tbot-asleep"]), place=2),
            "explains leads from tbot-asleep, tbot-tired back to the same cause",
            "a.yaml, b.yaml",
        ),
        (topic(entry()), topic(entry(id="tbot-tired", explains=["gone"]), place=2), "explains of tbot-tired", "b.yaml"),
    ],
)
def test_files_that_do_not_go_together_are_refused(first: Any, second: Any, said: str, where: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_causes({"a.yaml": first, "b.yaml": second})
    assert said in caught.value.seen
    assert caught.value.where == where


def test_files_stand_in_the_order_of_their_places_and_share_symptoms() -> None:
    first, second = (
        topic(entry(symptoms=["quiet"]), place=2),
        topic(entry(id="tbot-tired", symptoms=["quiet"]), symptoms=QUIET),
    )
    causes = parse_causes({"a.yaml": first, "b.yaml": second})
    assert [*causes] == ["tbot-tired", "tbot-asleep"]
    assert {each: causes[each].symptoms for each in causes} == {"tbot-tired": ("quiet",), "tbot-asleep": ("quiet",)}
    assert causes.symptoms["quiet"].requirements == ("ID-01",)


def test_several_directories_are_read_and_each_must_have_causes(tmp_path: Path) -> None:
    for number, name in enumerate(("own", "of-a-provider"), 1):
        (tmp_path / name).mkdir()
        text = yaml.safe_dump(topic(entry(id=f"tbot-{name}"), place=number))
        (tmp_path / name / "tbot.yaml").write_text(text, encoding="utf-8")
    assert [*read_causes([tmp_path / "of-a-provider", tmp_path / "own"])] == ["tbot-own", "tbot-of-a-provider"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no file of causes"):
        read_causes([tmp_path / "empty"])


# Defects of releases.


@pytest.mark.parametrize(
    ("component", "version"),
    [
        ("tbot", "16.0.0"),
        ("tbot", "17.7.13"),
        ("tbot", "18.0.0"),
        ("tbot", "18.6.3"),
        ("tbot", "18.6.3-distroless"),
        ("tbot", "18.0.0-rc.1"),
        ("tbot", "18.6.4-rc.1"),
        ("istio", "1.23.0"),
        ("istio", "1.23.0-distroless"),
        ("istio", "1.24.3"),
    ],
)
def test_affected(component: str, version: str) -> None:
    assert causes_of_release(component, Version.parse(version))


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("17.6.9", [PUSHED_NOT_RENEWED, "tbot-never-recovers", "tbot-hangs-on-unhealthy-cache"]),
        ("17.7.7", [PUSHED_NOT_RENEWED, "tbot-hangs-on-unhealthy-cache"]),
        ("18.1.0", [PUSHED_NOT_RENEWED, "tbot-hangs-on-unhealthy-cache"]),
        ("18.2.10", [PUSHED_NOT_RENEWED]),
    ],
)
def test_each_defect_of_a_release_is_told(version: str, names: list[str]) -> None:
    assert [cause.id for cause in causes_of_release("tbot", Version.parse(version))] == names


@pytest.mark.parametrize(
    ("component", "version"),
    [
        ("tbot", "17.7.14"),
        ("tbot", "17.8.0"),
        ("tbot", "18.6.4"),
        ("tbot", "18.6.4-distroless"),
        ("tbot", "19.0.0-prealpha.2"),
        ("istio", "1.23.6"),
        ("istio", "1.24.4-distroless"),
        ("istio", "1.31.0-lab"),
        ("istio", "18.6.3"),
        ("tctl", "18.6.3"),
    ],
)
def test_not_affected(component: str, version: str) -> None:
    assert causes_of_release(component, Version.parse(version)) == ()


RELEASES = [cause for cause in CAUSES.values() if cause.versions]


def test_the_versions_to_upgrade_to_are_not_affected_themselves() -> None:
    for cause in RELEASES:
        assert cause.versions is not None
        for version in cause.versions.fixed_in.split(" or "):
            assert cause not in causes_of_release(cause.versions.component, Version.parse(version))
    releases = CAUSES[PUSHED_NOT_RENEWED].versions
    assert releases is not None
    assert releases.fixed_in == "18.6.4 or 17.7.14"


def test_every_defect_of_a_release_refers_to_an_issue() -> None:
    assert RELEASES
    assert all("#" in reference for cause in RELEASES for reference in cause.references)


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.id)
def test_a_clause_is_the_sentence_inside_another_one(cause: Cause) -> None:
    assert cause.clause[0].islower()
    assert not cause.clause.endswith(".")
    assert f"{cause.clause[1:]}." == cause.sentence[1:]
