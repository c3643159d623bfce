from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.secret_forms import Canary
from facts.svid import (
    MAX_ID_BYTES,
    SpiffeId,
    is_signed_by,
    malformation,
    parse_certificates,
    parse_der_certificates,
    serial_of,
    verify_chain,
    workload_id,
)
from tests.unit.facts.authorities import NOW, Authority
from tests.unit.facts.canaries import CANARIES, left_in

ID = "spiffe://example.org/ns/a/sa/b"
SAN = ExtensionOID.SUBJECT_ALTERNATIVE_NAME


@pytest.mark.parametrize(
    "well_formed", [ID, "spiffe://example.org", "spiffe://a_b.c-1/A.b_C-9", "spiffe://1.2.3.4/x", "spiffe://x/..."]
)
def test_well_formed_ids_are_taken(well_formed: str) -> None:
    assert malformation(well_formed) == ""
    assert str(SpiffeId.parse(well_formed)) == well_formed


@pytest.mark.parametrize(
    ("text", "because"),
    [
        (f"{ID}/", "ends with a slash"),
        ("spiffe://example.org/", "ends with a slash"),
        ("spiffe://example.org/ns//sa/b", "empty path segment"),
        ("spiffe://example.org//ns", "empty path segment"),
        ("spiffe://example.org/ns/../sa", "'..'"),
        ("spiffe://example.org/.", "'.'"),
        ("spiffe://example.org/ns/a%2Fb", "other characters"),
        ("spiffe://example.org/ns/ä", "other characters"),
        ("spiffe://example.org/a?b", "other characters"),
        ("spiffe://Example.org/a", "trust domain"),
        ("spiffe://user@example.org/a", "trust domain"),
        ("spiffe://example.org:443/a", "trust domain"),
        (f"spiffe://{'a' * 256}/a", "longer than 255"),
        ("spiffe:///a", "empty"),
        ("SPIFFE://example.org/a", "does not start"),
        ("https://example.org/a", "does not start"),
        ("", "does not start"),
        ("spiffe://x/" + "a" * (MAX_ID_BYTES - 10), "2049 bytes"),
    ],
)
def test_malformed_ids_are_refused_with_the_reason(text: str, because: str) -> None:
    assert because in malformation(text)
    with pytest.raises(CouldNotTell):
        SpiffeId.parse(text)


def test_the_longest_id_is_taken() -> None:
    assert malformation("spiffe://x/" + "a" * (MAX_ID_BYTES - 11)) == ""


SEGMENT = st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True).filter(lambda s: s not in (".", ".."))
TRUST_DOMAIN = st.from_regex(r"[a-z0-9._-]{1,40}", fullmatch=True)


@given(TRUST_DOMAIN, st.lists(SEGMENT, max_size=8))
def test_every_id_of_the_grammar_is_read_and_written_back(trust_domain: str, segments: list[str]) -> None:
    text = f"spiffe://{trust_domain}" + "".join(f"/{s}" for s in segments)
    parsed = SpiffeId.parse(text)
    assert (parsed.trust_domain, str(parsed)) == (trust_domain, text)


@given(
    TRUST_DOMAIN,
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.integers(0, 3),
    st.sampled_from(["/", "//x", "/.", "/../x", "/%20", "/é"]),
)
def test_one_flaw_anywhere_is_seen(trust_domain: str, segments: list[str], at: int, flaw: str) -> None:
    cut = min(at, len(segments))
    path = (
        "".join(f"/{s}" for s in segments[:cut]) + flaw + "".join(f"/{s}" for s in segments[cut:] if not flaw.endswith("/"))
    )
    assert malformation(f"spiffe://{trust_domain}{path}") != ""


@given(st.text(max_size=60))
def test_any_text_is_either_malformed_or_an_id(text: str) -> None:
    if malformation(text):
        return
    assert str(SpiffeId.parse(text)) == text


