"""One odd proxy among many: it is unread with the error in its reason, and the others are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.errors import BadInput, CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity, Unread
from observe.kubernetes.cluster import Cluster
from observe.proxies import envoy
from observe.proxies.envoy import ProxyConnection
from observe.proxies.survey import IDENTITY, NORMALIZATION, Part, survey
from observe.proxies.tls import tls_part
from observe.proxies.unread import read_or_unread
from observe.proxies.watch import Watch
from observe.wait import NotYet
from tests.unit.judge import builders as make

POD = make.pod()
ERROR = RecursionError("maximum recursion depth exceeded")


@pytest.mark.parametrize("whole", [IDENTITY, NORMALIZATION, tls_part()], ids=lambda part: str(part.name))
@pytest.mark.usefixtures("healthy")
def test_an_unforeseen_error_costs_the_reading_of_its_own_proxy_alone(
    cluster: Cluster, pods: tuple[Pod, ...], whole: Part[object]
) -> None:
    def breaks_for_the_first(connection: ProxyConnection, pod: Pod) -> object:
        if pod is pods[0]:
            raise ERROR
        return whole.read(connection, pod)

    def unread_of(part: Part[object]) -> dict[str, Unread]:
        outcomes = survey(cluster, pods, [part]).of(part)
        return {each.pod.name: each for each in outcomes if isinstance(each, Unread)}

    before = set(unread_of(whole))
    unread = unread_of(replace(whole, read=breaks_for_the_first))
    assert set(unread) == before | {pods[0].name}
    assert "RecursionError: maximum recursion depth exceeded" in unread[pods[0].name].why.seen


@pytest.mark.usefixtures("healthy")
def test_a_watch_goes_on_after_an_unforeseen_error(
    cluster: Cluster, pods: tuple[Pod, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [ERROR]

    def breaks_once(cluster: Cluster, pod: Pod) -> ProxyIdentity:
        if errors:
            raise errors.pop()
        return envoy.read_proxy(cluster, pod)

    monkeypatch.setattr("observe.proxies.watch.read_proxy", breaks_once)
    with Watch(cluster, pods[:1], interval=0.01) as watch:
        watch.until("a sighting", lambda histories: _sighted(bool(histories[0].sightings)), 10)
    (history,) = watch.histories
    assert history.sightings
    assert not errors


def _sighted(seen: bool) -> None:
    if not seen:
        raise NotYet("none")


def test_the_reason_shows_the_error_without_secrets_and_where_it_came_from() -> None:
    def parses() -> int:
        raise OverflowError("password=hunter2hunter2hunter2")

    unread = read_or_unread(POD, parses)
    assert isinstance(unread, Unread)
    assert unread.pod.name == POD.name
    assert unread.why.seen.startswith("a defect of this suite or a hostile answer: OverflowError: ")
    assert unread.why.seen.endswith("(in parses, test_unread.py)")
    assert "hunter2" not in unread.why.seen
    assert isinstance(unread.why.__cause__, OverflowError)


def test_what_a_parser_says_itself_stays() -> None:
    why = CouldNotTell(expected="a", seen="b", where="c", remedy="d")

    def parses() -> int:
        raise why

    unread = read_or_unread(POD, parses)
    assert isinstance(unread, Unread)
    assert unread.why is why


def test_an_error_about_the_run_ends_it() -> None:
    def parses() -> int:
        raise BadInput(expected="a", seen="b", where="c", remedy="d")

    with pytest.raises(BadInput):
        read_or_unread(POD, parses)
