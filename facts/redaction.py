"""Takes secrets out of text at the moment it is read, before anything else sees it.

What counts as a secret: private keys (PEM), JSON Web Tokens, bearer headers, the key and token fields of a kubeconfig, and
whatever values the caller names. Public things (certificates, JWKS, SPIFFE IDs, serials) stay: they are the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MARK = "[redacted]"

_PEM_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----|\Z)", re.DOTALL
)
# The same key in one line of base64, as kubeconfigs and Secrets carry it ("-----BEGIN" is "LS0tLS1CRUdJTi" in base64);
# a certificate in base64 starts alike, so the words after BEGIN decide ("RSA PRI", "EC PRIV", "PRIVATE", "ENCRYPT").
_BASE64_KEY = re.compile(r"LS0tLS1CRUdJTiB(?:SU0EgUFJJ|FQyBQUkl|QUklWQVRF|FTkNSWVBU)[A-Za-z0-9+/=]+")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+")
_BEARER = re.compile(r"(?i)\b(bearer\s+)(?!\[redacted\])[A-Za-z0-9._~+/=-]{8,}")
_FIELD = re.compile(
    r"""(?im)(\\*["']?\b(?:client-key-data|client_secret|password|join_secret|registration_secret)\\*["']?\s*[:=]\s*)(?:"""
    # A quoted value ends at its own quote, blanks and escaped quotes inside; in JSON inside JSON the quotes are escaped.
    r"""(")(?!\[redacted\])(?:\\.|[^"\\])+(")|"""
    r"""(')(?!\[redacted\])[^']+(')|"""
    r"""(\\+")(?!\[redacted\]).+?(\\+")|"""
    r"""(?!\[redacted\]|true\b|false\b|null\b)[^\s"',}{\[\]\\]+)"""
)
_KUBECONFIG_TOKEN = re.compile(r"(?m)^(\s+token:\s+)(?!\[redacted\])(?=[A-Za-z0-9._-]{20,}\s*$)\S+")


@dataclass(frozen=True, slots=True)
class Redacted:
    """Text without secrets.

    Attributes:
        text: The text, each secret replaced by ``[redacted]``.
        count: How many secrets were replaced.
    """

    text: str
    count: int


def redact(text: str, named_secrets: Iterable[str] = ()) -> Redacted:
    """Replaces every secret in `text`; idempotent.

    Args:
        text: Anything that was read: a log, an API object, a command's output.
        named_secrets: Further values to hide wherever they stand (values under 8 characters are ignored: they would hide
            ordinary words).
    """
    count = 0
    for pattern in (_PEM_KEY, _BASE64_KEY, _JWT):
        text, found = pattern.subn(MARK, text)
        count += found
    for pattern in (_BEARER, _KUBECONFIG_TOKEN):
        text, found = pattern.subn(rf"\g<1>{MARK}", text)
        count += found
    text, found = _FIELD.subn(_without_value, text)
    count += found
    for secret in named_secrets:
        if len(secret) >= 8 and secret in text:
            count += text.count(secret)
            text = text.replace(secret, MARK)
    return Redacted(text, count)


def _without_value(field: re.Match[str]) -> str:
    key, *quotes = field.groups()
    opening, closing = ([q for q in quotes if q] or ["", ""])[:2]
    return f"{key}{opening}{MARK}{closing}"
