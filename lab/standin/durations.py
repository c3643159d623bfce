"""Durations and times as Go writes them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.standin.failure import Kind, Refusal

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_TERM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")


def parse(text: object) -> timedelta:
    """A Go duration such as ``60m`` or ``1h30m``.

    Raises:
        Refusal: the text is not a duration.
    """
    if not isinstance(text, str) or not re.fullmatch(f"-?(?:{_TERM.pattern})+|0", text):
        raise Refusal(Kind.BAD_PARAMETER, f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _TERM.findall(text))
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def lifetimes(document: Mapping[str, Any], inherited: tuple[timedelta, timedelta]) -> tuple[timedelta, timedelta]:
    """``credential_ttl`` and ``renewal_interval``, both or neither given.

    Raises:
        Refusal: one without the other, or not positive.
    """
    ttl = document.get("credential_ttl", document.get("certificate_ttl"))
    renewal = document.get("renewal_interval")
    if ttl is None and renewal is None:
        return inherited
    if ttl is None or renewal is None:
        raise Refusal(Kind.BAD_PARAMETER, "credential_ttl and renewal_interval must both be specified if either is")
    pair = parse(ttl), parse(renewal)
    for key, span in zip(("credential_ttl", "renewal_interval"), pair, strict=True):
        if span <= timedelta(0):
            raise Refusal(Kind.BAD_PARAMETER, f"{key} must be positive")
    return pair


def show(span: timedelta) -> str:
    """A duration as Go prints it: ``20m0s``, ``1h0m0s``, ``2.5s``."""
    total = span.total_seconds()
    hours, rest = divmod(int(total), 3600)
    minutes, whole = divmod(rest, 60)
    seconds = f"{whole + total - int(total):g}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the second or as precise as it is."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(text: object) -> datetime:
    """A moment as resources have it: RFC 3339, or a date alone; in UTC where no zone is given.

    Raises:
        Refusal: the text is none.
    """
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise Refusal(Kind.BAD_PARAMETER, f'cannot parse "{text}" as a time') from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def rfc3339_nano_now() -> str:
    """Now in UTC with nanoseconds, trailing zeros dropped as Go drops them."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanoseconds:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def now() -> datetime:
    """The present moment, with its time zone."""
    return datetime.now(UTC)
