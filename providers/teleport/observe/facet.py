"""Teleport of an install: its public answers, the resources that tbot uses, and its audit events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.jwks import Signature, parse_jwks, verify
from facts.provider.trust import TrustBundle
from observe.kubernetes.facet import ClusterFacet
from observe.readings import Key, of_each
from providers.teleport.facts.audit import AuditTrail
from providers.teleport.facts.issuing import Grants, Identities, Issuing, each_once, selected
from providers.teleport.facts.join_tokens import JoinTokens
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import (
    Bot,
    BotInstance,
    ClusterStatus,
    JoinToken,
    NoSession,
    Ping,
    Role,
    WorkloadIdentities,
    WorkloadIdentity,
)
from providers.teleport.facts.tbot import Tbot
from providers.teleport.facts.tbot_config import WorkloadApi
from providers.teleport.observe.audit import AuditEvents, read_trail
from providers.teleport.observe.session import TeleportSession
from providers.teleport.observe.tbot_facet import TbotFacet

SESSION: Key[TeleportSession] = Key("teleport", lambda _: (), ("teleport",))
PING: Key[Ping] = Key("ping", lambda ping: ping.evidence)
BUNDLE: Key[TrustBundle] = Key("bundle", lambda bundle: bundle.evidence)
STATUS: Key[ClusterStatus | NoSession] = Key("status", lambda status: status.evidence)
TOKEN: Key[JoinToken | Absent] = Key("token", lambda token: token.evidence, ("resources",))
TOKENS: Key[JoinTokens] = Key("tokens", lambda tokens: tokens.evidence, ("resources",))
BOT: Key[Bot | Absent] = Key("bot", lambda bot: bot.evidence)
ROLES: Key[tuple[Role | Absent, ...]] = Key("roles", of_each)
WORKLOAD_IDENTITIES: Key[WorkloadIdentities] = Key("identities", lambda found: found.evidence, ("resources",))
BOT_INSTANCES: Key[tuple[BotInstance, ...]] = Key("bot_instances", of_each, ("tbot",))
AUDIT_TRAIL: Key[AuditTrail] = Key("audit_trail", lambda trail: trail.evidence)


@dataclass(frozen=True, slots=True)
class TeleportFacet:
    """Readings of Teleport.

    Attributes:
        cluster: The cluster, whose API server issues the tokens that Teleport takes.
        tbot: tbot, whose configuration names the token and the workload identity.
        open_session: Opens the install's Teleport; called when first needed.
        audit_events: Returns the source of Teleport's audit events; called when first needed, None where you gave none.
        anchors: Reads the trust anchors that you expect; None where you gave none.
    """

    cluster: ClusterFacet
    tbot: TbotFacet
    open_session: Callable[[], TeleportSession]
    audit_events: Callable[[], AuditEvents | None]
    anchors: Callable[[], TrustBundle] | None = None

    def session(self) -> TeleportSession:
        """The reader of Teleport."""
        return self.cluster.once(SESSION, self.open_session)

    def ping(self) -> Ping:
        """The answer of Teleport's proxy about itself."""
        return self.cluster.once(PING, lambda: self.session().ping())

    def bundle(self) -> TrustBundle:
        """Teleport's SPIFFE authorities: those that you expect, else those of its public endpoint."""

        def read() -> TrustBundle:
            if self.anchors is not None:
                return self.anchors()
            return self.published()

        return self.cluster.once(BUNDLE, read)

    def published(self) -> TrustBundle:
        """Teleport's SPIFFE authorities as its public endpoint has them now, whatever you expect. Each call asks again."""
        # The document does not name its trust domain; it belongs to the cluster whose proxy serves it.
        return replace(self.session().bundle(), trust_domain=self.ping().cluster_name)

    def has_the_expected_anchors(self) -> bool:
        """True where you gave trust anchors, and Teleport has that name and publishes exactly those authorities."""
        if self.anchors is None or self.ping().cluster_name != self.bundle().trust_domain:
            return False
        return self.session().bundle().fingerprints == self.bundle().fingerprints

    def status(self) -> ClusterStatus | NoSession:
        """The cluster that the admin tctl reaches, or the reason why it reaches none."""
        return self.cluster.once(STATUS, lambda: self.session().status())

    # Resources.

    def token_name(self) -> str:
        """Name of the join token in tbot's configuration; the guide's where it has none."""
        return self._token_name(self.tbot.all().first)

    def named_tokens(self) -> tuple[str, ...]:
        """Names of the join tokens of all tbots, as `token_name`, with a mark in place of one that is a secret."""
        return tuple(dict.fromkeys(t.config.token or self.cluster.names.token for t in self.tbot.all().each))

    def tokens(self) -> JoinTokens:
        """All join tokens of the Teleport cluster.

        Raises:
            NotGiven: There is no admin session, or it may not list tokens.
        """
        known = [self._token_name(tbot) for tbot in self.tbot.all().each if not tbot.join_secret]
        return self.cluster.once(TOKENS, lambda: self.session().tokens(known))

    def joinings(self) -> tuple[Joining, ...]:
        """Every tbot that serves the mesh, with its join token and its bot where an admin tctl can read them."""
        known = self.session().has_admin
        return tuple(
            Joining(tbot, self._token_of(tbot), self._bot_of(tbot)) if known else Joining(tbot)
            for tbot in self.tbot.all().each
        )

    def joinings_by_kubernetes(self) -> tuple[Joining, ...]:
        """The join tokens of the tbots that join by the method kubernetes, each with its bot and all that join with it.

        Raises:
            NotGiven: There is no admin session.
        """
        by_token: dict[str, list[Tbot]] = {}
        for tbot in self.tbot.all().each:
            if tbot.joins_by_kubernetes:
                by_token.setdefault(self._token_name(tbot), []).append(tbot)
        return tuple(
            Joining(first, self._token_of(first), self._bot_of(first), tuple(others)) for first, *others in by_token.values()
        )

    def bot(self) -> Bot | Absent:
        """The bot that the join token names; of several tbots, the first one's."""
        return self._bot_of(self.tbot.all().first)

    def bots(self) -> tuple[str, ...]:
        """Names of the bots that the tokens of all tbots are for."""
        return tuple(dict.fromkeys(self._bot_name(tbot) for tbot in self.tbot.all().each))

    def _token_of(self, tbot: Tbot) -> JoinToken | Absent:
        name = self._token_name(tbot)
        return self.cluster.once(TOKEN.narrowed(name), lambda: self.session().token(name))

    def _token_name(self, tbot: Tbot) -> str:
        return tbot.join_secret or tbot.config.token or self.cluster.names.token

    def _bot_of(self, tbot: Tbot) -> Bot | Absent:
        name = self._bot_name(tbot)
        return self.cluster.once(BOT.narrowed(name), lambda: self.session().bot(name))

    def _bot_name(self, tbot: Tbot) -> str:
        token = self._token_of(tbot)
        return self.cluster.names.bot if isinstance(token, Absent) else token.bot_name

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of the bots of all tbots; None without an admin tctl."""
        if not self.session().has_admin:
            return None
        bots = self.bots()
        found = self.cluster.once(BOT_INSTANCES, lambda: self.session().bot_instances())
        return tuple(i for i in found if i.bot_name in bots)

    def _roles_of(self, bot: Bot | Absent, name: str) -> tuple[Role | Absent, ...]:
        """The roles of a bot; the guide's where it has none."""
        names = (bot.roles if isinstance(bot, Bot) else ()) or (self.role_of(bot),)
        return self.cluster.once(ROLES.narrowed(name), lambda: tuple(self.session().role(role) for role in names))

    def role_name(self) -> str:
        """Name of the role that issues; of several bots, the first one's."""
        return self.role_of(self.bot())

    def role_of(self, bot: Bot | Absent) -> str:
        """Name of a bot's role that issues: the guide's, or its first one where the bot has roles of other names."""
        other = not isinstance(bot, Absent) and bot.roles and self.cluster.names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self.cluster.names.role

    def workload_identities(self) -> WorkloadIdentities:
        """All workload identities of the Teleport cluster."""
        return self.cluster.once(WORKLOAD_IDENTITIES, lambda: self.session().workload_identities())

    def grants(self) -> tuple[Grants, ...]:
        """For each bot its roles, beside all workload identities and those that any service of its tbots selects."""
        by_bot: dict[str, list[Tbot]] = {}
        for tbot in self.tbot.all().each:
            by_bot.setdefault(self._bot_name(tbot), []).append(tbot)
        return tuple(self._grants_of(name, tbots) for name, tbots in by_bot.items())

    def _grants_of(self, bot: str, tbots: Sequence[Tbot]) -> Grants:
        configs = [tbot.config for tbot in tbots]
        selectors = [(s.selector_name, s.selector_labels) for config in configs for s in config.services]
        selectors += [(other.name, other.labels) for config in configs for other in config.other_selectors]
        taken = chain.from_iterable(self._selected(name, labels) for name, labels in selectors if name or labels)
        roles = self._roles_of(self._bot_of(tbots[0]), bot)
        return Grants(roles, self.workload_identities(), each_once(taken) or self._guides_identity())

    def issuing(self) -> tuple[Issuing, ...]:
        """The services of tbot that issue to the mesh, with what they select where an admin tctl can read it."""
        known = self.session().has_admin
        return tuple(
            Issuing(service, self._issued_by(service), self.workload_identities().evidence)
            if known
            else Issuing(service, None, ())
            for service in self._services_of_mesh()
        )

    def identities(self) -> Identities:
        """The workload identities that tbot issues to the mesh; the guide's where tbot selects none."""
        found = chain.from_iterable(self._issued_by(service) for service in self._services_of_mesh())
        return each_once(found) or self._guides_identity()

    def workload_identity_name(self) -> str:
        """Name of the first workload identity that tbot issues to the mesh; the guide's where there is none."""
        found = next(iter(self.identities()))
        return found.name if isinstance(found, WorkloadIdentity) else self._name_in_config()

    def _name_in_config(self) -> str:
        service = self.tbot.all().first.service
        return (service.selector_name if service else "") or self.cluster.names.workload_identity

    def _services_of_mesh(self) -> Iterator[WorkloadApi]:
        return chain.from_iterable(tbot.services_of_mesh for tbot in self.tbot.all().each)

    def _guides_identity(self) -> Identities:
        return self._selected(self.cluster.names.workload_identity, {})

    def _issued_by(self, service: WorkloadApi) -> Identities:
        name, labels = service.selector_name, service.selector_labels
        return self._selected(name, labels) if name or labels else self._guides_identity()

    def _selected(self, name: str, labels: Mapping[str, tuple[str, ...]]) -> Identities:
        return selected(name, labels, self.workload_identities())

    # Issuance.

    def fresh_token(
        self, token: JoinToken | Absent, namespace: str, service_account: str
    ) -> tuple[Signature, tuple[str, ...]]:
        """Asks the API server for a token of the suite's service account, and verifies it with the join token's keys.

        Args:
            namespace: A namespace that the suite made.
            service_account: A service account that the suite made.
        """
        audience = self.ping().cluster_name
        fresh, evidence = self.cluster.reader.token_request(namespace, service_account, audience)
        if isinstance(token, Absent):
            return Signature(False, "", str(token)), (evidence,)
        try:
            extracted = parse_jwks(token.jwks_text)
        except CouldNotTell as error:
            return Signature(False, "", f"the extracted JWKS cannot be used: {error.seen}"), (evidence,)
        return verify(fresh, extracted), (evidence,)

    def audit_trail(self, serials: Iterable[str]) -> AuditTrail:
        """Teleport's audit events about the certificates that the sidecars hold.

        Args:
            serials: Of all these certificates.
        """
        return self.cluster.once(
            AUDIT_TRAIL, lambda: read_trail(self.audit_events(), serials, self.cluster.readings.recorder)
        )
