"""Teleport of an install: its public answers, the resources that tbot uses, and its audit events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.jwks import Signature, parse_jwks, verify
from facts.teleport.audit import AuditTrail
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import (
    Bot,
    BotInstance,
    ClusterStatus,
    JoinToken,
    NoSession,
    Ping,
    Role,
    WorkloadIdentity,
    selects,
)
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
BOT: Key[Bot | Absent] = Key("bot", lambda bot: bot.evidence)
ROLE: Key[Role | Absent] = Key("role", lambda role: role.evidence)
WORKLOAD_IDENTITY: Key[WorkloadIdentity | Absent] = Key("identity", lambda found: found.evidence, ("resources",))
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

    def kubernetes_type(self) -> str:
        """Type of the Kubernetes join in the token; the guide's ``static_jwks`` where no admin tctl can read it."""
        token = self.token() if self.session().has_admin else None
        return token.kubernetes_type if isinstance(token, JoinToken) else "static_jwks"

    def join_evidence(self) -> tuple[str, ...]:
        """The reading of the join token; none without an admin tctl."""
        return self.token().evidence if self.session().has_admin else ()

    def bot(self) -> Bot | Absent:
        """The bot that the join token names."""
        name = self._bot_name()
        return self.cluster.once(BOT, lambda: self.session().bot(name))

    def known_bot(self) -> Bot | Absent | None:
        """The bot; None without an admin tctl."""
        return self.bot() if self.session().has_admin else None

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of tbot's bot; None without an admin tctl."""
        if not self.session().has_admin:
            return None
        bot = self._bot_name()
        found = self.cluster.once(BOT_INSTANCES, lambda: self.session().bot_instances())
        return tuple(i for i in found if i.bot_name == bot)

    def role(self) -> Role | Absent:
        """The bot's role."""
        name = self.role_name()
        return self.cluster.once(ROLE, lambda: self.session().role(name))

    def role_name(self) -> str:
        """Name of the role that issues: the guide's, or the bot's first one where the bot has roles of other names."""
        bot = self.bot()
        other = not isinstance(bot, Absent) and bot.roles and self.cluster.names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self.cluster.names.role

    def workload_identity(self) -> WorkloadIdentity | Absent:
        """The workload identity that tbot's configuration selects, by name or by labels.

        Raises:
            CouldNotTell: The labels select several; Teleport decides which of them a workload gets.
        """
        return self.cluster.once(WORKLOAD_IDENTITY, self._selected_identity)

    def known_workload_identity(self) -> WorkloadIdentity | Absent | None:
        """The workload identity; None without an admin tctl."""
        return self.workload_identity() if self.session().has_admin else None

    def workload_identity_name(self) -> str:
        """Name of the workload identity, as it was found; the guide's where none was."""
        if self._identity_labels():
            found = self.workload_identity()
            return found.name if isinstance(found, WorkloadIdentity) else self.cluster.names.workload_identity
        return self._identity_name()

    def _bot_name(self) -> str:
        token = self.token()
        return self.cluster.names.bot if isinstance(token, Absent) else token.bot_name

    def _selected_identity(self) -> WorkloadIdentity | Absent:
        labels = self._identity_labels()
        if not labels:
            return self.session().workload_identity(self._identity_name())
        everything = self.session().workload_identities()
        found = [identity for identity in everything if selects(labels, identity.labels)]
        selector = ", ".join(f"{key}: {'|'.join(values)}" for key, values in sorted(labels.items()))
        if not found:
            evidence = of_each(everything)
            return Absent(ObjectRef("Teleport", f"workload_identity with {selector}"), evidence)
        if len(found) > 1:
            raise CouldNotTell(
                expected=f"one workload identity with the labels {selector}, as tbot's selector has them",
                seen=", ".join(sorted(i.name for i in found)),
                where="tctl get workload_identity",
                remedy="let tbot's selector name one: selector.name",
            )
        return found[0]

    def _identity_name(self) -> str:
        services = self.tbot.installed().config.services
        return (services[0].selector_name if services else "") or self.cluster.names.workload_identity

    def _identity_labels(self) -> Mapping[str, tuple[str, ...]]:
        services = self.tbot.installed().config.services
        return {} if not services or services[0].selector_name else services[0].selector_labels

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
