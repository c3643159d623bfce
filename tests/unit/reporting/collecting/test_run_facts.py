"""What is known of the cluster is on the first page, by its address too."""

from __future__ import annotations

from facts.versions import Version
from reporting.collecting.run_facts import note_cluster
from reporting.collecting.store import Store
from reporting.writing.html import to_html
from tests.unit.reporting.sample import BODIES, report


def test_the_api_server_is_named_whether_or_not_its_version_was_read() -> None:
    store = Store()
    note_cluster(store, "https://192.0.2.1:6443", None, ())
    assert (store.facts.api_server, store.facts.kubernetes_version) == ("https://192.0.2.1:6443", "")
    note_cluster(store, "https://192.0.2.1:6443", Version.parse("v1.34.4", "x"), ())
    assert store.facts.kubernetes_version == "1.34.4"
    assert "https://192.0.2.1:6443" in to_html(report(facts=store.facts), BODIES)
