"""The cluster: its resources and everything that is done with them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from lab.standin import durations
from lab.standin.auth import access, audit, certificates, issuing, kubernetes_token, sessions
from lab.standin.auth.audit import AuditLog
from lab.standin.auth.inventory import Inventory
from lab.standin.auth.resources import Document
from lab.standin.auth.sessions import BotSession
from lab.standin.auth.state import State
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log
from lab.standin.release import Release

_MAX_IDENTITIES = 10
_KIND_BOT = 2
"""A bot, among the kinds of users in audit events."""

_log = Log("auth")


class Cluster:
    """What the web port, the Auth port and ``tctl`` act upon. Not for use by several threads."""

    def __init__(self, state: State, audit_log: AuditLog, release: Release) -> None:
        self._state = state
        self._audit = audit_log
        self._release = release
        self.inventory = Inventory(state, audit_log, release)
        self._bundle_changed = asyncio.Event()

    @property
    def name(self) -> str:
        """The cluster's name, which is the SPIFFE trust domain."""
        return self._state.cluster_name

    async def join(self, request: Mapping[str, Any], remote: str) -> dict[str, Any]:
        """Let a tbot in.

        Args:
            request: ``token``, ``join_method``, ``id_token``, ``ttl`` (seconds) and, when an identity is renewed,
                ``instance``.
            remote: the caller's address, for the audit log.

        Returns:
            ``identity`` (bearer token), ``expires``, ``bot``, ``instance`` and ``cluster_name``.

        Raises:
            Refusal: the token or the bot does not exist, or the proof is not good.
        """
        name, method = str(request.get("token")), str(request.get("join_method"))
        known: dict[str, Any] = {"method": method, "token_name": name, "addr.remote": remote}
        try:
            spec = self.inventory.join_token(name, method)
            known["bot_name"] = bot_name = spec["bot_name"]
            account = await kubernetes_token.verify(str(request.get("id_token")), spec["kubernetes"], self.name)
            self.inventory.need_bot(bot_name)
        except Refusal as refusal:
            self._audit.emit(audit.BOT_JOIN_REFUSED, success=False, error=str(refusal), **known)
            raise
        join = {"meta": {"join_token_name": name, "join_method": method}, "kubernetes": account.attributes()}
        lifetime = timedelta(seconds=float(request.get("ttl") or issuing.DEFAULT_TTL.total_seconds()))
        instance = self.inventory.record_join(bot_name, str(request.get("instance") or ""), join, lifetime)
        session = BotSession(bot=bot_name, instance=instance, join=join)
        identity, expires = sessions.mint(session, self._state.session_key, lifetime)
        self._audit.emit(
            audit.BOT_JOINED,
            success=True,
            user_name=f"bot-{bot_name}",
            bot_instance_id=instance,
            attributes=join["kubernetes"],
            **known,
        )
        return {
            "identity": identity,
            "expires": durations.rfc3339(expires),
            "bot": bot_name,
            "instance": instance,
            "cluster_name": self.name,
        }

    def session(self, bearer: str) -> BotSession:
        """Who holds this bearer token.

        Raises:
            Refusal: it is not valid, or its bot is gone.
        """
        session = sessions.read(bearer, self._state.session_key)
        self.inventory.need_bot(session.bot)
        return session

    def issue(self, session: BotSession, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """SVIDs for one workload.

        Args:
            session: the tbot that asks.
            request: ``name`` or ``labels`` of the identities, ``workload`` (attested attributes), ``public_key``
                (DER, base64) and ``ttl`` (seconds).

        Returns:
            For each SVID ``certificate`` (DER, base64), ``spiffe_id``, ``serial_number``, ``hint``, ``expires_at``,
            ``ttl`` (seconds), ``name`` and ``revision``.

        Raises:
            Refusal: with Teleport's text for the first thing that is missing. With labels, identities that this
                workload does not get are left out silently.
        """
        roles = [self.inventory.role(name) for name in self.inventory.get("bot", session.bot)[0]["spec"].get("roles") or []]
        attributes = {
            "workload": request.get("workload") or {},
            "join": session.join,
            "user": {"name": f"bot-{session.bot}", "is_bot": True, "bot_name": session.bot},
        }
        name = request.get("name")
        labels = request.get("labels")
        if name:
            grants = [issuing.decide(self._by_name(str(name), roles), attributes)]
            selector: dict[str, Any] = {"name_selector": name}
        else:
            grants = self._by_labels(labels or {}, roles, attributes)
            selector = {"label_selectors": [{"key": key, "values": values} for key, values in (labels or {}).items()]}
        public_key = certificates.load_public_key(base64.b64decode(str(request.get("public_key"))))
        ttl = timedelta(seconds=float(request["ttl"])) if request.get("ttl") else None
        issued = []
        for grant in grants:
            certificate = self._sign(grant, public_key, ttl)
            self._audit.emit(
                audit.SVID_ISSUED,
                user=f"bot-{session.bot}",
                user_kind=_KIND_BOT,
                bot_name=session.bot,
                bot_instance_id=session.instance,
                spiffe_id=f"spiffe://{self.name}{grant.path}",
                svid_type="x509",
                serial_number=certificates.serial_text(certificate.serial_number),
                hint=grant.hint,
                dns_sans=list(grant.dns_names) or None,
                ip_sans=None,
                workload_identity=grant.name,
                workload_identity_revision=grant.revision,
                **({"attributes": attributes} if self._release.audits_attributes else {}),
                **selector,
            )
            issued.append(self._described(grant, certificate))
        return issued

    def _by_name(self, name: str, roles: Sequence[Document]) -> Document:
        _need(roles, "read")
        identity = self.inventory.get("workload_identity", name)[0]
        if not access.matches_labels(roles, identity["metadata"].get("labels") or {}):
            raise Refusal(Kind.ACCESS_DENIED, "access to workload_identity denied. User does not have permissions.")
        return identity

    def _by_labels(
        self, wanted: Mapping[str, Any], roles: Sequence[Document], attributes: Mapping[str, Any]
    ) -> list[issuing.Grant]:
        for verb in ("read", "list"):
            _need(roles, verb)
        grants = []
        for identity in self.inventory.get("workload_identity", None):
            labels = identity["metadata"].get("labels") or {}
            if not (access.selects(wanted, labels) and access.matches_labels(roles, labels)):
                continue
            try:
                grants.append(issuing.decide(identity, attributes))
            except Refusal as refusal:
                _log.debug("Workload identity not issued", name=identity["metadata"]["name"], error=str(refusal))
        if len(grants) > _MAX_IDENTITIES:
            raise Refusal(
                Kind.BAD_PARAMETER,
                "number of identities that would be issued exceeds maximum permitted "
                f"(max = {_MAX_IDENTITIES}), use more specific labels",
            )
        return grants

    def _sign(self, grant: issuing.Grant, public_key: PublicKeyTypes, ttl: timedelta | None) -> x509.Certificate:
        return certificates.sign_svid(
            self._state.spiffe.active.signer,
            public_key,
            certificates.SvidNames(f"spiffe://{self.name}{grant.path}", grant.dns_names, grant.subject),
            grant.lifetime(ttl),
        )

    def _described(self, grant: issuing.Grant, certificate: x509.Certificate) -> dict[str, Any]:
        der = certificate.public_bytes(serialization.Encoding.DER)
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc - certificates.BACKDATED
        return {
            "certificate": base64.b64encode(der).decode(),
            "spiffe_id": f"spiffe://{self.name}{grant.path}",
            "serial_number": certificates.serial_text(certificate.serial_number),
            "hint": grant.hint,
            "expires_at": durations.rfc3339(certificate.not_valid_after_utc),
            "ttl": lifetime.total_seconds(),
            "name": grant.name,
            "revision": grant.revision,
        }

    def rotate(self, phase: str) -> None:
        """Bring the SPIFFE authority's rotation to ``phase`` and wake everybody who waits for a new bundle.

        Raises:
            Refusal: this phase cannot follow.
        """
        self._state.spiffe.enter(phase, self.name)
        self._state.save()
        _log.info("Updated rotation phase of the spiffe CA", phase=phase)
        changed, self._bundle_changed = self._bundle_changed, asyncio.Event()
        changed.set()

    async def trust_bundle(self, known: int, hold: float) -> dict[str, Any]:
        """The trusted authorities, once their sequence number is another than ``known`` or after ``hold`` seconds."""
        if self._state.spiffe.sequence == known:
            try:
                await asyncio.wait_for(self._bundle_changed.wait(), hold)
            except TimeoutError:
                _log.debug("No change of the bundle", sequence=known)
        spiffe = self._state.spiffe
        return {
            "sequence": spiffe.sequence,
            "trust_domain": self.name,
            "authorities": [base64.b64encode(der).decode() for der in spiffe.trusted],
        }

    def spiffe_bundle(self) -> dict[str, Any]:
        """The public SPIFFE bundle document."""
        return self._state.spiffe.bundle()

    def status(self) -> dict[str, Any]:
        """What ``tctl status`` shows."""
        return {
            "cluster_name": self.name,
            "ca_pin": certificates.pin(self._state.host_authority.certificate),
            "rotation": self._state.spiffe.rotation_text(),
            "trusted": len(self._state.spiffe.trusted),
        }


def _need(roles: Sequence[Document], verb: str) -> None:
    if not access.may(roles, verb):
        raise Refusal(Kind.ACCESS_DENIED, f'access denied to perform action "{verb}" on "workload_identity"')
