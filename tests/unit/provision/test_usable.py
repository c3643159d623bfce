"""Settings that no run can start with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import settings
from facts.errors import BadInput
from facts.provider.trust import parse_bundle
from facts.recorder import KeptInMemory
from providers.teleport.observe.anchors import read_anchors
from provision.clusters.directory import NameLock
from provision.installing.variant import RECOMMENDED, note_variant
from provision.usable import must_be_a_new_run, must_be_installable, must_be_usable


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "existing"}, "the suite installs nothing on an existing cluster"),
        ({"tctl": "tctl"}, "--teleport-proxy HOST:PORT"),
        ({"names": {"bot": "another"}}, r"names\.bot"),
        ({"names": {"socket_name": "other"}}, r"names\.socket_name"),
        ({"repairs": "bot"}, "repairs of --install recommended: socket-name, path-normalization, strict-mtls; saw .*bot"),
        ({"install": "as-guide", "repairs": "bot,socket-name"}, "gateway as well.*--repair bot,gateway,socket-name"),
        ({"install": "as-guide", "repairs": "bot,tamplate"}, "repairs of --install as-guide: bot, .*saw .*tamplate"),
    ],
)
def test_settings_that_cannot_be_installed_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        must_be_installable(settings.load(**given))


def test_the_defaults_and_another_socket_directory_can_be_installed() -> None:
    must_be_installable(settings.load())
    must_be_installable(settings.load(names={"socket_directory": "/run/tbot"}))


def test_the_guides_installation_and_its_repairs_can_be_installed() -> None:
    must_be_installable(settings.load(install="as-guide"))
    must_be_installable(settings.load(install="as-guide", repairs="bot, template"))


@pytest.mark.parametrize("given", [{"install": "as-guide"}, {"repairs": "bot"}])
def test_nothing_is_installed_or_repaired_on_an_existing_cluster(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="judges an existing install as it is"):
        must_be_usable(settings.load(cluster="existing", context="staging", **given))


def test_a_kept_cluster_is_used_again_only_as_it_was_installed(tmp_path: Path) -> None:
    directory = tmp_path / "clusters" / "a"
    directory.mkdir(parents=True)
    (directory / "kubeconfig").write_text("{}")
    note_variant(directory, RECOMMENDED)
    must_be_installable(settings.load(cache=tmp_path, kind_name="a", reuse=True))
    must_be_installable(settings.load(cache=tmp_path, kind_name="a", install="as-guide"))
    with pytest.raises(BadInput, match="conformance down --kind-name a"):
        must_be_installable(settings.load(cache=tmp_path, kind_name="a", install="as-guide", reuse=True))


def test_a_mirror_needs_an_address() -> None:
    with pytest.raises(BadInput, match="--registry HOST/PREFIX"):
        must_be_usable(settings.load(source="mirror"))


def test_the_labs_older_istio_comes_from_no_registry() -> None:
    must_be_usable(settings.load(istio="older"))
    with pytest.raises(BadInput, match="leave out --source"):
        must_be_usable(settings.load(istio="older", source="upstream"))


def test_a_reserved_name_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a run-id other than latest, which names the newest report; saw latest"):
        must_be_a_new_run(settings.load(run_id="latest", reports=tmp_path))
    must_be_a_new_run(settings.load(run_id="latest-1", reports=tmp_path))


def test_a_name_that_another_process_starts_on_is_refused(tmp_path: Path) -> None:
    given = settings.load(cache=tmp_path, kind_name="a")
    lock = NameLock(tmp_path / "clusters" / "a")
    with pytest.raises(BadInput, match="another --kind-name"):
        must_be_usable(given)
    lock.release()
    must_be_usable(given)


def test_teleport_is_verified_by_a_ca_or_not_at_all(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    with pytest.raises(BadInput, match="No such file"):
        must_be_usable(settings.load(teleport_ca=ca))
    ca.write_text("no certificate")
    with pytest.raises(BadInput, match="expected a file with certificates in PEM"):
        must_be_usable(settings.load(teleport_ca=ca))
    with pytest.raises(BadInput, match="expected teleport_ca or teleport_insecure; saw both"):
        must_be_usable(settings.load(teleport_ca=ca, teleport_insecure=True))


BUNDLE = Path(__file__).parents[2] / "data/teleport/bundle.json"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "kind", "trust_domain": "t.test"}, "cluster = existing"),
        ({}, "trust_domain, whose bundle it is"),
        ({"trust_domain": "t.test", "allow": "disruptive"}, "no --allow disruptive"),
        ({"trust_domain": "t.test", "trust_bundle": Path("none.json")}, "No such file"),
        ({"trust_domain": "t.test", "trust_bundle": BUNDLE.with_name("ping.json")}, "expected a SPIFFE bundle as JSON"),
    ],
)
def test_expected_anchors_are_a_trust_domain_and_its_bundle_for_an_existing_cluster(
    given: dict[str, Any], said: str
) -> None:
    options = {"cluster": "existing", "context": "staging", "trust_bundle": BUNDLE, **given}
    with pytest.raises(BadInput, match=said):
        must_be_usable(settings.load(**options))


def test_expected_anchors_are_read_with_their_evidence() -> None:
    recorder = KeptInMemory()
    bundle = read_anchors(BUNDLE, "t.test", recorder)
    assert bundle.trust_domain == "t.test"
    assert bundle.authorities
    assert bundle.evidence == tuple(recorder.evidence)
    assert parse_bundle(json.loads(recorder.evidence[bundle.evidence[0]].body)).fingerprints == bundle.fingerprints


@pytest.mark.parametrize("context", ["", "another"])
def test_an_existing_cluster_needs_a_context_of_the_kubeconfig(context: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("contexts: [{name: staging, context: {}}]")

    must_be_usable(settings.load(cluster="existing", kubeconfig=kubeconfig, context="staging"))
    with pytest.raises(BadInput, match="expected one of the contexts staging"):
        must_be_usable(settings.load(cluster="existing", kubeconfig=kubeconfig, context=context))


def test_a_run_is_not_called_like_an_earlier_one(tmp_path: Path) -> None:
    def named(run_id: str) -> settings.Settings:
        return settings.load(reports=tmp_path, run_id=run_id)

    must_be_a_new_run(named("ci-7"))
    must_be_a_new_run(named(""))
    (tmp_path / "ci-7").mkdir()
    with pytest.raises(BadInput, match="a report of ci-7"):
        must_be_a_new_run(named("ci-7"))


@pytest.mark.parametrize("run_id", ["CI-7", "a/b", "-a", "a" * 41])
def test_the_name_of_a_run_can_be_part_of_a_namespaces_name(run_id: str) -> None:
    with pytest.raises(settings.BadSettings, match="run_id"):
        settings.load(run_id=run_id)
