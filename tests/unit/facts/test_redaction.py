"""Secrets leave no trace in evidence; public things stay readable."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import secrets
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from facts.evidence import ObjectRef, evidence_of, hidden
from facts.finding import Finding, Holds, Problem
from facts.redaction import (
    DEEPEST,
    SHORTEST,
    Hiding,
    Redacted,
    beginning,
    ending,
    hidden_in,
    hides_a_value,
    prose,
    redact,
    without_named,
)
from facts.secret_forms import MARK, RULES, Canary, looks_random, values
from tests.unit.facts.canaries import CANARIES, left_in

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


KEYS = [pem(key, form) for key in (EC_KEY, RSA_KEY) for form in (PKCS8, TRADITIONAL)]


@pytest.mark.parametrize("key", KEYS)
def test_private_keys_go_in_every_wrapping(key: str) -> None:
    secret_part = key.splitlines()[2]
    in_base64 = base64.b64encode(key.encode()).decode()
    for text in (key, json.dumps({"inline_string": key}), f"client-key-data: {in_base64}", f'"key": "{in_base64}"'):
        clean = redact(f"before\n{text}\nafter")
        assert secret_part not in clean.text
        assert in_base64[40:80] not in clean.text
        assert clean.count >= 1
        assert clean.text.startswith("before\n")


def test_a_key_whose_end_was_cut_off_goes_too() -> None:
    cut = pem(EC_KEY, PKCS8)[:120]
    assert cut.splitlines()[1] not in redact(cut).text


def test_tokens_and_bearer_headers_go() -> None:
    token = jwt.encode({"sub": "system:serviceaccount:a:b"}, EC_KEY, algorithm="ES256")
    clean = redact(f"Authorization: Bearer {token}\nplain {token}\nAuthorization: bearer abcdefgh12345678")
    assert token not in clean.text
    assert "abcdefgh12345678" not in clean.text
    assert "Authorization: " in clean.text


def test_named_secrets_go_and_short_ones_are_not_hunted() -> None:
    assert redact("join-secret-value and abc", ["join-secret-value", "abc"]).text == f"{MARK} and abc"


def test_public_things_stay() -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = EC_KEY.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    certificate_like = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB").decode()
    kid = '"kid": "lgRxZ4gmqOUOvCYs4UvaGe"'
    text = f"{public}\n{certificate_like}\n{kid}\nspiffe://td/ns/a/sa/b\ntoken: istio-tbot-k8s-join"
    assert redact(text) == redact(text).__class__(text, 0)


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once.text).text == once.text


def test_evidence_holds_the_digest_of_what_is_kept() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    evidence = evidence_of("GET /x", ObjectRef("Pod", "p", "ns"), pem(EC_KEY, PKCS8), read_at=at)
    assert evidence.body == MARK + "\n"
    assert evidence.redactions == 1
    assert evidence.sha256 == hashlib.sha256(evidence.body.encode()).hexdigest()


def test_what_is_recognised_as_a_secret_later_goes_from_everything_but_the_id() -> None:
    at, secret = datetime(2026, 1, 2, tzinfo=UTC), "a-token-that-joins"
    evidence = evidence_of(f"tctl get token/{secret}", ObjectRef("Teleport", f"token/{secret}"), f"<{secret}>", read_at=at)
    clean = hidden(evidence, [secret])
    assert secret not in repr(clean)
    assert (clean.id, clean.body, clean.redactions) == (evidence.id, f"<{MARK}>", 1)
    assert clean.sha256 == hashlib.sha256(clean.body.encode()).hexdigest()
    again = evidence_of(evidence.question, evidence.subject, f"<{secret}>", read_at=at)
    assert again.id != evidence.id, "an id made of what was read lets a weak secret be guessed"


def test_named_secrets_go_from_texts_at_any_depth_and_nothing_else_changes() -> None:
    secret = "a-token-that-joins"
    wrong = Problem(ObjectRef("Teleport", f"token/{secret}"), f"it is {secret}")
    finding = Finding("INST-10", Holds.NO, "x", f"Teleport token/{secret}", (wrong,))
    clean = hidden_in([finding, {secret: (finding, 7, None)}], [secret])
    assert secret not in repr(clean)
    told = Problem(ObjectRef("Teleport", f"token/{MARK}"), f"it is {MARK}")
    assert clean[0] == Finding("INST-10", Holds.NO, "x", f"Teleport token/{MARK}", (told,))
    assert hidden_in(finding, ["other-secret"]) == finding


def test_a_named_secret_that_is_a_word_of_the_suite_itself_stays_in_ids() -> None:
    wrong = Problem(ObjectRef("Pod", "a"), "no-socket-is-there", "no-socket-is-there", ("ev-0123456789abcdef",))
    clean = hidden_in(Finding("INST-10", Holds.NO, "x", "y", (wrong,)), ["no-socket-is-there", "0123456789abcdef"])
    assert clean.problems == (Problem(ObjectRef("Pod", "a"), MARK, "no-socket-is-there", ("ev-0123456789abcdef",)),)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('["start", "--token=abc123", "-c"]', '["start", "--token=[redacted]", "-c"]'),
        ('["start", "--token", "abc123", "-c"]', '["start", "--token", "[redacted]", "-c"]'),
        (r'"{\"args\": [\"--token\", \"abc123\"]}"', r'"{\"args\": [\"--token\", \"[redacted]\"]}"'),
        ('{"name": "TELEPORT_BOT_TOKEN", "value": "abc123"}', '{"name": "TELEPORT_BOT_TOKEN", "value": "[redacted]"}'),
        ("join_uri: tbot+proxy+token://abc123@host:443", "join_uri: tbot+proxy+token://[redacted]@host:443"),
        ('["--token-path=/var/x", "--join-method=token"]', '["--token-path=/var/x", "--join-method=token"]'),
        ("join_uri: tbot+proxy+kubernetes://name@host:443", "join_uri: tbot+proxy+kubernetes://name@host:443"),
    ],
)
def test_a_token_that_is_given_as_a_flag_a_variable_or_in_a_join_uri_goes(text: str, clean: str) -> None:
    assert redact(text).text == clean
    assert redact(clean).count == 0


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('{"password": "two words"}', '{"password": "[redacted]"}'),
        (r'{"password": "a \" b"}', '{"password": "[redacted]"}'),
        ("password: 'two words' # why", "password: '[redacted]' # why"),
        ("password: secret", "password: [redacted]"),
        ("PASSWORD=secret next", "PASSWORD=[redacted] next"),
        (
            r'{"inner": "{\"client_secret\": \"a b\", \"x\": 1}"}',
            r'{"inner": "{\"client_secret\": \"[redacted]\", \"x\": 1}"}',
        ),
    ],
)
def test_the_whole_value_of_a_secret_field_goes_and_nothing_else(text: str, clean: str) -> None:
    once = redact(text)
    assert (once.text, once.count) == (clean, 1)
    assert redact(once.text).count == 0


@pytest.mark.parametrize("value", [True, False, None, {"a": 1}, ["a"], "text with \"quotes\" and 'more'"])
def test_json_is_still_json_without_its_secrets(value: object) -> None:
    document = {"password": value, "kept": 1, "nested": json.dumps({"password": value})}
    assert json.loads(redact(json.dumps(document)).text)["kept"] == 1


FRAGMENTS = [
    "password",
    "client_secret",
    ": ",
    "=",
    '"',
    "'",
    "\\",
    '\\"',
    "Bearer ",
    "a" * 9,
    MARK,
    "eyJ" + "a" * 9,
    ".",
    "true",
]


@given(
    st.lists(st.sampled_from([*FRAGMENTS, "\n", " ", "  token: ", "-----BEGIN PRIVATE KEY-----", "{"]), max_size=14).map(
        "".join
    )
)
def test_redacting_twice_changes_nothing_where_secrets_are_likely(text: str) -> None:
    once = redact(text)
    assert redact(once.text).text == once.text


def with_every_rule(text: str) -> list[tuple[int, int]]:
    """The values that are found where each rule is applied, whether or not its needles are there."""
    return [span for rule in RULES for span in rule.found(text)]


LIKE_SECRETS = [
    *FRAGMENTS,
    "PASSWORD",
    "pa\u017fsword",  # to a pattern that does not mind case, these letters are an s, an i and a k
    "cl\u0131ent_secret",
    "CL\u0130ENT_SECRET",
    "client-\u212aey-data",
    "join_secret",
    "registration_secret",
    "BEARER ",
    "LS0tLS1CRUdJTiBSU0EgUFJJAA",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----END EC PRIVATE KEY-----",
    "\n  token: ",
    "--token",
    "--token=",
    '"TELEPORT_BOT_TOKEN", "value": "',
    "tbot+proxy+token://",
    "@host",
    "\n",
    "b" * 20,
    "straße",
]


@given(st.lists(st.sampled_from(LIKE_SECRETS), max_size=12).map("".join))
def test_looking_for_needles_first_changes_nothing(text: str) -> None:
    assert list(values(text)) == with_every_rule(text)


NEEDLES = {
    "passw": "PASSWORD: abc",
    "passphrase": "passphrase: abc",
    "secret": "join_secret: abc",
    "token": "bot_token: abc",
    "credential": "credential: 0a1b2c3d4e5f",
    "auth": "auth: 0a1b2c3d4e5f",
    "client-key-data": "Client-Key-Data: abc",
    "key": "api_key: abc",
    "--": "--db-token abc",
    "value": "name: A_TOKEN\nvalue: abc",
    "bearer": "BEARER abcdefghi",
    "basic": "authorization: basic abcdefghi",
    "://": "a://user:abc@host",
    "+token://": "tbot+proxy+token://abc@host",
    ".": "abcdef.0123456789abcdef",
    '"kty': f'{{"kty":"EC","d":"{"a" * 43}"}}',
    "'kty": f"{{'kty':'EC','d':'{'a' * 43}'}}",
    "join_method": f"name: {'0' * 32}\njoin_method",
}


@pytest.mark.parametrize("needle", [needle for rule in RULES for needle in rule.needles])
def test_every_needle_can_be_the_one_that_is_there(needle: str) -> None:
    """Else the property above would hold for a rule that no text reaches."""
    (rule,) = (rule for rule in RULES if needle in rule.needles)
    text = NEEDLES[needle]
    assert rule.may_match(text.lower())
    assert len(list(rule.found(text))) == 1


@pytest.mark.parametrize("name", ["istio-tbot-k8s-join", "my-secret", "serviceaccount", "Default", "NONE", "bound:tbot"])
def test_a_name_is_not_random(name: str) -> None:
    assert not looks_random(name)


@pytest.mark.parametrize("value", ["AbcDefGhIjklMnopq-stUv-xYzAbC_EfGhIj", "aBcdefgh", "deadBeef-Cafe"])
def test_a_change_of_case_within_a_word_is_random(value: str) -> None:
    assert looks_random(value)


def test_what_was_made_by_chance_looks_so() -> None:
    by_chance = random.Random(1)  # noqa: S311 - nothing is secret here, and a failure can be repeated
    made = [base64.urlsafe_b64encode(by_chance.randbytes(24)).decode() for _ in range(5000)]
    assert [value for value in made if not looks_random(value)] == []


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_form_of_a_secret_is_left(canary: Canary) -> None:
    wrapped = json.dumps({"x": canary.text})
    for text in (canary.text, f"before\n{canary.text}\nafter", wrapped, json.dumps(wrapped)):
        once = redact(text)
        assert left_in(once.text, canary) == ()
        assert once.count >= 1
        assert redact(once.text).count == 0
    assert redact(f"before\n{canary.text}\nafter").text.startswith("before\n")
    assert redact(f"before\n{canary.text}\nafter").text.endswith("after")


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_a_document_that_no_parser_speaks_of_keeps_none_either(canary: Canary) -> None:
    try:
        document = json.loads(canary.text)
    except ValueError:
        document = {"a": [canary.text]}
    hiding = Hiding()
    assert left_in(json.dumps(hiding.document(document)), canary) == ()
    assert hiding.count >= 1


def test_a_key_that_is_too_short_for_one_goes_as_well_where_it_is_whole() -> None:
    for line in ("\n", "\\n"):
        assert redact(f"a -----BEGIN PRIVATE KEY-----{line}MIIshort{line}-----END PRIVATE KEY----- b").text == f"a {MARK} b"


def test_a_marker_alone_takes_nothing_with_it() -> None:
    """Else a word that anybody can have written into a log takes the rest of the log away."""
    log = "before\n-----BEGIN PRIVATE KEY-----\nwarming: SDS outcome accepted\n-----END PRIVATE KEY-----\nafter"
    assert redact(log).text == f"before\n{MARK}\nwarming: SDS outcome accepted\n{MARK}\nafter"


@pytest.mark.parametrize(
    "text",
    [
        "token: istio-tbot-k8s-join",
        "    token_path: /var/run/secrets/tokens/join-sa-token",
        "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
        '{"secret": {"secretName": "cacerts"}, "imagePullSecrets": [{"name": "regcred"}]}',
        "resource: secret: default",
        "warming secret: kubernetes://shop-credential",
        "spiffe://example.teleport.sh/ns/test-app/sa/test-app",
        "sha256:" + "0123456789abcdef" * 4,
        "authorization: basic",
    ],
)
def test_names_and_paths_are_no_secrets(text: str) -> None:
    assert redact(text) == Redacted(text, 0)


def test_what_could_not_be_written_to_a_file_is_replaced() -> None:
    assert redact("a\ud800b").text == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_of_an_object_stays_whatever_it_looks_like() -> None:
    like_a_token = "abcdef.0123456789abcdef"
    hiding = Hiding(("the-join-token",))
    assert hiding.name(like_a_token) == like_a_token
    assert hiding.count == 0
    assert (hiding.name("the-join-token"), hiding.count) == (MARK, 1)
    assert (hiding.name(f"password: {like_a_token}"), hiding.count) == (f"password: {MARK}", 2)


@pytest.mark.parametrize("text", ['password: "first\nsecond', "password='first second\n", 'msg="password=\\"first'])
def test_a_quoted_value_whose_end_was_cut_off_goes_up_to_the_end(text: str) -> None:
    clean = redact(text)
    assert "first" not in clean.text
    assert redact(clean.text).count == 0


def test_such_a_value_goes_on_over_the_lines_of_its_own_entry_in_a_log() -> None:
    entry = "2026-03-01T12:00:01.1Z\tinfo\tready"
    assert redact(f'password: "first\nsecond\n{entry}').text == f'password: "[redacted]\n{entry}'
    assert redact(f'msg="password=\\"first\n{entry}').text == f'msg="password=\\"[redacted]\n{entry}'
    assert redact(f"password='first\n{entry}").text == f"password='[redacted]\n{entry}"


@pytest.mark.parametrize(
    "text",
    ['password: ""', "password='' port=1", '{"token": "", "name": "a-b"}', 'invalid password: "', "password: |\nport: 1"],
)
def test_an_empty_value_takes_nothing_with_it(text: str) -> None:
    for each in (text, json.dumps({"a": text, "b": 1}), json.dumps(json.dumps({"a": text, "b": "c"}))):
        assert redact(each) == Redacted(each, 0)


def test_a_block_ends_where_the_next_field_begins() -> None:
    text = "a:\n  password: |\n    one\n\n    two\n  port: 1\nb: 2\n"
    assert redact(text).text == "a:\n  password: |\n    [redacted]\n  port: 1\nb: 2\n"
    inner = json.dumps({"data": text, "next": 1})
    assert json.loads(redact(inner).text) == {"data": redact(text).text, "next": 1}


@pytest.mark.parametrize("host", ["abcdef.0123456789abcdef/app:1.2", "abcdef.0123456789abcdef:5000/app", "https://{}/v2"])
def test_a_host_with_a_path_or_a_port_is_no_bootstrap_token(host: str) -> None:
    text = f"image: {host.format('abcdef.0123456789abcdef')}"
    assert redact(text) == Redacted(text, 0)
    assert redact("token abcdef.0123456789abcdef: expired").count == 1


@pytest.mark.parametrize("flag", ["-v", "--verbose", "-config", "--log-level=debug", "--http2-port"])
def test_a_flag_after_a_flag_is_not_its_value(flag: str) -> None:
    assert redact(f"serve --password {flag} x") == Redacted(f"serve --password {flag} x", 0)
    assert Hiding().words(["serve", "--password", flag, "x"]) == ["serve", "--password", flag, "x"]


@pytest.mark.parametrize("quote", [r"\"", r"\'", r"\\\""])
def test_a_quote_that_is_written_twice_hides_nothing_from_the_eye(quote: str) -> None:
    assert "aB3dE6gH9k" not in redact(f"token{quote}: {quote}{quote}aB3dE6gH9k{quote}").text
    empty = f"{{{quote}token{quote}: {quote}{quote}, {quote}next{quote}: {quote}aB3dE6gH9k{quote}}}"
    assert redact(empty).text == empty, "an empty value ends at its second quote"


@pytest.mark.parametrize("value", ["-X12abc", "-hunter2", "--Xabc", "-"])
def test_a_value_may_begin_with_a_hyphen(value: str) -> None:
    assert redact(f"serve --password {value} x").text == "serve --password [redacted] x"
    assert Hiding().words(["serve", "--password", value, "x"]) == ["serve", "--password", MARK, "x"]


def test_a_flag_hides_the_next_word_and_no_other() -> None:
    hiding = Hiding()
    assert hiding.words(["--token", "abc", "x", "--token", "--y", "--token", "/path"]) == [
        *("--token", MARK, "x", "--token", "--y", "--token", "/path")
    ]
    assert hiding.count == 1


def test_below_any_depth_of_an_api_nothing_is_kept() -> None:
    document: Any = "deep"
    for _ in range(9 * DEEPEST):  # as deep as JSON is decoded
        document = [{"a": document}]
    hiding = Hiding()
    assert "deep" not in json.dumps(hiding.document(document))
    assert hiding.count == 1


@given(st.text(alphabet="abcdefgh", min_size=1, max_size=2 * SHORTEST))
def test_a_named_secret_is_hidden_from_eight_characters_on(secret: str) -> None:
    text = f"<{secret}>"
    clean = without_named(text, [secret])
    assert clean == (Redacted(f"<{MARK}>", 1) if len(secret) >= 8 else Redacted(text, 0))


def test_every_occurrence_of_each_named_secret_counts() -> None:
    clean = redact("12345678 x 12345678 y 87654321", ["12345678", "87654321", "absent-one"])
    assert clean == Redacted(f"{MARK} x {MARK} y {MARK}", 3)
    assert without_named("1234567", ["1234567"]) == Redacted("1234567", 0)


def test_of_named_secrets_the_longest_goes_first() -> None:
    assert without_named("a-join-secret-2", ["a-join-s", "a-join-secret-2"]) == Redacted(MARK, 1)


def test_a_short_named_secret_goes_where_it_names_a_token() -> None:
    text = "tctl get token/s3cret; Teleport token/s3cret; token/s3cret-2 my-token/s3cret token/s3cret/x s3cret"
    left = f"tctl get token/{MARK}; Teleport token/{MARK}; token/s3cret-2 my-token/s3cret token/s3cret/x s3cret"
    assert without_named(text, ["", "s3cret"]) == Redacted(left, 2)
    fields = """token: {0}, "token":"{0}", 'token': '{0}', \\"token\\": \\"{0}\\", \ntoken: {0}\n"""
    assert without_named(fields.format("s3cret"), ["s3cret"]) == Redacted(fields.format(MARK), 5)
    others = "a_token: s3cret token: s3cret-2 name: s3cret"
    assert without_named(others, ["s3cret"]) == Redacted(others, 0)


def test_an_enumeration_stays_one() -> None:
    assert hidden_in((Holds.NOT_APPLICABLE,), ["not-applicable"])[0] is Holds.NOT_APPLICABLE


LIKE_TOKENS = ("xoxb-1234567890ab", "xoxp-payments-service-77", "glpat-aaaaaaaaaaaaaaaaaaaaaa")
OBJECT_NAMES = st.from_regex(r"(?:(?:xox[abprs]|glpat|eyj)-)?[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?", fullmatch=True)


@given(OBJECT_NAMES | st.sampled_from(LIKE_TOKENS), OBJECT_NAMES | st.sampled_from(LIKE_TOKENS))
def test_no_name_of_an_object_is_taken_for_a_secret_wherever_it_stands(namespace: str, name: str) -> None:
    for text in (name, f"Pod {namespace}/{name} has no proxy", f"{namespace}, {name}\n{name}"):
        assert redact(text, certain=True) == Redacted(text, 0)


@given(OBJECT_NAMES | st.sampled_from(LIKE_TOKENS), OBJECT_NAMES | st.sampled_from(LIKE_TOKENS))
def test_the_spiffe_id_of_any_workload_stays(namespace: str, account: str) -> None:
    spiffe_id = f"spiffe://td.example/ns/{namespace}/sa/{account}"
    assert redact(spiffe_id) == Redacted(spiffe_id, 0)


@given(st.from_regex(r"(?:ghp_|glpat-|xoxb-)?[A-Za-z0-9_-]{1,40}", fullmatch=True), st.sampled_from("/,|."))
def test_what_is_kept_as_a_name_is_nothing_that_the_last_look_finds(name: str, separator: str) -> None:
    hiding = Hiding()
    for kept in (hiding.name(name), hiding.names(f"ns{separator}{name}", separator)):
        assert redact(kept, certain=True).count == 0


@pytest.mark.parametrize("beside", ["name", "key"])
def test_the_name_of_a_value_stands_beside_it_under_either_word(beside: str) -> None:
    hiding = Hiding()
    header = {"header": {beside: "x-api-key", "value": "s3cret-of-the-shop"}}
    assert hiding.document([header]) == [{"header": {beside: "x-api-key", "value": MARK}}]
    assert hiding.count == 1
    plain = {beside: "x-team", "value": "shop"}
    assert hiding.document(plain) == plain


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
@pytest.mark.parametrize("most", [1, 40, 300])
def test_an_excerpt_is_cut_after_all_of_the_text_was_searched(canary: Canary, most: int) -> None:
    text = f"  {'a ' * 150}{canary.text}{' b' * 150}\n"
    clean = redact(text).text.strip().replace("[redacted]", "[redacted words]")
    assert (beginning(text, most), ending(text, most)) == (clean[:most], clean[-most:])
    inside = text[text.index(canary.text) :]
    assert left_in(beginning(inside, most), canary) == left_in(ending(inside, most), canary) == ()


def test_a_short_text_is_its_own_excerpt() -> None:
    assert beginning(" abc\n", 10) == ending(" abc\n", 10) == "abc"
    assert beginning("", 10) == ending("", 10) == ""
    assert (beginning("abcdef", 2), ending("abcdef", 2)) == ("ab", "ef")


@pytest.mark.parametrize("quote", ["", '"', "'", '\\"'])
@pytest.mark.parametrize("length", [4095, 4096, 4097, 20_000])
def test_a_value_that_is_longer_than_any_pattern_goes_whole(quote: str, length: int) -> None:
    secret = secrets.token_urlsafe(length)[:length]
    assert redact(f"password: {quote}{secret}{quote} next").text == f"password: {quote}[redacted]{quote} next"


def test_a_name_within_a_long_value_begins_no_other_value() -> None:
    assert redact(f"password={'password=' * 2000} next") == Redacted("password=[redacted] next", 1)


def test_words_that_are_told_have_a_mark_of_their_own_that_stays() -> None:
    told = prose(redact('password: abc, {"password": "def"}, --token 0123456789abcdef').text)
    assert told == 'password: [redacted words], {"password": "[redacted words]"}, --token [redacted words]'
    assert (redact(told), prose(told)) == (Redacted(told, 0), told)
    assert not hides_a_value(told)
    assert hides_a_value("the trust domain is [redacted]")
