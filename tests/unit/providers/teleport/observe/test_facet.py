"""Readings of Teleport that need an admin session, with and without one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.provider.trust import TrustBundle
from facts.secret_forms import MARK
from providers.teleport.facts.join_tokens import JoinTokens
from providers.teleport.facts.resources import Bot, JoinToken, Ping, Role, WorkloadIdentities, WorkloadIdentity
from providers.teleport.facts.tbot_config import OtherSelector, WorkloadApi
from providers.teleport.observe.facet import TeleportFacet
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import authority


class Session:
    """A Teleport with a bot, and without the token that would name it."""

    def __init__(self, *, has_admin: bool) -> None:
        self.has_admin = has_admin
        self.known: list[list[str]] = []

    def token(self, name: str) -> Absent:
        return Absent(ObjectRef("Teleport", f"token/{name}"), ("ev-token",))

    def tokens(self, known: list[str]) -> JoinTokens:
        self.known.append(known)
        return JoinTokens((), ("ev-tokens",))

    def bot(self, name: str) -> Bot:
        return Bot(name, (), ("ev-bot",))


def facet(session: Session, secret: str = "") -> TeleportFacet:
    """Teleport as tbot's file names it, each reading made anew."""
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    installed = replace(make.tbot(config=make.tbot_config(token="a-token")), join_secret=secret)
    tbot: Any = SimpleNamespace(all=lambda: make.tbots(installed))
    return TeleportFacet(cluster, tbot, lambda: cast("Any", session), lambda: None)


class Published:
    """A Teleport with public endpoints alone."""

    has_admin = False

    def __init__(self, name: str, bundle: TrustBundle) -> None:
        self._name, self._bundle = name, bundle

    def ping(self) -> Ping:
        return make.ping(cluster_name=self._name)

    def bundle(self) -> TrustBundle:
        return self._bundle


OURS = make.bundle()
OTHERS = replace(OURS, authorities=(authority("another authority"),))


@pytest.mark.parametrize(
    ("name", "published", "confirmed"),
    [(OURS.trust_domain, OURS, True), ("other.example.com", OURS, False), (OURS.trust_domain, OTHERS, False)],
    ids=["the expected one", "another name", "other authorities"],
)
def test_the_expected_anchors_are_judged_against_and_confirm_the_teleport_that_has_them(
    name: str, published: TrustBundle, *, confirmed: bool
) -> None:
    found = replace(facet(cast("Any", Published(name, published))), anchors=lambda: OURS)
    assert found.bundle() == OURS
    assert found.published() == replace(published, trust_domain=name)
    assert found.has_the_expected_anchors() is confirmed


def test_without_anchors_the_published_bundle_counts_and_confirms_nothing() -> None:
    found = facet(cast("Any", Published(OURS.trust_domain, OTHERS)))
    assert found.bundle() == replace(OTHERS, trust_domain=OURS.trust_domain)
    assert not found.has_the_expected_anchors()


def test_what_tbot_joins_with_is_known_to_an_admin_alone() -> None:
    (known,) = facet(Session(has_admin=True)).joinings()
    assert known.bot == Bot("istio-tbot", (), ("ev-bot",))
    # There is no such token.
    assert known.kubernetes_type == "static_jwks"
    (unknown,) = facet(Session(has_admin=False)).joinings()
    assert (unknown.token, unknown.bot, unknown.kubernetes_type) == (None, None, "")


def test_of_all_tokens_only_the_name_that_is_no_secret_is_known() -> None:
    session = Session(has_admin=True)
    assert facet(session).tokens().evidence == ("ev-tokens",)
    facet(session, secret="a-secret-name").tokens()
    assert session.known == [["a-token"], []]


class WithResources:
    """A Teleport with workload identities and roles."""

    has_admin = True

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    def token(self, name: str) -> Absent:
        return Absent(ObjectRef("Teleport", f"token/{name}"), ("ev-token",))

    def bot(self, name: str) -> Bot:
        return Bot(name, self.roles, ("ev-bot",))

    def role(self, name: str) -> Role:
        return make.role(name=name)

    def workload_identities(self) -> WorkloadIdentities:
        others = (make.identity(name="batch"), make.identity(name="prod", labels={"env": "prod"}))
        return WorkloadIdentities((make.identity(), *others), ("ev-identities",))


def of_services(*services: WorkloadApi, roles: tuple[str, ...] = (), looked_for: str = "", **config: Any) -> TeleportFacet:
    """Teleport beside a tbot with these services."""
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    installed = replace(
        make.tbot(config=make.tbot_config(services=services, **config)), looked_for=frozenset({looked_for} - {""})
    )
    tbot: Any = SimpleNamespace(all=lambda: make.tbots(installed))
    return TeleportFacet(cluster, tbot, lambda: cast("Any", WithResources(*roles)), lambda: None)


