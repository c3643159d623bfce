"""The settings: who wins over whom, what words and nested names mean, and what is refused."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from settings import BadSettings, Names, Settings, Sizes, Timeouts, Waived, cache_directory, defaults, described, load

EVERYTHING = frozenset({"read-only", "namespaced", "disruptive"})


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory and an environment without a setting."""
    for name in [n for n in os.environ if n.upper().startswith("CONFORMANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def in_file(text: str) -> None:
    Path("conformance.toml").write_text(text, encoding="utf-8")


def refused(**given: Any) -> str:
    with pytest.raises(BadSettings) as raised:
        load(**given)
    words = str(raised.value)
    assert "What to do: " in words
    return words


# Precedence.


def test_the_defaults_are_the_guides_names_and_a_cluster_of_our_own() -> None:
    settings = load()
    assert (settings.cluster, settings.profiles, settings.allow) == ("kind", ("core",), ())
    assert settings.names == Names()
    assert (settings.names.tbot_namespace, settings.names.token) == ("teleport-system", "istio-tbot-k8s-join")


def test_command_line_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [load().kind_name]
    in_file('kind_name = "file"')
    seen.append(load().kind_name)
    monkeypatch.setenv("CONFORMANCE_KIND_NAME", "environment")
    seen.append(load().kind_name)
    seen.append(load(kind_name="line").kind_name)
    assert seen == ["conformance", "file", "environment", "line"]


def test_an_option_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_STRICT", "true")
    assert load(strict=None, context=None).strict is True


def test_an_option_that_says_no_wins_over_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_STRICT", "true")
    assert load(strict=False).strict is False


def test_nested_settings_of_file_and_environment_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    in_file('[timeouts]\npod_ready = 3\nsvid = 4\n[names]\ntoken = "ours"')
    monkeypatch.setenv("CONFORMANCE_TIMEOUTS__POD_READY", "7")
    monkeypatch.setenv("CONFORMANCE_NAMES__BOT", "robot")
    settings = load()
    assert (settings.timeouts.pod_ready, settings.timeouts.svid, settings.timeouts.command) == (7, 4, 30)
    assert (settings.names.token, settings.names.bot, settings.names.role) == ("ours", "robot", Names().role)


def test_an_empty_variable_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_CONTEXT", "")
    in_file('context = "staging"')
    assert load().context == "staging"


def test_no_dotenv_file_is_read() -> None:
    Path(".env").write_text("CONFORMANCE_CONTEXT=production\n", encoding="utf-8")
    assert load().context == ""


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().context = "other"


# Words.


@pytest.mark.parametrize("given", ["install,checklist", " install , checklist ,", "install,,checklist"])
def test_words_from_command_line_and_environment(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(profiles=given).profiles == ("install", "checklist")
    monkeypatch.setenv("CONFORMANCE_PROFILES", given)
    assert load().profiles == ("install", "checklist")


def test_words_as_a_list_in_the_file() -> None:
    in_file('profiles = ["install", "checklist"]')
    assert load().profiles == ("install", "checklist")


# Safety.


def test_everything_is_allowed_on_a_cluster_of_our_own() -> None:
    assert load().allowed_safety == EVERYTHING


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [
        (None, {"read-only"}),
        ("namespaced", {"read-only", "namespaced"}),
        ("disruptive", EVERYTHING),
        ("namespaced,disruptive", EVERYTHING),
    ],
)
def test_an_existing_cluster_is_only_looked_at_unless_more_is_allowed(allow: str | None, allowed: set[str]) -> None:
    assert load(cluster="existing", context="staging", allow=allow).allowed_safety == allowed


# Timeouts.


def test_the_scale_multiplies_every_timeout() -> None:
    settings = load(timeout_scale="2.5")
    doubled = settings.patience
    for name in Timeouts.model_fields:
        assert getattr(doubled, name) == getattr(settings.timeouts, name) * 2.5
    assert load().patience == Timeouts()


def test_every_setting_has_a_sentence() -> None:
    fields = [f for model in (Settings, Timeouts, Sizes, Names, Waived) for f in model.model_fields.values()]
    assert all(f.description and f.description.endswith((".", "…", ")")) for f in fields)


def test_a_waiver_says_who_why_and_until_when() -> None:
    in_file('[waivers.INST-16]\nowner = "platform team"\njustification = "soon"\nlast_day = 2026-12-31\n')
    decided = Waived(owner="platform team", justification="soon", last_day=date(2026, 12, 31))
    assert load().waivers == {"INST-16": (decided,)}
    several = "".join(
        f'[[waivers.INST-16]]\nowner = "a"\njustification = "soon"\nlast_day = 2026-12-31\nsubjects = ["{each}"]\n'
        for each in ("Pod shop/*", "Node a")
    )
    in_file(several)
    assert [each.subjects for each in load().waivers["INST-16"]] == [("Pod shop/*",), ("Node a",)]
    in_file('[waivers.INST-16]\nowner = "platform team"\njustification = ""\nsubjects = [""]\n')
    said = refused()
    assert "waivers.INST-16.0.justification" in said
    assert "waivers.INST-16.0.last_day" in said
    assert "waivers.INST-16.0.subjects.0" in said


DECIDED = 'owner = "a"\njustification = "soon"\nlast_day = 2026-12-31\n'


def test_waivers_may_be_a_flat_list_that_names_the_requirement_of_each() -> None:
    flat = "".join(f'[[waivers]]\nrequirement = "{each}"\n{DECIDED}' for each in ("ID-08", "ID-11", "ID-08"))
    in_file(flat)
    assert {requirement: len(several) for requirement, several in load().waivers.items()} == {"ID-08": 2, "ID-11": 1}
    in_file(f'[waivers]\nrequirement = "ID-08"\n{DECIDED}')
    assert [*load().waivers] == ["ID-08"]


@pytest.mark.parametrize("requirement", ["", 'requirement = ""\n', "requirement = 8\n"])
def test_a_waiver_without_its_requirement_is_refused_with_both_forms(requirement: str) -> None:
    in_file(f"[[waivers]]\n{requirement}{DECIDED}")
    assert 'each waiver must name its requirement: [waivers.ID-08], or [[waivers]] with requirement = "ID-08"' in refused()


# The cache.


def test_the_cache_is_the_users_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "istio-teleport-conformance" == load().cache
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own" == load().cache


def test_the_cache_of_a_home_without_a_word_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "istio-teleport-conformance"


# Bad input: one sentence with the setting, what was seen and what to try.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cluster": "minikube"}, ("cluster", "'kind' or 'existing'", "'minikube'")),
        ({"nodes": "0"}, ("nodes", "'0'")),
        ({"nodes": "six"}, ("nodes", "'six'")),
        ({"source": "cloud"}, ("source", "'cloud'")),
        ({"allow": "distruptive"}, ("allow", "'disruptive'", "'distruptive'")),
        ({"profiles": " , "}, ("profiles",)),
        ({"timeout_scale": "0"}, ("timeout_scale", "'0'")),
        ({"timeout_scale": "inf"}, ("timeout_scale", "finite")),
        ({"contxt": "staging"}, ("contxt", "no setting of this name")),
        ({"kind_name": "../elsewhere"}, ("kind_name", "'../elsewhere'")),
        ({"kind_name": "a" * 50}, ("kind_name", "49")),
        ({"trust_domain": "Teleport.Test"}, ("trust_domain", "'Teleport.Test'")),
        ({"teleport_proxy": "host:https"}, ("teleport_proxy", "'host:https'")),
        ({"tctl": "tctl --auth 'x"}, ("tctl", "no closing quotation")),
    ],
)
def test_a_value_that_cannot_be_used(given: dict[str, str], words: tuple[str, ...]) -> None:
    said = refused(**given)
    assert [w for w in words if w not in said] == [], said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes = 9", "nodes"),
        ('contxt = "staging"', "contxt: there is no setting of this name"),
        ("[timeouts]\npod_reday = 3", "timeouts.pod_reday: there is no setting of this name"),
        ("[timeouts]\npod_ready = -1", "timeouts.pod_ready"),
        ("nodes = ", "conformance.toml"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, words: str) -> None:
    in_file(text)
    assert words in refused()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CONFORMANCE_NODES", "many"), ("CONFORMANCE_CONTXT", "staging"), ("CONFORMANCE_TIMEOUTS__POD_REDAY", "3")],
)
def test_a_variable_that_cannot_be_used(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    assert variable.removeprefix("CONFORMANCE_").replace("__", ".").lower() in refused().replace("__", ".").lower()


def test_a_file_in_another_encoding_and_a_directory_in_its_place() -> None:
    Path("conformance.toml").write_bytes(b'context = "\xff"')
    assert "expected settings in TOML; saw 'utf-8' codec" in refused()
    Path("conformance.toml").unlink()
    Path("conformance.toml").mkdir()
    assert "expected settings in TOML; saw a directory" in refused()


def test_the_defaults_of_a_run_that_cannot_start_keep_the_place_of_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    in_file("nonsense")
    assert defaults().reports == Path("reports")
    monkeypatch.setenv("CONFORMANCE_REPORTS", "variable")
    assert defaults(nodes="0").reports == Path("variable")
    assert defaults(reports="line").reports == Path("line")


def test_several_mistakes_are_told_at_once() -> None:
    said = refused(nodes="0", cluster="minikube")
    assert "nodes" in said
    assert "cluster" in said


def test_every_setting_is_described_and_those_of_a_table_by_the_name_that_the_file_has() -> None:
    told = {name: (default, meaning) for name, default, meaning in described(Settings)}
    assert all(meaning for _default, meaning in told.values())
    assert told["profiles"][0] == "core"
    assert told["names.app"] == ("test-app", Names.model_fields["app"].description)
    assert {f"timeouts.{field}" for field in Timeouts.model_fields} <= set(told)
    assert {f"sizes.{field}" for field in Sizes.model_fields} <= set(told)
    assert "names" not in told
