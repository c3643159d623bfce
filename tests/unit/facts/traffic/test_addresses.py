"""Hosts with a port, among them IPv6 addresses."""

from __future__ import annotations

import pytest

from facts.traffic.addresses import host_and_port, with_port


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("teleport.example.com", "teleport.example.com", None),
        ("teleport.example.com:3080", "teleport.example.com", 3080),
        ("192.0.2.1:443", "192.0.2.1", 443),
        ("[fd00::1]:3080", "fd00::1", 3080),
        ("[fd00::1]", "fd00::1", None),
        ("host:", "host", None),
    ],
)
def test_hosts_with_and_without_a_port(text: str, host: str, port: int | None) -> None:
    assert host_and_port(text) == (host, port)
    if port is not None:
        assert with_port(host, port) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "fd00::1",
        "fd00::1:3080",
        "[fd00::1",
        "[fd00::1]3080",
        "[host]:1",
        "host:port",
        "host:99999",
        "a@b:1",
        "a/b",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library has its own words for some
        host_and_port(text)
