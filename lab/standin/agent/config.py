"""tbot's configuration file, version 2, with its strictness or the lack of it.

Releases before 17.2 refuse unknown keys at the root and in what is written out there; later ones ignore them without a
word. A misspelt key inside a service (``attestor`` for ``attestors``) every release ignores. A file without ``version``
is of version 1: up to 18 tbot migrates it, which drops its services; 19 refuses it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from lab.standin import durations, shapes
from lab.standin.agent.services import WorkloadIdentityApi, read_services
from lab.standin.failure import Kind, Refusal, within
from lab.standin.logs import Log
from lab.standin.release import Release

DEFAULT_TTL = timedelta(minutes=60)
DEFAULT_RENEWAL = timedelta(minutes=20)
_MAX_BOT_TTL = timedelta(hours=24)
_DEFAULT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_ROOT_KEYS = {
    "version", "auth_server", "proxy_server", "credential_ttl", "certificate_ttl", "renewal_interval", "oneshot",
    "debug", "fips", "insecure", "diag_addr", "storage", "onboarding", "services", "outputs", "leeway", "tracing",
    "join_uri", "scoped",
}  # fmt: skip
_ONBOARDING_KEYS = {"token", "join_method", "ca_path", "ca_pins", "kubernetes"}
_KUBERNETES_KEYS = {"token_path"}

_FIRST, _SECOND = "v1", "v2"

_log = Log("tbot")


@dataclass(frozen=True, slots=True)
class BotConfig:
    """The settings in force.

    Attributes:
        server: ``host:port`` to dial.
        through_proxy: whether that is a proxy (else the Auth Service).
        insecure: trust whatever certificate the server shows.
        ca_pins: pins of the cluster's CA, for the Auth Service only.
        token: name of the join token.
        join_method: must be ``kubernetes`` here.
        id_token_path: file with the projected service-account token.
        credential_ttl: lifetime asked for the bot's identity, and by default for SVIDs.
        renewal_interval: how often the bot's identity is renewed, and by default SVIDs.
        storage: directory where the identity is kept, or none for memory.
        diag_addr: ``host:port`` of the diagnostics, or none.
        debug: whether debug lines are written.
        services: what to serve.
    """

    server: str
    through_proxy: bool
    insecure: bool
    ca_pins: tuple[str, ...]
    token: str
    join_method: str
    id_token_path: Path
    credential_ttl: timedelta
    renewal_interval: timedelta
    storage: Path | None
    diag_addr: str | None
    debug: bool
    services: tuple[WorkloadIdentityApi, ...]


def load(path: Path, release: Release, *, insecure: bool = False, diag_addr: str | None = None) -> BotConfig:
    """Read and check the file; the arguments are the command line's and win over it.

    Raises:
        Refusal: with the text that tbot gives.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(Kind.BAD_PARAMETER, "loading config from file", f"open {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refusal(Kind.BAD_PARAMETER, "loading config from file", f"failed parsing config file: {error}") from error
    if not isinstance(document, dict):
        raise Refusal(Kind.BAD_PARAMETER, "loading config from file", "failed parsing config file: expected a mapping")
    if insecure:
        document["insecure"] = True
    if diag_addr:
        document["diag_addr"] = diag_addr
    with within("validating merged bot config"):
        return read(document, release)


def read(document: Mapping[str, Any], release: Release) -> BotConfig:
    """The configuration in an already parsed file, as a release reads it.

    Raises:
        Refusal: with the text that tbot gives.
    """
    only = _only if release.refuses_unknown_keys else _anything
    only(document, _ROOT_KEYS, "config.BotConfig")
    document = _of_second_version(document, release)
    for key in ("oneshot", "fips", "join_uri", "scoped"):
        if document.get(key):
            raise Refusal(Kind.NOT_IMPLEMENTED, f"{key}: not part of the stand-in for Teleport")
    server, through_proxy = _server(document)
    onboarding = shapes.mapping(document, "onboarding")
    only(onboarding, _ONBOARDING_KEYS, "config.OnboardingConfig")
    kubernetes = shapes.mapping(onboarding, "kubernetes")
    only(kubernetes, _KUBERNETES_KEYS, "onboarding.KubernetesOnboardingConfig")
    pins = tuple(shapes.texts(onboarding, "ca_pins"))
    insecure = bool(document.get("insecure"))
    _check_trust(pins, onboarding.get("ca_path"), insecure=insecure)
    ttl, renewal = durations.lifetimes(document, (DEFAULT_TTL, DEFAULT_RENEWAL))
    if ttl > _MAX_BOT_TTL or renewal >= ttl:
        _log.warning(
            "Requested certificate TTL is longer than permitted or shorter than the renewal interval",
            credential_ttl=durations.show(ttl),
            renewal_interval=durations.show(renewal),
        )
    services = [*shapes.items(document, "services"), *shapes.items(document, "outputs")]
    return BotConfig(
        server=server,
        through_proxy=through_proxy,
        insecure=insecure,
        ca_pins=pins,
        token=_token(onboarding),
        join_method=_join_method(onboarding),
        id_token_path=_id_token_path(kubernetes),
        credential_ttl=ttl,
        renewal_interval=renewal,
        storage=_storage(document),
        diag_addr=shapes.text(document, "diag_addr") or None,
        debug=bool(document.get("debug")),
        services=read_services(services, (ttl, renewal)),
    )


def _of_second_version(document: Mapping[str, Any], release: Release) -> Mapping[str, Any]:
    """The document as it is, or what a migration leaves of one of version 1."""
    version = shapes.text(document, "version", _FIRST)
    if version == _SECOND:
        return document
    if version != _FIRST:
        raise Refusal(Kind.BAD_PARAMETER, f'unrecognized value for config version "{version}", use {_SECOND}')
    if not release.migrates_first_version:
        raise Refusal(Kind.BAD_PARAMETER, f"configuration version {_FIRST} is no longer supported")
    _log.info("The configuration is of version v1 and was migrated to v2 in memory; v1 has no services")
    return {**document, "services": [], "outputs": []}


def _server(document: Mapping[str, Any]) -> tuple[str, bool]:
    auth, proxy = shapes.text(document, "auth_server"), shapes.text(document, "proxy_server")
    if auth and proxy:
        raise Refusal(Kind.BAD_PARAMETER, "auth_server and proxy_server are mutually exclusive, set one of them")
    if not auth and not proxy:
        raise Refusal(Kind.BAD_PARAMETER, "either auth_server or proxy_server must be configured")
    server = proxy or auth
    host, _ = shapes.host_and_port(server, "proxy_server" if proxy else "auth_server")
    if not host:
        raise Refusal(Kind.BAD_PARAMETER, f'expected the address of the server, got "{server}"')
    return server, bool(proxy)


def _check_trust(pins: Sequence[str], ca_path: object, *, insecure: bool) -> None:
    if pins and insecure:
        raise Refusal(Kind.BAD_PARAMETER, "the option ca-pin is mutually exclusive with --insecure")
    if ca_path and insecure:
        raise Refusal(Kind.BAD_PARAMETER, "the option ca-path is mutually exclusive with --insecure")
    if pins and ca_path:
        raise Refusal(Kind.BAD_PARAMETER, "the options ca-pin and ca-path are mutually exclusive")
    if ca_path:
        raise Refusal(Kind.NOT_IMPLEMENTED, "onboarding.ca_path: not part of the stand-in for Teleport")


def _join_method(onboarding: Mapping[str, Any]) -> str:
    method = shapes.text(onboarding, "join_method")
    if method != "kubernetes":
        raise Refusal(
            Kind.NOT_IMPLEMENTED,
            f'onboarding.join_method "{method}" is not part of the stand-in for Teleport, it joins by "kubernetes" only',
        )
    return method


def _token(onboarding: Mapping[str, Any]) -> str:
    token = shapes.text(onboarding, "token")
    if not token.startswith("/"):
        return token
    try:
        return Path(token).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Refusal(Kind.BAD_PARAMETER, f"onboarding.token: reading {token}: {error.strerror}") from error


def _id_token_path(kubernetes: Mapping[str, Any]) -> Path:
    chosen = shapes.text(kubernetes, "token_path") or os.environ.get("KUBERNETES_TOKEN_PATH")
    return Path(chosen) if chosen else _DEFAULT_TOKEN


def _storage(document: Mapping[str, Any]) -> Path | None:
    storage = shapes.mapping(document, "storage")
    match shapes.text(storage, "type", "directory"):
        case "memory":
            return None
        case "directory":
            return Path(shapes.text(storage, "path", "/var/lib/teleport/bot"))
        case other:
            raise Refusal(Kind.BAD_PARAMETER, f'unrecognized storage type "{other}", expected memory or directory')


def _anything(_document: Mapping[str, Any], _known: set[str], _type_name: str) -> None:
    """Ignore unknown keys."""


def _only(document: Mapping[str, Any], known: set[str], type_name: str) -> None:
    for key in document:
        if key not in known:
            raise Refusal(Kind.BAD_PARAMETER, f"failed parsing config file: field {key} not found in type {type_name}")
