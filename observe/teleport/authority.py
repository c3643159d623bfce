"""The Teleport of an install, as something to read: what its proxy publishes, and the resources that tbot goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

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
from observe.proxies.observed import Proxies
from observe.readings import all_of
from observe.teleport.audit import AuditEvents, read_trail
from observe.teleport.session import TeleportSession


class Authority(Proxies):
    """Teleport: published things, resources, audit events.

    Args:
        teleport: Makes the reader of the install's Teleport; called when first needed.
        audit_events: Where Teleport's audit events are; called when first needed, None where nobody said.
        mesh: What `Proxies` takes.
    """

    def __init__(
        self, *, teleport: Callable[[], TeleportSession], audit_events: Callable[[], AuditEvents | None], **mesh: Any
    ) -> None:
        super().__init__(**mesh)
        self._teleport = teleport
        self._audit_events = audit_events

    def teleport(self) -> TeleportSession:
        """The reader of Teleport."""
        self._need("teleport")
        return self._once("teleport", self._teleport, lambda _: ())

    def ping(self) -> Ping:
        """What Teleport's proxy says of itself."""
        return self._once("ping", lambda: self.teleport().ping(), lambda ping: ping.evidence)

    def bundle(self) -> TrustBundle:
        """Teleport's SPIFFE authorities, from its public endpoint."""

        def read() -> TrustBundle:
            # The document does not name its trust domain; it belongs to the cluster whose proxy serves it.
            return replace(self.teleport().bundle(), trust_domain=self.ping().cluster_name)

        return self._once("bundle", read, lambda bundle: bundle.evidence)

    def authority_changed(self) -> None:
        """To be said by whoever takes Teleport's SPIFFE authority to another phase: it, and who follows it, is read anew."""
        self.outdated("bundle", "status", "pods", "fleet", "audit_trail")

    def admin_session(self) -> ClusterStatus | NoSession:
        """The cluster that the admin tctl talks to, or that it talks to none."""
        return self._once("status", lambda: self.teleport().status(), lambda status: status.evidence)

    def token(self) -> JoinToken | Absent:
        """The join token that tbot's configuration names."""
        self._need("resources")
        name = self._token_name()
        return self._once("token", lambda: self.teleport().token(name), lambda t: t.evidence)

    def kubernetes_type(self) -> str:
        """How tbot's join token takes this cluster's word; the guide's ``static_jwks`` where no admin tctl can say."""
        token = self.token() if self.teleport().has_admin else None
        return token.kubernetes_type if isinstance(token, JoinToken) else "static_jwks"

    def join_evidence(self) -> tuple[str, ...]:
        """The reading of the join token; none without an admin tctl."""
        return self.token().evidence if self.teleport().has_admin else ()

    def bot(self) -> Bot | Absent:
        """The bot that the join token names."""
        token = self.token()
        name = self.names.bot if isinstance(token, Absent) else token.bot_name
        return self._once("bot", lambda: self.teleport().bot(name), lambda bot: bot.evidence)

    def role_name(self) -> str:
        """Name of the role that issues: the guide's, or the bot's first one where the bot has roles of other names."""
        bot = self.bot()
        other = not isinstance(bot, Absent) and bot.roles and self.names.role not in bot.roles
        return bot.roles[0] if other and not isinstance(bot, Absent) else self.names.role

    def role(self) -> Role | Absent:
        """The bot's role."""
        name = self.role_name()
        return self._once("role", lambda: self.teleport().role(name), lambda role: role.evidence)

    def workload_identity(self) -> WorkloadIdentity | Absent:
        """The workload identity that tbot's configuration selects, by name or by labels.

        Raises:
            CouldNotTell: The labels select several; which of them a workload gets is Teleport's to say.
        """
        self._need("resources")
        return self._once("identity", self._selected_identity, lambda found: found.evidence)

    def _selected_identity(self) -> WorkloadIdentity | Absent:
        labels = self._identity_labels()
        if not labels:
            return self.teleport().workload_identity(self._identity_name())
        everything = self.teleport().workload_identities()
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

    def known_workload_identity(self) -> WorkloadIdentity | Absent | None:
        """The workload identity; None without an admin tctl."""
        return self.workload_identity() if self.teleport().has_admin else None

    def bot_instances(self) -> tuple[BotInstance, ...] | None:
        """Instances of tbot's bot; None without an admin tctl."""
        self._need("tbot")
        if not self.teleport().has_admin:
            return None
        token = self.token()
        bot = self.names.bot if isinstance(token, Absent) else token.bot_name
        found = self._once(
            "bot_instances", lambda: self.teleport().bot_instances(), lambda found: all_of(i.evidence for i in found)
        )
        return tuple(i for i in found if i.bot_name == bot)

    def fresh_token(
        self, token: JoinToken | Absent, namespace: str, service_account: str
    ) -> tuple[Signature, tuple[str, ...]]:
        """Asks for a token of a service account of this run, and verifies it with the keys in the join token.

        Args:
            token: The join token.
            namespace: Of the run.
            service_account: Of the run.
        """
        audience = self.ping().cluster_name
        fresh, evidence = self.cluster.token_request(namespace, service_account, audience=audience, seconds=600)
        if isinstance(token, Absent):
            return Signature(False, "", str(token)), (evidence,)
        try:
            extracted = parse_jwks(token.jwks_text)
        except CouldNotTell as error:
            return Signature(False, "", f"the extracted JWKS cannot be used: {error.seen}"), (evidence,)
        return verify(fresh, extracted), (evidence,)

    def audit_trail(self) -> AuditTrail:
        """What Teleport audited of the certificates that the sidecars hold."""
        serials = [p.leaf.serial for p in self.sidecar_fleet().proxies if p.leaf]
        return self._once(
            "audit_trail",
            lambda: read_trail(self._audit_events(), serials, self._recorder),
            lambda trail: trail.evidence,
        )

    def _token_name(self) -> str:
        return self.tbot().config.token or self.names.token

    def _identity_name(self) -> str:
        services = self.tbot().config.services
        return (services[0].selector_name if services else "") or self.names.workload_identity

    def _identity_labels(self) -> Mapping[str, tuple[str, ...]]:
        services = self.tbot().config.services
        return {} if not services or services[0].selector_name else services[0].selector_labels