def test_istios_identity_of_a_workload() -> None:
    assert workload_id("example.org", "a", "b") == ID


def test_a_certificate_says_what_it_says() -> None:
    authority = Authority("teleport.example.org")
    (leaf,) = parse_certificates(authority.issue(ID), "test")
    assert leaf.uri_sans == (ID,)
    assert leaf.subject == ""
    assert leaf.issuer == "O=teleport.example.org"
    assert leaf.serial == serial_of("45:29:a5:b7:f9:5c:d8:6f:5a:8d:eb:ca:45:b6:3e:d2")
    assert leaf.not_after == NOW + timedelta(hours=1)
    assert leaf.not_before.tzinfo is UTC
    assert leaf.key_usage == {"digital_signature", "key_encipherment", "key_agreement"}
    assert leaf.extended_key_usage == {"server_auth", "client_auth"}
    assert not leaf.is_ca
    assert leaf.san_critical
    assert authority.certificate.is_ca


def test_certificates_that_are_none_are_not_guessed_at() -> None:
    for damaged in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(CouldNotTell):
            parse_certificates(damaged, "test")


EC_KEY, OTHER_KEY = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209")
THIRD_VERSION, SIXTH_VERSION = bytes.fromhex("a003020102"), bytes.fromhex("a003020105")


@pytest.mark.parametrize(("before", "after"), [(EC_KEY, OTHER_KEY), (THIRD_VERSION, SIXTH_VERSION)])
def test_a_certificate_with_a_key_or_version_that_nobody_knows_is_damaged(before: bytes, after: bytes) -> None:
    der = Authority("one").der
    assert before in der
    damaged_in_both_forms(der.replace(before, after, 1))


