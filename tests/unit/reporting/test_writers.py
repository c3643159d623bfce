"""The files of a run have the right content, and appear whole or not at all."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from facts.errors import BadInput
from facts.finding import Holds
from facts.masks import as_json
from facts.redaction import redact
from judge.verdict import Authority, Ending, Verdict
from reporting.model import Report, RunFacts, StepState
from reporting.writing.document import from_json, to_json
from reporting.writing.html import CAP, to_html
from reporting.writing.junit import to_junit
from reporting.writing.last_look import last_look
from reporting.writing.publish import UNFINISHED, begin, publish, publish_so_far
from reporting.writing.terminal import summary
from reporting.writing.words import HOW_TO_READ_STEPS, reasons_of, scope_in_words, word_of
from tests.unit.facts.canaries import CANARIES, left_in
from tests.unit.reporting.sample import BODIES, CAUSE, LONG, ONE, TWO, finding, report, scenario, step

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element must be closed in order, every id be unique, every local link have its target."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        self.elements.append(tag)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named[a] for a in ("href", "src") if a in named]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(report(), BODIES)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


class TestHtml:
    def test_it_is_well_formed(self, page: Page) -> None:
        assert page.open == []
        assert sorted(set(page.ids)) == sorted(page.ids)
        assert not [i for i in page.ids if re.search(r"\s", i)]

    def test_its_links_lead_somewhere_in_the_run_or_the_page(self, page: Page) -> None:
        files = {"report.json", "junit.xml", "SHA256SUMS", "data:,", *(e.file for e in report().evidence)}
        files |= {r for cause in report().causes for r in cause.references}

        assert {link for link in page.links if not link.startswith("#")} <= files
        assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)

    def test_it_needs_no_script_and_no_network(self, html: str, page: Page) -> None:
        assert "script" not in page.elements
        assert not re.search(r"@import|url\(", html)
        # Word by word: over the whole page the same expression takes a time that grows with the square of the longest word.
        before = {found[1] for word in html.split() if (found := re.match(r"(.+)https?://", word))}
        assert before <= {'href="', 'rel="noreferrer">'}, "an address is there to be read or followed, never loaded"

    def test_it_says_where_readings_behind_a_statement_were_redacted(self, page: Page) -> None:
        assert "redacted in" not in page.text
        two, one = (
            [replace(e, redactions=n) if e.id == of.id else e for e in report().evidence] for of, n in ((TWO, 3), (ONE, 1))
        )
        problem = Page(to_html(report(evidence=tuple(two)), BODIES)).text
        assert "kubectl get two (3 redacted in it)" in problem
        settled = Page(to_html(report(evidence=tuple(one)), BODIES)).text
        assert "trust domain b (1 redacted in its readings)" in settled

    def test_everything_is_escaped(self, html: str) -> None:
        assert "<script>" not in html
        assert "&lt;script&gt;alert(1)" in html
        assert '&lt;/script&gt; "quoted"' in html, "quotes in what was read stay, for they mean nothing there"
        assert "<b>holds</b>" not in html
        assert "\x00" not in html

    def test_it_says_what_it_is_about(self, page: Page) -> None:
        for words in (
            "Not conformant (rehearsal)",
            "This is a rehearsal.",
            "existing cluster staging",
            "clean-up of 'cluster' failed: a namespace is left",
            "istioctl version verifies it.",
            "The guide's words istioctl version verifies it. Step 0",
            "Why the guide is not enough It always succeeds.",
            "The guide's own check, here It prints 1.30.",
            "trust domain b",
            "What to do Istio's trust domain is not the Teleport cluster name",
            "Set meshConfig.trustDomain to the Teleport cluster name",
            "needs --allow disruptive",
            "waived by platform-team: until release 12",
            "never started",
            "pytest features/ -k 'A and B'",
            "unknown",
        ):
            assert words in page.text, words

    def test_every_requirement_has_its_place_and_its_verdict_in_words(self, page: Page) -> None:
        for judged in report().judged:
            assert judged.requirement.id in page.ids
            assert judged.verdict.value in page.text

    def test_a_body_is_shown_once_and_cut_at_the_cap(self, html: str) -> None:
        assert html.count("x" * CAP) == 1
        assert "x" * (CAP + 1) not in html
        assert f'70000 bytes are in <a href="{report().evidence[2].file}"' in html
        assert html.count(f'id="{ONE.id}"') == 1
        assert f'href="#{ONE.id}"' in html

    def test_a_certified_run_says_nothing_of_rehearsals(self) -> None:
        certified = replace(report(), facts=RunFacts(authority=Authority.TELEPORT)).decided()

        text = Page(to_html(certified, BODIES)).text

        assert "rehearsal" not in text.lower()

    def test_a_run_of_nothing_is_a_page_too(self) -> None:
        nothing = replace(
            report(), judged=(), scenarios=(), evidence=(), run_evidence=(), timeline=(), inputs={}, waivers=()
        )

        assert Page(to_html(nothing.decided(), {})).open == []

    def test_a_scenario_that_no_requirement_rests_on_is_shown(self) -> None:
        orphan = replace(scenario("Z-1"), name="An orphan", requirements=())

        assert "An orphan" in Page(to_html(replace(report(), scenarios=(orphan,)), BODIES)).text


def junit(of: Report) -> ET.Element:
    return ET.fromstring(to_junit(of))  # noqa: S314  our own output


class TestJunit:
    def test_each_verdict_is_one_case(self) -> None:
        cases = {c.get("name", "").split()[0]: c for c in junit(report()).iter("testcase")}

        found = {name: next((e.tag for e in case if e.tag != "system-out"), "passed") for name, case in cases.items()}

        assert found == {
            "run": "error",
            "A-1": "passed",
            "A-2": "failure",
            "A-3": "error",
            "B-1": "skipped",
            "B-2": "skipped",
            "B-3": "skipped",
            "B-4": "error",
        }

    @pytest.mark.parametrize("ending", [Ending.VIOLATED, Ending.BROKE])
    def test_with_exit_code_0_it_has_no_failure_and_no_error(self, ending: Ending) -> None:
        low = step(
            StepState.VIOLATED, *([finding("A-3", Holds.NO, TWO)] if ending is Ending.VIOLATED else []), evidence=(TWO,)
        )
        scenarios = (report().scenarios[0], scenario("A-3", low, ending=ending, reason="A-3: one\ntwo"))
        passed = replace(report(scenarios=scenarios, run_errors=()), facts=RunFacts(authority=Authority.TELEPORT))
        passed = replace(passed, judged=tuple(j for j in passed.judged if j.requirement.id in ("A-1", "A-3"))).decided()
        assert (passed.result.value, passed.exit_code) == ("pass", 0)

        root = junit(passed)

        assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == dict.fromkeys(
            ("failures", "errors", "skipped"), "0"
        ) | {"tests": "2"}
        (case,) = (c for c in root.iter("testcase") if c.get("name", "").startswith("A-3"))
        (told,) = case.iter("property")
        assert told.get("name") == ("recommendation not met" if ending is Ending.VIOLATED else "error")
        assert told.get("value")
        assert "The cause is not known." in (case.findtext("system-out") or "") or ending is Ending.BROKE

    def test_a_recommendation_that_is_not_met_fails_no_case_of_a_failed_run_either(self) -> None:
        low = scenario(
            "A-3", step(StepState.VIOLATED, finding("A-3", Holds.NO, TWO), evidence=(TWO,)), ending=Ending.VIOLATED
        )
        others = tuple(s for s in report().scenarios if "A-3" not in s.requirements)
        for strict, element in ((False, None), (True, "failure")):
            cases = junit(report(scenarios=(*others, low), strict=strict)).iter("testcase")
            (case,) = (c for c in cases if c.get("name", "").startswith("A-3"))
            assert (case.find("failure") is not None) is (element == "failure")

    def test_its_sums_are_right(self) -> None:
        root = junit(report())

        assert [s.get("name") for s in root] == ["run", "a", "b"]
        assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
            "tests": "8",
            "failures": "1",
            "errors": "3",
            "skipped": "3",
        }
        assert sum(int(s.get("tests", "0")) for s in root) == 8

    @pytest.mark.parametrize(
        ("rerun", "why"),
        [
            (True, "pytest ran only earlier failures again, which proves nothing about the rest"),
            (False, "no MUST about the install passed in this run"),
        ],
    )
    def test_an_inconclusive_run_has_an_error_that_says_why(self, rerun: bool, why: str) -> None:
        whole = report(run_errors=(), scope=replace(report().scope, rerun_of_failures=rerun))
        of = tuple(j for j in whole.judged if j.requirement.id == ("A-1" if rerun else "B-3"))
        made = replace(whole, judged=tuple(replace(j, verdict=Verdict.PASS if rerun else j.verdict) for j in of)).decided()
        assert made.exit_code == 6

        root = junit(made)

        assert (root.get("failures"), root.get("errors")) == ("0", "1")
        assert [(s.get("name"), e.text) for s in root for e in s.iter("error")] == [("run", why)]

    def test_characters_that_xml_cannot_hold_do_not_break_it(self) -> None:
        broken = report(run_errors=("an escape \x1b[31m and a \x00",))

        assert junit(broken).find(".//error") is not None

    def test_a_run_without_errors_has_no_suite_of_its_own(self) -> None:
        assert [s.get("name") for s in junit(report(run_errors=()))] == ["a", "b"]


class TestTerminal:
    def lines(self, of: Report | None = None) -> list[str]:
        return [line for line, _ in summary(of or report(), Path("reports/r"))]

    def test_one_line_a_requirement_by_profile(self) -> None:
        lines = self.lines()

        assert lines[1:4] == ["a", "-", "✓ A-1     What A-1 promises <b>holds</b>."]
        assert "✕ A-2     What A-2 promises <b>holds</b>." in lines
        assert "– B-1     What B-1 promises <b>holds</b>. [skipped]" in lines

    def test_causes_come_first_with_their_remedies_then_the_rest_then_the_result(self) -> None:
        lines = self.lines()
        (cause,) = report().causes

        begin = lines.index("Causes, and what to do")
        assert lines[begin + 1 :][:12] == [
            HOW_TO_READ_STEPS,
            "",
            f"✕ {CAUSE}: {cause.sentence}",
            "    breaks A-2: ConfigMap x/y: trust domain b",
            f"    What to do: 1. {cause.remedy[0]}",
            f"    2. {cause.remedy[1]}",
            f"    3. {cause.remedy[2]}",
            f"    Check again: {cause.check}",
            "",
            "What else fails, or could not be determined",
            "",
            "! A-3 What A-3 promises <b>holds</b>. [error]",
        ]
        assert lines[-9:] == [
            "",
            "Certified: no (a rehearsal against a stand-in)",
            "1 of 6 checks hold; 1 does not apply",
            "result:    fail: Not conformant (rehearsal)",
            "authority: a stand-in for Teleport: this run is a rehearsal and certifies nothing",
            "scope:     profiles core; existing cluster staging; allowed read-only; only -k 'A'",
            f"causes:    {CAUSE}; what to do stands above",
            "report:    reports/r/report.html",
            "7: 1 pass · 1 fail · 1 error · 1 not-evaluated · 1 waived · 1 skipped · 1 not-applicable · 1m15s · exit 1",
        ]

    def test_one_cause_of_many_errors_is_said_once(self) -> None:
        broke = tuple(replace(s, ending=s.ending.BROKE, steps=(), reason="setup: no cluster") for s in report().scenarios)

        lines = self.lines(report(scenarios=broke))

        assert lines.count("    setup: no cluster") == 1
        assert "! A-1, A-2, A-3, B-1, B-2, B-3, B-4 [error]" in lines


def test_reasons_name_their_scenarios_only_where_they_differ() -> None:
    same = report(scenarios=(report().scenarios[2], replace(report().scenarios[2], id="f::other", name="other")))
    differ = report(
        scenarios=(report().scenarios[2], replace(report().scenarios[2], id="f::other", name="other", reason="y"))
    )

    assert reasons_of(same, same.judged[2]) == ("KeyError: 'x'\n  a.py:1 in f",)
    assert reasons_of(differ, differ.judged[2]) == ("S A-3: KeyError: 'x'\n  a.py:1 in f", "other: y")


def test_a_should_that_fails_is_called_a_finding_unless_findings_fail_the_run() -> None:
    low = scenario("A-3", step(StepState.VIOLATED, finding("A-3", Holds.NO, TWO), evidence=(TWO,)), ending=Ending.VIOLATED)
    others = tuple(s for s in report().scenarios if "A-3" not in s.requirements)
    found, strict = (report(scenarios=(*others, low), strict=strict) for strict in (False, True))
    for told, word, sign in ((found, "finding", "▲"), (strict, "fail", "✕")):
        (judged,) = (j for j in told.judged if j.requirement.id == "A-3")
        assert judged.verdict is Verdict.FAIL
        assert word_of(told, judged) == word
        assert f"{sign} A-3" in "\n".join(line for line, _markup in summary(told, Path("reports/latest")))
    assert "1 ▲ finding" in Page(to_html(found, BODIES)).text
    assert "▲" not in Page(to_html(strict, BODIES)).text


def test_the_scope_is_one_line() -> None:
    assert scope_in_words(
        replace(report().scope, cluster="kind", markers="m", rerun_of_failures=True, namespaces=("a",))
    ) == (
        "profiles core; kind cluster made for this run; allowed read-only; namespaces a; only -k 'A'; only -m 'm'; "
        "rerun of earlier failures"
    )


PART = "node down is not Ready, with its 2 pods"


def test_what_was_not_judged_stands_beside_the_result_and_does_not_change_it() -> None:
    whole = report()
    less = replace(whole, scope=replace(whole.scope, not_judged=(PART,))).decided()
    (scope,) = [line for line, _ in summary(less, Path("r")) if line.startswith("scope:")]
    assert (less.result, less.exit_code) == (whole.decided().result, whole.decided().exit_code)
    for said in (scope, Page(to_html(less, BODIES)).text):
        assert f"not judged: {PART}" in said
    assert {p.get("value") for p in junit(less).iter("property") if p.get("name") == "not judged"} == {PART}


LINE = "Teleport's proxy (--teleport-insecure)"


@pytest.mark.parametrize(
    ("cluster", "doubtful"), [("existing", True), ("kind", False), ("kept", False)], ids=["existing", "kind", "kept"]
)
def test_an_unverified_line_is_shown_and_on_an_existing_cluster_lowers_the_result(cluster: str, *, doubtful: bool) -> None:
    passed = report(
        scenarios=(report().scenarios[0],), run_errors=(), scope=replace(report().scope, cluster=cluster, unverified=(LINE,))
    )
    only = replace(passed, judged=passed.judged[:1], facts=RunFacts(authority=Authority.TELEPORT)).decided()
    words = "inconclusive at best"

    assert (only.result.value, only.exit_code) == (("inconclusive", 6) if doubtful else ("pass", 0))
    assert only.headline == ("Inconclusive" if doubtful else "Conformant")
    (scope,) = [line for line, _ in summary(only, Path("r")) if line.startswith("scope:")]
    for said in (scope, Page(to_html(only, BODIES)).text):
        assert f"not verified: {LINE}" in said
        assert (words in said) is doubtful
    cases = {case.get("name", "").split()[0]: case.find("error") for case in junit(only).iter("testcase")}
    assert [*cases] == (["A-1", "result"] if doubtful else ["A-1"])
    assert cases["A-1"] is None
    if doubtful:
        assert (cases["result"].text if cases["result"] is not None else "") == (
            f"nobody verified who answers on these lines: {LINE}"
        )
    properties = junit(only).find("testsuite/properties")
    assert properties is not None
    assert [p.get("value") for p in properties if p.get("name") == "unverified"] == [LINE]
    assert from_json(to_json(only)).scope.unverified == (LINE,)


class TestLastLook:
    def test_a_clean_report_is_left_as_it_is(self) -> None:
        assert last_look(report(), BODIES) == (report(), BODIES)

    def test_a_secret_in_a_body_is_taken_out_and_said(self) -> None:
        looked, bodies = last_look(report(), {**BODIES, TWO.id: "password: canary-value"})

        assert bodies[TWO.id] == "password: [redacted]"
        entry = looked.evidence[1]
        assert entry.sha256 == hashlib.sha256(b"password: [redacted]").hexdigest()
        assert (entry.redactions, entry.size) == (1, 20)
        assert TWO.id in looked.run_errors[-1]

    def test_a_value_that_the_run_was_told_to_hide_is_looked_for_too(self) -> None:
        looked, bodies = last_look(report(), {**BODIES, TWO.id: "a-token-that-joins"}, ["a-token-that-joins"])

        assert bodies[TWO.id] == "[redacted]"
        assert TWO.id in looked.run_errors[-1]

    def test_a_secret_in_the_report_is_taken_out_and_said(self) -> None:
        (token,) = (canary for canary in CANARIES if canary.form == "JWT")
        looked, _ = last_look(report(command_line=("pytest", token.text)), BODIES)

        assert left_in(str(looked), token) == ()
        assert "report.command_line.1" in looked.run_errors[-1]

    def test_a_sentence_that_looks_like_a_secret_spoils_no_run(self) -> None:
        looked, bodies = last_look(
            report(command_line=("pytest", "container password: CrashLoopBackOff")),
            {**BODIES, TWO.id: '{"name":"--token","x":"--token x"}'},
        )

        assert looked.command_line == ("pytest", "container password: [redacted]")
        assert looked.run_errors == report().run_errors
        assert bodies[TWO.id] == '{"name":"--token","x":"--token x"}'

    def test_what_looks_like_a_secret_over_two_texts_of_a_document_spoils_no_run(self) -> None:
        wrapped = base64.b64encode(b"x" * 40 + b"password=hunter2hunter2hunter2").decode()
        document = as_json({"args": [wrapped[:64], f"\n{wrapped[64:]}\n"]})
        assert redact(document).count, "as one text it looks like a secret"
        for body in (document, f"{document}\n{document}\n"):
            assert last_look(report(), {**BODIES, TWO.id: body})[1][TWO.id] == body
            assert last_look(report(), {**BODIES, TWO.id: body})[0].run_errors == report().run_errors

    @pytest.mark.parametrize("name", ["xoxb-1234567890ab", "xoxp-payments-service-77", "glpat-aaaaaaaaaaaaaaaaaaaaaa"])
    def test_no_name_of_an_object_spoils_a_run(self, name: str) -> None:
        body = as_json({"metadata": {"name": name, "namespace": name}})
        looked, bodies = last_look(report(command_line=("pytest", name)), {**BODIES, TWO.id: body})

        assert (looked.run_errors, bodies[TWO.id]) == (report().run_errors, body)

    @pytest.mark.parametrize("depth", [99, 100, 900, 100_000])
    def test_no_depth_of_what_a_workload_writes_ends_the_last_look(self, depth: int) -> None:
        (token,) = (canary for canary in CANARIES if canary.form == "JWT")
        nested = "[" * depth + f'"{token.text}"' + "]" * depth
        for body in (nested, f"a line of a log\n{nested}\n"):
            looked, bodies = last_look(report(), {**BODIES, TWO.id: body})

            assert left_in(bodies[TWO.id], token) == ()
            assert bodies[TWO.id].startswith(body[:16])
            assert looked.evidence[1].redactions == 1

    def test_a_secret_in_a_document_is_taken_out_by_itself(self) -> None:
        (token,) = (canary for canary in CANARIES if canary.form == "JWT")
        document = as_json({"kept": 'a "quote"', token.text: [{"deep": f"is {token.text}"}]})
        clean = '{"kept":"a \\"quote\\"","got [redacted] from it":[{"deep":"is got [redacted] from it"}]}'
        for body, left, number in ((document, clean, 2), (f"a\n{document}\nb", f"a\n{clean}\nb", 2)):
            looked, bodies = last_look(report(), {**BODIES, TWO.id: body})

            assert bodies[TWO.id] == left
            assert looked.evidence[1].redactions == number
            assert TWO.id in looked.run_errors[-1]


class TestPublish:
    def test_everything_is_there_and_its_digests_hold(self, tmp_path: Path) -> None:
        written, directory = publish(report(), BODIES, tmp_path / "reports")

        assert from_json((directory / "report.json").read_text()) == written == report()
        assert {p.name for p in directory.iterdir()} == {
            "SHA256SUMS",
            "evidence",
            "junit.xml",
            "report.html",
            "report.json",
        }
        assert (directory / written.evidence[2].file).read_text() == LONG.body
        checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=directory, check=False)
        assert checked.returncode == 0
        assert (tmp_path / "reports/latest").readlink() == Path(report().run_id)

    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        reports = tmp_path / "reports"
        before = os.umask(0)
        try:
            _, directory = publish(report(), BODIES, reports)
        finally:
            os.umask(before)

        modes = {p.relative_to(reports): p.stat().st_mode & 0o777 for p in (reports, *directory.rglob("*"), directory)}
        assert {p: m for p, m in modes.items() if m != (0o700 if (reports / p).is_dir() else 0o600)} == {}

    def test_only_the_owner_can_read_what_a_run_has_concluded_so_far(self, tmp_path: Path) -> None:
        place = tmp_path / report().run_id
        before = os.umask(0)
        try:
            begin(report().run_id, tmp_path)
            begun = {p: p.stat().st_mode & 0o777 for p in (place, *place.rglob("*"))}
            publish_so_far(report(), BODIES, tmp_path)
        finally:
            os.umask(before)

        assert begun == {place: 0o700, place / UNFINISHED: 0o600}
        modes = {p: p.stat().st_mode & 0o777 for p in (place, *place.rglob("*"))}
        assert {p: m for p, m in modes.items() if m != (0o700 if p.is_dir() else 0o600)} == {}

    def test_latest_moves_on_and_the_old_run_stays(self, tmp_path: Path) -> None:
        publish(report(), BODIES, tmp_path)
        publish(replace(report(), run_id="next"), BODIES, tmp_path)

        assert sorted(p.name for p in tmp_path.iterdir()) == [report().run_id, "latest", "next"]
        assert (tmp_path / "latest").readlink() == Path("next")

    def test_a_full_disk_leaves_nothing_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(report(), BODIES, tmp_path)
        flushed = []

        def full(descriptor: int) -> None:
            flushed.append(descriptor)
            if len(flushed) > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            publish(replace(report(), run_id="next"), BODIES, tmp_path)

        assert sorted(p.name for p in tmp_path.iterdir()) == [report().run_id, "latest"]
        assert (tmp_path / "latest").readlink() == Path(report().run_id)

    def test_files_are_flushed_before_the_run_has_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[bool] = []
        real = os.fsync

        def watching(descriptor: int) -> None:
            seen.append((tmp_path / report().run_id).exists())
            real(descriptor)

        monkeypatch.setattr("os.fsync", watching)
        publish(report(), BODIES, tmp_path)

        assert seen == [False] * 8 + [True]  # three bodies, four files and the directory; then the directory of runs

    def test_a_run_has_its_directory_from_its_start_and_its_name_for_itself(self, tmp_path: Path) -> None:
        publish(replace(report(), run_id="older"), BODIES, tmp_path)
        begin(report().run_id, tmp_path)

        assert (tmp_path / "latest").readlink() == Path(report().run_id)
        assert "process " in (tmp_path / report().run_id / UNFINISHED).read_text()
        with pytest.raises(BadInput, match="expected a run-id that no other run has"):
            begin(report().run_id, tmp_path)

    def test_what_a_run_has_concluded_so_far_is_replaced_until_it_ends(self, tmp_path: Path) -> None:
        begin(report().run_id, tmp_path)
        for version in ("so far", "a little later"):
            publish_so_far(replace(report(), suite_version=version), BODIES, tmp_path)
            written = from_json((tmp_path / "latest/report.json").read_text())
            assert written.suite_version == version
            assert (tmp_path / "latest" / UNFINISHED).exists()
        publish(report(), BODIES, tmp_path)

        assert from_json((tmp_path / "latest/report.json").read_text()) == report()
        assert not (tmp_path / "latest" / UNFINISHED).exists()
        assert sorted(p.name for p in tmp_path.iterdir()) == [report().run_id, "latest"]
        with pytest.raises(FileNotFoundError):
            publish_so_far(report(), BODIES, tmp_path)

    def test_an_end_that_finds_no_room_leaves_what_there_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        begin(report().run_id, tmp_path)
        publish_so_far(replace(report(), suite_version="so far"), BODIES, tmp_path)

        def full(self: Path, target: Path) -> Path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        real = Path.rename
        monkeypatch.setattr(Path, "rename", lambda self, to: (full if ".partial" in self.name else real)(self, to))
        with pytest.raises(OSError, match="No space left"):
            publish(report(), BODIES, tmp_path)

        assert from_json((tmp_path / "latest/report.json").read_text()).suite_version == "so far"
        assert sorted(p.name for p in tmp_path.iterdir()) == [report().run_id, "latest"]

    def test_a_run_is_never_overwritten(self, tmp_path: Path) -> None:
        publish(report(), BODIES, tmp_path)

        with pytest.raises(OSError, match="not empty"):
            publish(replace(report(), suite_version="other"), BODIES, tmp_path)

        assert '"1.2.3"' in (tmp_path / report().run_id / "report.json").read_text()
