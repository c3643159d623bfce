"""Teleport of an install: what its proxy publishes, the resources that tbot uses, and its audit events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

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
from observe.kubernetes.cluster import Cluster
from observe.readings import Key, Readings, all_of
from observe.teleport.audit import AuditEvents, read_trail
from observe.teleport.session import TeleportSession
from observe.teleport.tbot_facet import TbotFacet
from settings import Names

SESSION: Key[TeleportSession] = Key("teleport", lambda _: ())
PING: Key[Ping] = Key("ping", lambda ping: ping.evidence)
BUNDLE: Key[TrustBundle] = Key("bundle", lambda bundle: bundle.evidence)
STATUS: Key[ClusterStatus | NoSession] = Key("status", lambda status: status.evidence)
TOKEN: Key[JoinToken | Absent] = Key("token", lambda token: token.evidence)
BOT: Key[Bot | Absent] = Key("bot", lambda bot: bot.evidence)
ROLE: Key[Role | Absent] = Key("role", lambda role: role.evidence)
WORKLOAD_IDENTITY: Key[WorkloadIdentity | Absent] = Key("identity", lambda found: found.evidence)
BOT_INSTANCES: Key[tuple[BotInstance, ...]] = Key("bot_instances", lambda found: all_of(i.evidence for i in found))
AUDIT_TRAIL: Key[AuditTrail] = Key("audit_trail", lambda trail: trail.evidence)


class TeleportFacet:
    """Readings of Teleport.

    Args:
        reader: Reads the Kubernetes API, which issues the tokens that Teleport takes.
        tbot: tbot, whose configuration names the token and the workload identity.
        readings: The cache.
        names: The guide's names, or discovered ones.
        session: Opens the install's Teleport; called when first needed.
        audit_events: Returns the source of Teleport's audit events; called when first needed, None where none was given.
    """

    def __init__(
        self,
        reader: Cluster,
        tbot: TbotFacet,
        readings: Readings,
        names: Names,
        *,
        session: Callable[[], TeleportSession],
        audit_events: Callable[[], AuditEvents | None],
    ) -> None:
        self._reader = reader
        self._tbot = tbot
        self._readings = readings
        self._names = names
        self._session = session
        self._audit_events = audit_events

    def session(self) -> TeleportSession:
        """The reader of Teleport."""
        self._readings.need("teleport")
        return self._readings.once(SESSION, self._session)

    def ping(self) -> Ping:
        """The answer of Teleport's proxy about itself."""
        return self._readings.once(PING, lambda: self.session().ping())

    def bundle(self) -> TrustBundle:
        """Teleport's SPIFFE authorities, from its public endpoint."""

        def read() -> TrustBundle:
            # The document does not name its trust domain; it belongs to the cluster whose proxy serves it.
            return replace(self.session().bundle(), trust_domain=self.ping().cluster_name)

        return self._readings.once(BUNDLE, read)

    def status(self) -> ClusterStatus | NoSession:
        """The cluster that the admin tctl talks to, or that it talks to none."""
        return self._readings.once(STATUS, lambda: self.session().status())

    # Resources.

    def token(self) -> JoinToken | Absent:
        """The join token that tbot's configuration names."""
        self._readings.need("resources")
        name = self.token_name()
        return self._readings.once(TOKEN, lambda: self.session().token(name))

    def token_name(self) -> str:
        """Name of the join token in tbot's configuration; the guide's where it has none."""
        return self._tbot.installed().config.token or self._names.token

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
        return self._readings.once(BOT, lambda: self.session().bot(name))

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of tbot's bot; None without an admin tctl."""
        self._readings.need("tbot")
        if not self.session().has_admin:
            return None
        bot = self._bot_name()
        found = self._readings.once(BOT_INSTANCES, lambda: self.session().bot_instances())
        return tuple(i for i in found if i.bot_name == bot)

    def role(self) -> Role | Absent:
        """The bot's role."""
        name = self.role_name()
        return self._readings.once(ROLE, lambda: self.session().role(name))

    def role_name(self) -> str:
        """Name of the role that issues: the guide's, or the bot's first one where the bot has roles of other names."""
        bot = self.bot()
        other = not isinstance(bot, Absent) and bot.roles and self._names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self._names.role

    def workload_identity(self) -> WorkloadIdentity | Absent:
        """The workload identity that tbot's configuration selects, by name or by labels.

        Raises:
            CouldNotTell: The labels select several; Teleport decides which of them a workload gets.
        """
        self._readings.need("resources")
        return self._readings.once(WORKLOAD_IDENTITY, self._selected_identity)

    def known_workload_identity(self) -> WorkloadIdentity | Absent | None:
        """The workload identity; None without an admin tctl."""
        return self.workload_identity() if self.session().has_admin else None

    def workload_identity_name(self) -> str:
        """Name of the workload identity, as it was found; the guide's where none was."""
        if self._identity_labels():
            found = self.workload_identity()
            return found.name if isinstance(found, WorkloadIdentity) else self._names.workload_identity
        return self._identity_name()

    def _bot_name(self) -> str:
        token = self.token()
        return self._names.bot if isinstance(token, Absent) else token.bot_name

    def _selected_identity(self) -> WorkloadIdentity | Absent:
        labels = self._identity_labels()
        if not labels:
            return self.session().workload_identity(self._identity_name())
        everything = self.session().workload_identities()
        found = [identity for identity in everything if selects(labels, identity.labels)]
        selector = ", ".join(f"{key}: {'|'.join(values)}" for key, values in sorted(labels.items()))
        if not found:
            evidence = all_of(i.evidence for i in everything)
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
        services = self._tbot.installed().config.services
        return (services[0].selector_name if services else "") or self._names.workload_identity

    def _identity_labels(self) -> Mapping[str, tuple[str, ...]]:
        services = self._tbot.installed().config.services
        return {} if not services or services[0].selector_name else services[0].selector_labels

    # Issuance.

    def fresh_token(
        self, token: JoinToken | Absent, namespace: str, service_account: str
    ) -> tuple[Signature, tuple[str, ...]]:
        """Asks the API server for a token of one of the run's service accounts, and verifies it with the join token's keys.

        Args:
            token: The join token.
            namespace: A namespace of the run.
            service_account: A service account of the run.
        """
        audience = self.ping().cluster_name
        fresh, evidence = self._reader.token_request(namespace, service_account, audience=audience, seconds=600)
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
        return self._readings.once(AUDIT_TRAIL, lambda: read_trail(self._audit_events(), serials, self._readings.recorder))