@pytest.mark.parametrize("names", ["3004a3020500", "3004a5020500", "3000ff", "05"])
def test_a_certificate_with_names_of_a_kind_that_nobody_reads_is_damaged(names: str) -> None:
    """An X.400 address, an EDI party name, and what is no list of names."""
    authority = Authority("one")
    made = (
        x509.CertificateBuilder()
        .subject_name(authority.name)
        .issuer_name(authority.name)
        .public_key(authority.key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(SAN, bytes.fromhex(names)), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    damaged_in_both_forms(made.public_bytes(serialization.Encoding.DER))


def damaged_in_both_forms(der: bytes) -> None:
    with pytest.raises(CouldNotTell):
        parse_der_certificates(der, "test")
    with pytest.raises(CouldNotTell):
        parse_certificates(ssl.DER_cert_to_PEM_cert(der), "test")


def test_half_a_surrogate_pair_in_an_id_is_malformed() -> None:
    assert malformation("spiffe://example.org/\ud800")


def test_der_certificates_one_after_another() -> None:
    one, two = Authority("one"), Authority("two")
    read = parse_der_certificates(one.der + two.der, "test")
    assert [c.sha256 for c in read] == [one.certificate.sha256, two.certificate.sha256]
    for damaged in (b"\x30", b"\x30\x82", one.der[:-5], b"nonsense"):
        with pytest.raises(CouldNotTell):
            parse_der_certificates(damaged, "test")


def test_serials_are_compared_in_any_spelling() -> None:
    assert serial_of("00:0A:FF") == serial_of("0aff") == "aff"
    with pytest.raises(CouldNotTell):
        serial_of("not hex")


def test_a_leaf_descends_from_the_authority_that_signed_it() -> None:
    ours, other = Authority("same name"), Authority("same name")
    (leaf,) = parse_certificates(ours.issue(ID), "test")
    check = verify_chain(leaf, [other.certificate, ours.certificate], NOW)
    assert (check.ok, check.reason) == (True, "")


def _reason(leaf_pem: str, authorities: list[Authority], at: datetime = NOW) -> str:
    (leaf,) = parse_certificates(leaf_pem, "test")
    check = verify_chain(leaf, [a.certificate for a in authorities], at)
    assert not check.ok
    return check.reason


def test_why_a_leaf_does_not_descend() -> None:
    ours = Authority("ours")
    leaf = ours.issue(ID)
    assert "none of the 1 authorities signed it" in _reason(leaf, [Authority("ours")])
    assert "no authority" in _reason(leaf, [])
    assert "expired" in _reason(leaf, [ours], NOW + timedelta(hours=2))
    assert "not valid before" in _reason(leaf, [ours], NOW - timedelta(hours=2))


def test_an_authority_that_is_no_ca_or_expired_anchors_nothing() -> None:
    no_ca = Authority("ours", is_ca=False)
    assert _reason(no_ca.issue(ID), [no_ca])
    expired = Authority("ours", not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1))
    assert "outside its own validity" in _reason(expired.issue(ID), [expired])


def test_signatures_lead_to_an_authority_whatever_is_valid_when() -> None:
    ours, other = Authority("same name"), Authority("same name")
    (leaf,) = parse_certificates(ours.issue(ID, not_after=NOW - timedelta(seconds=1)), "test")
    assert is_signed_by(leaf, [other.certificate, ours.certificate])
    assert not is_signed_by(leaf, [other.certificate])
    assert not is_signed_by(leaf, [])


def test_signatures_may_lead_over_intermediates_and_not_in_circles() -> None:
    root, between, stray = Authority("root"), Authority("between"), Authority("stray")
    (leaf,) = parse_certificates(between.issue(ID), "test")
    signed = root.endorse(between)
    assert is_signed_by(leaf, [root.certificate], [stray.certificate, signed])
    assert not is_signed_by(leaf, [root.certificate], [between.certificate])
    assert not is_signed_by(leaf, [stray.certificate], [signed, between.certificate])


def test_an_authority_without_a_name_is_said_to_have_none() -> None:
    leaf = replace(parse_certificates(Authority("example.org").issue(ID), "t")[0], issuer="")
    outcome = verify_chain(leaf, [Authority("another").certificate], NOW)
    assert not outcome.ok
    assert "none of the 1 authorities signed it (its issuer is an empty name)" in outcome.reason
    named = verify_chain(replace(leaf, issuer="O=x"), [Authority("another").certificate], NOW)
    assert "its issuer is O=x" in named.reason


def test_a_certificate_is_named_by_its_san_else_by_its_subject() -> None:
    leaf = parse_certificates(Authority("example.org").issue(ID, "spiffe://example.org/second"), "t")[0]
    until = f"serial {leaf.serial}, valid {leaf.not_before:%F %T} to {leaf.not_after:%F %T} UTC"
    assert str(leaf) == f"{ID} ({until})"
    assert str(replace(leaf, uri_sans=(), subject="CN=x")) == f"CN=x ({until})"
    assert str(replace(leaf, uri_sans=())) == f"a certificate without a name ({until})"


@pytest.mark.parametrize("seconds", [-1, 0, 3660, 3661])
def test_both_ends_of_the_validity_period_are_inside(seconds: int) -> None:
    leaf = parse_certificates(Authority("example.org").issue(ID), "t")[0]
    assert leaf.is_valid_at(leaf.not_before + timedelta(seconds=seconds)) is (0 <= seconds <= 3660)


@pytest.mark.parametrize("damaged", [b"\x30", b"\x30\x7f", b"\x30\x80", b"\x30\x81\x05", b"\x00\x00"])
def test_damaged_der_ends_in_an_error_and_never_in_a_loop(damaged: bytes) -> None:
    with pytest.raises(CouldNotTell, match="a DER certificate"):
        parse_der_certificates(damaged, "t")
    assert parse_der_certificates(b"", "t") == ()


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_the_names_in_a_certificate_hold_no_secret(canary: Canary) -> None:
    (certificate,) = parse_certificates(Authority("td").issue(f"spiffe://td/{canary.text}"), "here")
    assert left_in(str(certificate.uri_sans) + str(certificate), canary) == ()