def names(identities: tuple[WorkloadIdentity | Absent, ...]) -> list[str]:
    return [i.subject.name if isinstance(i, Absent) else i.name for i in identities]


BY_LABELS = make.workload_api(selector_name="", selector_labels={"env": ("dev",)})
HOSTS = make.workload_api(listen="unix:///run/spire/sockets/hosts", selector_name="prod")


def test_the_identities_of_the_mesh_are_those_of_the_service_that_it_uses() -> None:
    assert names(of_services(BY_LABELS).identities()) == ["istio-workloads", "batch"]
    mesh = of_services(HOSTS, BY_LABELS, looked_for="/run/spire/sockets/socket")
    assert names(mesh.identities()) == ["istio-workloads", "batch"]
    assert mesh.workload_identity_name() == "istio-workloads"
    (issuing,) = mesh.issuing()
    assert (issuing.service, issuing.evidence) == (BY_LABELS, ("ev-identities",))


def test_a_service_without_a_selector_is_judged_by_the_guides_identity() -> None:
    nothing = make.workload_api(selector_name="")
    assert names(of_services(nothing).identities()) == ["istio-workloads"]
    assert names(of_services().identities()) == ["istio-workloads"]
    (grants,) = of_services().grants()
    assert names(grants.selected) == ["istio-workloads"]


def test_an_identity_that_does_not_exist_keeps_the_name_of_tbots_file() -> None:
    missing = of_services(make.workload_api(selector_name="gone"))
    assert names(missing.identities()) == ["workload_identity/gone"]
    assert missing.workload_identity_name() == "gone"


def test_the_grants_are_beside_what_every_service_selects() -> None:
    other = OtherSelector("prod", {})
    (found,) = of_services(BY_LABELS, roles=("a", "b"), other_selectors=(other,)).grants()
    assert names(found.selected) == ["istio-workloads", "batch", "prod"]
    assert [role.name for role in found.roles if isinstance(role, Role)] == ["a", "b"]
    assert len(found.everything.identities) == 3
    (without_roles,) = of_services(BY_LABELS).grants()
    assert [role.name for role in without_roles.roles if isinstance(role, Role)] == [Names().role]


class OfPools(WithResources):
    """A Teleport with a join token, a bot and a role of its own for each pool of nodes."""

    def token(self, name: str) -> JoinToken:  # type: ignore[override]
        return make.token(name=name, bot_name=f"bot-{name}")

    def bot(self, name: str) -> Bot:
        return Bot(name, (f"issuer-{name}",), (f"ev-{name}",))


def test_each_bot_has_its_own_role_and_grants_what_its_own_tbots_issue() -> None:
    pools = [
        make.tbot(config=make.tbot_config(token=token, services=(make.workload_api(selector_name=selected),)))
        for token, selected in (("a", "istio-workloads"), ("b", "prod"), ("a", "batch"))
    ]
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    tbot: Any = SimpleNamespace(all=lambda: make.tbots(*pools))
    teleport = TeleportFacet(cluster, tbot, lambda: cast("Any", OfPools()), lambda: None)
    assert [teleport.role_of(each.known_bot) for each in teleport.joinings_by_kubernetes()] == [
        "issuer-bot-a",
        "issuer-bot-b",
    ]
    first, second = teleport.grants()
    assert names(first.selected) == ["istio-workloads", "batch"]
    assert names(second.selected) == ["prod"]
    assert [role.name for role in (*first.roles, *second.roles) if isinstance(role, Role)] == [
        "issuer-bot-a",
        "issuer-bot-b",
    ]


def test_a_tbot_whose_file_names_no_token_joins_with_that_of_the_settings() -> None:
    pools = [make.tbot(config=make.tbot_config(token=token)) for token in ("", "a", MARK, "a")]
    tbot: Any = SimpleNamespace(all=lambda: make.tbots(*pools))
    teleport = TeleportFacet(cast("Any", SimpleNamespace(names=Names())), tbot, cast("Any", None), lambda: None)
    assert teleport.named_tokens() == (Names().token, "a", MARK)


def test_tbots_with_the_same_token_join_together() -> None:
    pools = [make.tbot(config=make.tbot_config(token=name)) for name in ("a", "a", "b")]
    pools.append(make.tbot(config=make.tbot_config(join_method="iam")))
    cluster: Any = SimpleNamespace(once=lambda _key, read: read(), names=Names())
    tbot: Any = SimpleNamespace(all=lambda: make.tbots(*pools))
    teleport = TeleportFacet(cluster, tbot, lambda: cast("Any", Session(has_admin=True)), lambda: None)
    first, second = teleport.joinings_by_kubernetes()
    assert (first.tbot.config.token, second.tbot.config.token) == ("a", "b")
    assert (first.others, second.others) == ((pools[1],), ())
    assert first.accounts == ("teleport-system:tbot",)
    assert len(teleport.joinings()) == 4
    assert teleport.bots() == ("istio-tbot",)
