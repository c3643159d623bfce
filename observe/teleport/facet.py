"""Teleport of an install: its public answers, the resources that tbot uses, and its audit events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.jwks import Signature, parse_jwks, verify
from facts.teleport.audit import AuditTrail
from facts.teleport.bundle import TrustBundle
from facts.teleport.issuing import Grants, Identities, Issuing, each_once, selected
from facts.teleport.join_tokens import JoinTokens
from facts.teleport.resources import (
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
from facts.teleport.tbot_config import WorkloadApi
from observe.kubernetes.facet import ClusterFacet
from observe.readings import Key, of_each
from observe.teleport.audit import AuditEvents, read_trail
from observe.teleport.session import TeleportSession
from observe.teleport.tbot_facet import TbotFacet

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
            # The document does not name its trust domain; it belongs to the cluster whose proxy serves it.
            return replace(self.session().bundle(), trust_domain=self.ping().cluster_name)

        return self.cluster.once(BUNDLE, read)

    def has_the_expected_anchors(self) -> bool:
        """True where you gave trust anchors, and Teleport has that name and publishes exactly those authorities."""
        if self.anchors is None or self.ping().cluster_name != self.bundle().trust_domain:
            return False
        return self.session().bundle().fingerprints == self.bundle().fingerprints

    def status(self) -> ClusterStatus | NoSession:
        """The cluster that the admin tctl reaches, or the reason why it reaches none."""
        return self.cluster.once(STATUS, lambda: self.session().status())

    # Resources.

    def token(self) -> JoinToken | Absent:
        """The join token that tbot's configuration names."""
        name = self.token_name()
        return self.cluster.once(TOKEN, lambda: self.session().token(name))

    def token_name(self) -> str:
        """Name of the join token in tbot's configuration; the guide's where it has none."""
        tbot = self.tbot.installed()
        return tbot.join_secret or tbot.config.token or self.cluster.names.token

    def tokens(self) -> JoinTokens:
        """All join tokens of the Teleport cluster.

        Raises:
            NotGiven: There is no admin session, or it may not list tokens.
        """
        tbot = self.tbot.installed()
        known = () if tbot.join_secret else (self.token_name(),)
        return self.cluster.once(TOKENS, lambda: self.session().tokens(known))

    def kubernetes_type(self) -> str:
        """Type of the Kubernetes join in the token: the guide's ``static_jwks`` where there is no such token.

        Empty where no admin tctl can read it.
        """
        if not self.session().has_admin:
            return ""
        token = self.token()
        return token.kubernetes_type if isinstance(token, JoinToken) else "static_jwks"

    def join_evidence(self) -> tuple[str, ...]:
        """The reading of the join token; none without an admin tctl."""
        return self.token().evidence if self.session().has_admin else ()

    def bot(self) -> Bot | Absent:
        """The bot that the join token names."""
        name = self.bot_name()
        return self.cluster.once(BOT, lambda: self.session().bot(name))

    def known_bot(self) -> Bot | Absent | None:
        """The bot; None without an admin tctl."""
        return self.bot() if self.session().has_admin else None

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of tbot's bot; None without an admin tctl."""
        if not self.session().has_admin:
            return None
        bot = self.bot_name()
        found = self.cluster.once(BOT_INSTANCES, lambda: self.session().bot_instances())
        return tuple(i for i in found if i.bot_name == bot)

    def roles(self) -> tuple[Role | Absent, ...]:
        """The bot's roles; the guide's where it has none."""
        bot = self.bot()
        names = (*dict.fromkeys(bot.roles),) if isinstance(bot, Bot) and bot.roles else (self.role_name(),)
        return self.cluster.once(ROLES, lambda: tuple(self.session().role(name) for name in names))

    def role_name(self) -> str:
        """Name of the role that issues: the guide's, or the bot's first one where the bot has roles of other names."""
        bot = self.bot()
        other = not isinstance(bot, Absent) and bot.roles and self.cluster.names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self.cluster.names.role

    def workload_identities(self) -> WorkloadIdentities:
        """All workload identities of the Teleport cluster."""
        return self.cluster.once(WORKLOAD_IDENTITIES, lambda: self.session().workload_identities())

    def grants(self) -> Grants:
        """The bot's roles, beside all workload identities and those that any service of tbot selects."""
        config = self.tbot.installed().config
        selectors = [(service.selector_name, service.selector_labels) for service in config.services]
        selectors += [(other.name, other.labels) for other in config.other_selectors]
        taken = chain.from_iterable(self._selected(name, labels) for name, labels in selectors if name or labels)
        return Grants(self.roles(), self.workload_identities(), each_once(taken) or self._guides_identity())

    def issuing(self) -> tuple[Issuing, ...]:
        """The services of tbot that issue to the mesh, with what they select where an admin tctl can read it."""
        tbot, known = self.tbot.installed(), self.session().has_admin
        return tuple(
            Issuing(service, self._issued_by(service), self.workload_identities().evidence)
            if known
            else Issuing(service, None, ())
            for service in tbot.services_of_mesh
        )

    def identities(self) -> Identities:
        """The workload identities that tbot issues to the mesh; the guide's where tbot selects none."""
        found = chain.from_iterable(self._issued_by(service) for service in self.tbot.installed().services_of_mesh)
        return each_once(found) or self._guides_identity()

    def workload_identity_name(self) -> str:
        """Name of the first workload identity that tbot issues to the mesh; the guide's where there is none."""
        found = next(iter(self.identities()))
        return found.name if isinstance(found, WorkloadIdentity) else self._name_in_config()

    def _name_in_config(self) -> str:
        service = self.tbot.installed().service
        return (service.selector_name if service else "") or self.cluster.names.workload_identity

    def _guides_identity(self) -> Identities:
        return self._selected(self.cluster.names.workload_identity, {})

    def _issued_by(self, service: WorkloadApi) -> Identities:
        name, labels = service.selector_name, service.selector_labels
        return self._selected(name, labels) if name or labels else self._guides_identity()

    def _selected(self, name: str, labels: Mapping[str, tuple[str, ...]]) -> Identities:
        return selected(name, labels, self.workload_identities())

    def bot_name(self) -> str:
        """Name of the bot that the join token is for; the guide's where there is no such token."""
        token = self.token()
        return self.cluster.names.bot if isinstance(token, Absent) else token.bot_name

    # Issuance.

    def fresh_token(
        self, token: JoinToken | Absent, namespace: str, service_account: str
    ) -> tuple[Signature, tuple[str, ...]]:
        """Asks the API server for a token of the suite's service account, and verifies it with the join token's keys.

        Args:
            token: The join token.
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
