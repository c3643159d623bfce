"""Canaries: secrets that are made for one run, in the forms in which they stand in what a cluster prints.

Each form has a text and the parts of it that must appear in no output. Nothing here is anybody's secret, and none is kept.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from facts.secret_forms import Canary

DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM
PKCS8, SEC1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
OPENSSH = serialization.PrivateFormat.OpenSSH


OWN = 6
"""Characters at least that a part of a canary must not share with the same part of another one. Six make it its own."""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _pieces(text: str, size: int = 24) -> tuple[str, ...]:
    """Every piece of a run of letters, so that no part of it may be left."""
    runs = [run for run in text.split() if len(run) >= 8 and "-----" not in run]
    return tuple(run[at : at + size] for run in runs for at in range(0, max(1, len(run) - size + 1), size))


def _certificate() -> str:
    """A certificate of a kind that has always the same length."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return built.sign(key, None).public_bytes(PEM).decode()


def _lowercase(length: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _keys(made: ec.EllipticCurvePrivateKey) -> Iterator[Canary]:
    pem, sec1, openssh = (
        made.private_bytes(PEM, form, serialization.NoEncryption()).decode() for form in (PKCS8, SEC1, OPENSSH)
    )
    for name, key in (("PKCS8", pem), ("SEC1", sec1), ("OPENSSH", openssh)):
        yield Canary(f"PEM of {name}", key, _pieces(key))
    parts = _pieces(pem)
    yield Canary("PEM in JSON", json.dumps({"key": pem}), parts)
    yield Canary("PEM in JSON in JSON", json.dumps({"inner": json.dumps({"key": pem})}), parts)
    yield Canary("PEM as a YAML block", "key: |\n" + textwrap.indent(pem, "  ") + "next: 1\n", parts)
    yield Canary("PEM without its first line", "\n".join(pem.splitlines()[1:]), parts)
    logged = "\n".join(f"2026-03-01T10:00:0{n}Z tbot stdout F {line}" for n, line in enumerate(pem.splitlines()))
    yield Canary("PEM with a log prefix on each line", logged, parts)
    for name, key in (("PKCS8", pem), ("SEC1", sec1), ("OPENSSH", openssh)):
        yield Canary(f"base64 of {name} PEM", f"data: {_base64(key)}", _pieces(_base64(key)))
    wrapped = base64.encodebytes(pem.encode()).decode()
    yield Canary("base64 wrapped at 76", wrapped, _pieces(wrapped))
    twice = _base64(_base64(pem))
    yield Canary("base64 twice", twice, _pieces(twice))
    shifted = _base64("\n" + pem)
    yield Canary("base64 of newline and PEM", shifted, _pieces(shifted))
    bundle = _base64(_certificate() + pem)
    yield Canary("base64 of certificate and key", f'"tls": "{bundle}"', _pieces(bundle))
    der = base64.b64encode(made.private_bytes(DER, PKCS8, serialization.NoEncryption())).decode()
    yield Canary("base64 of PKCS8 DER in JSON", json.dumps({"svid_key": der}), _pieces(der))
    yield Canary("base64 of PKCS8 DER as x509SvidKey", json.dumps({"svids": [{"x509SvidKey": der}]}), _pieces(der))
    folded = "\n      ".join(textwrap.wrap(_base64(sec1), 64))
    yield Canary("client-key-data folded over lines", f"    client-key-data: >-\n      {folded}\n", _pieces(folded))
    inline = json.dumps({"private_key": {"inline_bytes": _base64(pem)}})
    yield Canary("private_key.inline_bytes", inline, _pieces(_base64(pem)))
    private = _base64url(made.private_numbers().private_value.to_bytes(32, "big"))
    jwk = {"kty": "EC", "crv": "P-256", "x": "a" * 43, "y": "b" * 43, "d": private}
    yield Canary("JWK with d", json.dumps(jwk), (private,))


def _tokens(key: ec.EllipticCurvePrivateKey) -> Iterator[Canary]:
    token = jwt.encode({"sub": "system:serviceaccount:a:b", "jti": secrets.token_hex(16)}, key, algorithm="ES256")
    parts = _pieces(token)
    yield Canary("JWT", f"got {token} from it", parts)
    yield Canary("JWT in a query string", f"GET /callback?state=1&jwt={token}&x=1 HTTP/1.1", parts)
    half = len(token) // 2
    yield Canary(
        "JWT over two lines",
        f"token:\n  {token[:half]}\n  {token[half:]}\n",
        (*_pieces(token[:half]), *_pieces(token[half:])),
    )
    yield Canary("base64 of a JWT", json.dumps({"data": {"token": _base64(token)}}), _pieces(_base64(token)))
    header = _base64url(json.dumps({"alg": "dir", "enc": "A256GCM"}).encode())
    jwe = ".".join(
        [
            header,
            "",
            _base64url(secrets.token_bytes(12)),
            _base64url(secrets.token_bytes(60)),
            _base64url(secrets.token_bytes(16)),
        ]
    )
    yield Canary("JWE", f"cookie {jwe};", _pieces(jwe))
    opaque = secrets.token_urlsafe(30)
    yield Canary("access_token in a URL", f"https://host/path?access_token={opaque}&x=1", (opaque,))
    basic = _base64(f"user:{secrets.token_hex(8)}")
    yield Canary("Authorization: Basic", f"Authorization: Basic {basic}", (basic,))
    verbose = f"I0301 10:00:00.000000 1 round_trippers.go:466]     Authorization: Bearer {opaque}"
    yield Canary("Authorization: Bearer of kubectl -v=8", verbose, (opaque,))
    header_in_text = json.dumps(json.dumps({"headers": {"Authorization": f"Bearer {opaque}"}}))
    yield Canary("Bearer in an escaped JSON string", header_in_text, (opaque,))
    password = secrets.token_hex(10)
    yield Canary("URL with user and password", f"postgres://app:{password}@db.example.org:5432/app", (password,))
    bootstrap = f"{_lowercase(6)}.{_lowercase(16)}"
    yield Canary("kubeadm bootstrap token", f"kubeadm join 10.0.0.1:6443 --discovery-hash x {bootstrap}", (bootstrap[7:],))
    user = {"users": [{"name": "admin", "user": {"token": opaque}}]}
    as_yaml = yaml.safe_dump(user)
    yield Canary("kubeconfig token as YAML", as_yaml, (opaque,))
    yield Canary("kubeconfig token as quoted YAML", as_yaml.replace(opaque, f'"{opaque}"'), (opaque,))
    yield Canary("kubeconfig token as JSON", json.dumps(user), (opaque,))
    yield Canary("kubeconfig token in a ConfigMap's text", json.dumps({"data": {"kubeconfig": as_yaml}}), (opaque,))


def _of_applications() -> Iterator[Canary]:
    password, key = secrets.token_urlsafe(12), secrets.token_urlsafe(30)
    for name, value in (
        ("DB_PASSWORD", password),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("GITHUB_TOKEN", f"ghp_{_lowercase(36)}"),
    ):
        yield Canary(f"env with {name}", json.dumps({"env": [{"name": name, "value": value}]}), (value,))
    yield Canary("--db-password X", json.dumps({"args": ["serve", "--db-password", password]}), (password,))
    yield Canary("--api-key=X", json.dumps({"args": ["serve", f"--api-key={key}"]}), (key,))
    first, second = secrets.token_urlsafe(12), f"{secrets.token_urlsafe(9)} {secrets.token_urlsafe(9)}"
    lines, parts = f"{first}\n{second}", (first, *second.split())
    yield Canary("quoted password over two lines of a log", f'level=info db_password="{lines}" port=1', parts)
    yield Canary("password over two lines with the break escaped", f'db_password="{first}\\\n{second}" port=1', parts)
    yield Canary("password in three quotes", f'DB_PASSWORD = """\n{lines}\n"""\nPORT = 1\n', parts)
    yield Canary("password as a YAML block", f"db_password: |-\n  {first}\n\n  {second}\nport: 1\n", parts)
    yield Canary("password with a doubled quote in YAML", f"db_password: '{first}''{second}'\nport: 1\n", parts)
    dashed = f"-{key}"
    yield Canary("--db-password -X", json.dumps({"args": ["serve", "--db-password", dashed, "-v"]}), (key,))
    yield Canary("--db-password=-X", f"serve --db-password={dashed} -v", (key,))
    yield Canary("--token -X in one string", f"serve --token {dashed} -v", (key,))
    yield Canary("--token -X as a YAML list", f"args:\n  - --token\n  - {dashed}\n  - -v\n", (key,))
    yield Canary("db_password=X", f"host=db db_password={password} port=5432", (password,))


def _of_teleport() -> Iterator[Canary]:
    name = secrets.token_hex(16)
    config = f"version: v2\nonboarding:\n  join_method: token\n  token: {name}\nservices: []\n"
    yield Canary("tbot.yaml with join method token", json.dumps({"data": {"tbot.yaml": config}}), (name,))
    resource = {"kind": "token", "metadata": {"name": name}, "spec": {"join_method": "token", "roles": ["Bot"]}}
    yield Canary("token resource whose name is the secret", yaml.safe_dump(resource), (name,))
    added = f"The bot token: {name}\nThis token will expire in 59 minutes.\n\n> tbot start \\\n   --token={name} \\\n"
    yield Canary("output of tctl bots add", added, (name,))
    yield Canary("tbot start with --token X in one string", f"tbot start -c /x --token {name} --oneshot", (name,))
    yield Canary("args as a YAML list", f"args:\n  - start\n  - --token\n  - {name}\n", (name,))
    yield Canary("TELEPORT_BOT_TOKEN in YAML", f"env:\n  - name: TELEPORT_BOT_TOKEN\n    value: {name}\n", (name,))


def make_canaries() -> tuple[Canary, ...]:
    """Return a canary of every form, with those parts that are its own.

    Other secrets of a form have the same beginnings, and so have public things: base64 makes the same of the first line of
    every certificate. Such a part in an output would prove nothing.
    """
    return tuple(
        replace(canary, parts=tuple(p for p, q in zip(canary.parts, other.parts, strict=False) if _is_own(p, q)))
        for canary, other in zip(_every(), _every(), strict=True)
    )


def _every() -> Iterator[Canary]:
    key = ec.generate_private_key(ec.SECP256R1())
    yield from (*_keys(key), *_tokens(key), *_of_applications(), *_of_teleport())


def _is_own(part: str, other: str) -> bool:
    return sum(a != b for a, b in zip(part, other, strict=False)) >= OWN
