"""Istiod's own authorities, as it puts them into every namespace."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.istio.istio_ca import CONFIG_MAP, parse_istio_authorities
from facts.kubernetes.objects import ConfigMap
from tests.unit.facts.authorities import Authority


def test_every_root_is_read() -> None:
    one, two = Authority("cluster.local"), Authority("cluster.local")
    found = parse_istio_authorities(ConfigMap("n", "m", {"root-cert.pem": one.pem + two.pem}, ("ev-1",)))
    assert [a.sha256 for a in found.authorities] == [one.certificate.sha256, two.certificate.sha256]
    assert found.evidence == ("ev-1",)


@pytest.mark.parametrize("data", [{}, {"root-cert.pem": " \n"}, {"root-cert.pem": "nonsense"}])
def test_without_a_root_nothing_is_shown(data: dict[str, str]) -> None:
    with pytest.raises(CouldNotTell, match="root-cert"):
        parse_istio_authorities(ConfigMap("n", "m", data, ()))


def test_istiod_keeps_its_roots_in_that_config_map() -> None:
    assert CONFIG_MAP == "istio-ca-root-cert"


def test_an_empty_config_map_is_told_from_a_damaged_one() -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_istio_authorities(ConfigMap("n", "m", {"root-cert.pem": "\n"}, ()))
    assert (caught.value.seen, caught.value.where) == ("nothing", "ConfigMap n/m, key root-cert.pem")
