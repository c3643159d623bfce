"""Is this a Kubernetes service-account token that may join? The rules of the join method ``kubernetes``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from lab.standin import durations
from lab.standin.auth import token_review
from lab.standin.failure import Kind, Refusal, within

_MAX_TTL = timedelta(minutes=30)
_LEEWAY = timedelta(seconds=10)
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_SUBJECT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Whose token it was.

    Attributes:
        subject: ``system:serviceaccount:NAMESPACE:NAME``.
        namespace: the account's namespace.
        name: the account's name.
        pod: the pod that the token is bound to, empty where the review does not say.
    """

    subject: str
    namespace: str
    name: str
    pod: str

    def attributes(self) -> dict[str, Any]:
        """What templates and rules see as ``join.kubernetes``."""
        return {
            "subject": self.subject,
            "service_account": {"namespace": self.namespace, "name": self.name},
            "pod": {"name": self.pod},
        }


async def verify(token: str, spec: Mapping[str, Any], cluster_name: str) -> ServiceAccount:
    """Check ``token`` against the join token's ``spec.kubernetes``.

    Raises:
        Refusal: with Teleport's text for the first check that fails.
    """
    how = str(spec.get("type") or "in_cluster")
    with within(f"reviewing kubernetes token with {how}"):
        if how == "static_jwks":
            account = verify_static(token, spec["static_jwks"]["jwks"], cluster_name)
        else:
            account = _service_account(*await token_review.review(token, cluster_name))
    if not any(rule.get("service_account") == f"{account.namespace}:{account.name}" for rule in spec["allow"]):
        raise Refusal(Kind.ACCESS_DENIED, "kubernetes token did not match any allow rules")
    return account


def verify_static(token: str, jwks: str, cluster_name: str) -> ServiceAccount:
    """Check ``token`` with a copy of the cluster's public keys; nothing is asked of the cluster.

    Raises:
        Refusal: with Teleport's text for the first check that fails.
    """
    with within("parsing jwt"):
        header, claims = _unverified(token)
    with within("parsing provided jwks"):
        keys = _keys(jwks)
    with within("validating jwt signature"):
        _check_signature(token, header, keys)
    with within("validating jwt claims"):
        _check_claims(claims, cluster_name)
    pod = _mapping(_mapping(claims.get("kubernetes.io")).get("pod")).get("name")
    if not pod:
        raise _unsuitable("projected pod bound service account token")
    for claim in ("exp", "iat"):
        if claim not in claims:
            raise _unsuitable(f"a service account token with `{claim}`")
    if timedelta(seconds=claims["exp"] - claims["iat"]) > _MAX_TTL:
        raise _unsuitable(f"a service account token with a TTL of less than {durations.show(_MAX_TTL)}")
    return _service_account(str(claims.get("sub", "")), str(pod))


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        text = f"go-jose/go-jose: compact JWS format must have three parts ({error})"
        raise Refusal(Kind.BAD_PARAMETER, text) from error
    return whole["header"], whole["payload"]


def _keys(jwks: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(jwks)
    except ValueError as error:
        text = jwks.strip()
        reason = f"invalid character '{text[0]}' looking for beginning of value" if text else "unexpected end of JSON input"
        raise Refusal(Kind.BAD_PARAMETER, reason) from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise Refusal(Kind.BAD_PARAMETER, "json: cannot unmarshal value into a JSON Web Key Set")
    return [key for key in keys if isinstance(key, dict)]


def _check_signature(token: str, header: Mapping[str, Any], keys: list[dict[str, Any]]) -> None:
    matching = [key for key in keys if key.get("kid") == header.get("kid")]
    if not matching or header.get("alg") not in _ALGORITHMS:
        raise Refusal(Kind.ACCESS_DENIED, "go-jose/go-jose: unsupported key type/format")
    for key in matching:
        try:
            jwt.decode_complete(
                token,
                jwt.PyJWK(key, algorithm=header["alg"]).key,
                algorithms=[header["alg"]],
                options={
                    "verify_signature": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.PyJWTError:
            continue
        return
    raise Refusal(Kind.ACCESS_DENIED, "go-jose/go-jose: error in cryptographic primitive")


def _check_claims(claims: Mapping[str, Any], cluster_name: str) -> None:
    audience = claims.get("aud", [])
    moment = durations.now().timestamp()
    leeway = _LEEWAY.total_seconds()
    if cluster_name not in ([audience] if isinstance(audience, str) else audience):
        reason = "validation failed, invalid audience claim (aud)"
    elif moment + leeway < claims.get("nbf", 0):
        reason = "validation failed, token not valid yet (nbf)"
    elif moment - leeway > claims.get("exp", moment):
        reason = "validation failed, token is expired (exp)"
    elif moment + leeway < claims.get("iat", 0):
        reason = "validation field, token issued in the future (iat)"
    else:
        return
    raise Refusal(Kind.ACCESS_DENIED, f"go-jose/go-jose/jwt: {reason}")


def _service_account(subject: str, pod: str) -> ServiceAccount:
    namespace, separator, name = subject.removeprefix(_SUBJECT_PREFIX).partition(":")
    if not subject.startswith(_SUBJECT_PREFIX) or not separator:
        raise Refusal(Kind.BAD_PARAMETER, f'token subject "{subject}" is not a service account')
    return ServiceAccount(subject, namespace, name, pod)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unsuitable(what: str) -> Refusal:
    return Refusal(Kind.BAD_PARAMETER, f"static_jwks joining requires the use of {what}")
