"""The one way to run a command."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.jwks import parse_jwks
from facts.masks import WHOLE, only
from facts.recorder import KeptInMemory
from facts.versions import parse_tctl_version
from observe.command import CommandResult, EndedBySignal, must_run, run

SUBJECT = ObjectRef("Host", "here")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def answered(exit_code: int = 0, stdout: str = "", stderr: str = "") -> CommandResult:
    return CommandResult(("tool", "get", "a b"), exit_code, stdout, stderr, datetime(2026, 3, 1, tzinfo=UTC))


def test_output_error_and_exit_code_are_an_answer() -> None:
    result = run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), timeout=20)
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert datetime.now(UTC) - result.ended_at < timedelta(seconds=60)


def test_arguments_go_through_no_shell() -> None:
    result = run([*python("import sys; print(sys.argv[1:])"), "$HOME; echo", "*"], timeout=20)
    assert result.stdout == "['$HOME; echo', '*']\n"
    assert result.line.endswith("'$HOME; echo' '*'")


def test_standard_input_is_sent_whole_also_where_the_command_reads_late() -> None:
    text = "x" * 300_000
    late = "import sys, time; time.sleep(0.5); print(len(sys.stdin.read()))"
    assert run(python(late), timeout=20, stdin=text).stdout == "300000\n"


def test_a_command_may_end_without_reading_its_input() -> None:
    assert run(python("print('done')"), timeout=20, stdin="x" * 300_000).stdout == "done\n"


def test_without_input_a_command_that_reads_gets_its_end() -> None:
    assert run(python("import sys; print(repr(sys.stdin.read()))"), timeout=20).stdout == "''\n"


def test_variables_are_added_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "kept")
    code = "import os; print(os.environ['OURS'], os.environ['ADDED'])"
    assert run(python(code), timeout=20, env={"ADDED": "new"}).stdout == "kept new\n"
    assert "ADDED" not in os.environ


def test_the_working_directory(tmp_path: Path) -> None:
    assert run(python("import os; print(os.getcwd())"), timeout=20, cwd=tmp_path).stdout.strip() == str(tmp_path.resolve())


def test_output_that_is_not_text_does_not_break_it() -> None:
    result = run(python(r"import sys; sys.stdout.buffer.write(b'a\xffb')"), timeout=20)
    assert result.stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(CouldNotTell, match="expected the program no-such-program; saw it cannot be started") as raised:
        run(["no-such-program", "get"], timeout=20)
    assert raised.value.where == "no-such-program get"


@pytest.mark.parametrize(("mode", "words"), [(0o644, "Permission denied"), (0o755, "Exec format error")])
def test_a_file_that_is_no_program(tmp_path: Path, mode: int, words: str) -> None:
    file = tmp_path / "tool"
    file.write_bytes(b"\x7fELF of another machine")
    file.chmod(mode)
    with pytest.raises(CouldNotTell, match=words):
        run([file], timeout=20)


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CouldNotTell, match=r"expected an answer within 0\.3 s; saw none"):
        run(python("import time; time.sleep(60)"), timeout=0.3)
    assert time.monotonic() - began < 30


def test_a_command_that_is_no_longer_wanted_is_stopped(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    code = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    with pytest.raises(CouldNotTell, match="the suite stopped it"):
        run(python(code), timeout=60, stop=mark.exists)


def test_must_run_passes_an_answer_on_and_tells_the_end_of_a_failure() -> None:
    assert must_run(python("print('fine')"), timeout=20).stdout == "fine\n"
    with pytest.raises(CouldNotTell, match="exit code 4: the last words") as raised:
        must_run(python("import sys; print('the last words', file=sys.stderr); sys.exit(4)"), timeout=20, remedy="log in")
    assert raised.value.remedy == "log in"


def test_the_tail_prefers_standard_error_and_is_short() -> None:
    assert answered(1, "out", "err\r\n").tail() == "err"
    assert answered(1, "out", " \n").tail() == "out"
    assert answered(1, "a" * 2000).tail() == "a" * 800


def test_evidence_holds_both_outputs_where_no_parser_reads_it() -> None:
    evidence = answered(1, "out", "err").as_evidence(SUBJECT)
    assert evidence.body == "out\n--- standard error ---\nerr"
    assert (evidence.question, evidence.exit_code, evidence.parser) == ("tool get 'a b'", 1, "")
    assert evidence.read_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_evidence_for_a_parser_is_what_the_parser_reads() -> None:
    assert answered(0, "{}", "a warning").as_evidence(SUBJECT, parser=parse_jwks).body == "{}"
    refused = answered(1, "", "refused").as_evidence(SUBJECT, parser=parse_jwks)
    assert "refused" in refused.body
    assert refused.parser == "", "no parser reads a failure"


def test_a_parser_gets_what_was_recorded(recorder: KeptInMemory) -> None:
    key = {"kty": "EC", "kid": "a", "d": "private"}
    done = answered(0, json.dumps({"keys": [key]})).recorded(recorder, SUBJECT, parser=parse_jwks)
    (kept,) = recorder.evidence.values()
    assert done.stdout == kept.body == '{"keys":[{"kty":"EC","kid":"a"}]}'
    assert done.evidence == (kept.id,)


def test_nothing_is_kept_of_what_a_command_printed_before_it_failed_where_a_mask_should_choose(
    recorder: KeptInMemory,
) -> None:
    printed = json.dumps({"keys": [], "metadata": {"note": "of another team"}})
    for how in ({"parser": parse_jwks}, {"mask": WHOLE}):
        failed = answered(1, printed, "refused").recorded(recorder, SUBJECT, **how)
        assert failed.stdout == f"[the command failed: the suite kept none of the {len(printed)} characters that it printed]"
        assert failed.stderr == "refused"
        assert failed.tail() == "refused"
        assert "of another team" not in repr(recorder.evidence)
    assert answered(1, "out", "err").recorded(recorder, SUBJECT, parser=parse_tctl_version).stdout == "out"


def test_a_mask_alone_keeps_its_parts_of_standard_output(recorder: KeptInMemory) -> None:
    done = answered(0, '{"a": 1, "b": 2}', "a warning").recorded(recorder, SUBJECT, mask=only("a"))
    assert (done.stdout, done.stderr) == ('{"a":1}', "")


def test_evidence_is_redacted_and_may_be_shown_as_another_line() -> None:
    evidence = answered(0, "password: of-this-run").as_evidence(SUBJECT, shown_as="tctl status")
    assert "of-this-run" not in evidence.body
    assert (evidence.question, evidence.redactions) == ("tctl status", 1)


def test_a_command_is_in_no_group_that_a_terminals_ctrl_c_reaches() -> None:
    said = run(python("import os; print(os.getpgrp() == os.getpid())"), timeout=20)

    assert said.stdout.strip() == "True"


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_command_that_a_signal_from_elsewhere_ends_has_given_no_answer(name: str) -> None:
    with pytest.raises(EndedBySignal) as caught:
        run(["sh", "-c", f"kill -{name} $$; sleep 5"], timeout=5)
    assert f"SIG{name} from elsewhere ended it" in caught.value.seen
    assert run(["sh", "-c", "kill -KILL $$"], timeout=5).exit_code == -9


def test_colors_for_a_terminal_are_in_no_message_and_in_no_evidence() -> None:
    result = run(["sh", "-c", r"printf '\033[31mERROR: \033[0mno\n' >&2; exit 1"], timeout=5)
    assert result.stderr == "\x1b[31mERROR: \x1b[0mno\n"
    assert result.tail() == "ERROR: no"
    assert result.as_evidence(ObjectRef("Host", "sh")).body.endswith("--- standard error ---\nERROR: no\n")


@pytest.mark.parametrize("stdout", ["out", "a\n--- standard error ---\nb", ""])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_both_outputs_are_returned_as_they_were_recorded(recorder: KeptInMemory, stdout: str, exit_code: int) -> None:
    done = answered(exit_code, stdout, "password: of-this-run").recorded(recorder, SUBJECT)
    (kept,) = recorder.evidence.values()
    assert (done.stdout, done.stderr) == (stdout, "password: [redacted]")
    assert kept.body == f"{done.stdout}\n--- standard error ---\n{done.stderr}"


def test_a_parser_gets_no_standard_error(recorder: KeptInMemory) -> None:
    done = answered(0, "{}", "a warning").recorded(recorder, SUBJECT, parser=parse_jwks)
    assert (done.stdout, done.stderr) == ("{}", "")


def test_a_secret_that_the_tail_cuts_in_two_is_looked_for_in_the_whole_text() -> None:
    secret = secrets.token_urlsafe(9000)
    said = answered(1, f"password: {secret} is wrong").tail(200)
    assert said == "password: [redacted words] is wrong"
