"""The cluster: its resources and everything that is done with them."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from lab.standin import durations
from lab.standin.auth import access, audit, certificates, issuing, kubernetes_token, sessions
from lab.standin.auth.audit import AuditLog
from lab.standin.auth.resources import Document, checked, kind_of
from lab.standin.auth.sessions import BotSession
from lab.standin.auth.state import State
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log

_MAX_IDENTITIES = 10
_KEPT_HEARTBEATS = 10

_log = Log("auth")


class Cluster:
    """What the web port, the Auth port and ``tctl`` act upon. Not for use by several threads."""

    def __init__(self, state: State, audit_log: AuditLog) -> None:
        self._state = state
        self._audit = audit_log
        self._bundle_changed = asyncio.Event()

    @property
    def name(self) -> str:
        """The cluster's name, which is the SPIFFE trust domain."""
        return self._state.cluster_name

    # --- resources -------------------------------------------------------------------------------------------------

    def create(self, document: Any, *, force: bool) -> str:
        """Keep a resource; the message that ``tctl create`` prints.

        Raises:
            Refusal: it is not acceptable, or exists and ``force`` is off.
        """
        kind, kept = checked(document)
        name = kept["metadata"]["name"]
        existing = self._of_kind(kind.name).get(name)
        if existing is not None and not force:
            raise Refusal(Kind.ALREADY_EXISTS, f'{kind.label} "{name}" already exists, use -f to overwrite it')
        if kind.name == "bot":
            self._put_bot(name, kept, created=existing is None)
        else:
            self._put(kind.name, name, kept)
        return f'{kind.label} "{name}" has been {"created" if existing is None else "updated"}'

    def get(self, kind_name: str, name: str | None) -> list[Document]:
        """All resources of a kind, by name, or the one that is asked for.

        Raises:
            Refusal: no such kind or name.
        """
        kind = kind_of(kind_name)
        documents = self._of_kind(kind.name)
        if name is None:
            return [documents[key] for key in sorted(documents)]
        if kind.name == "bot_instance":
            # Teleport names an instance BOT/UUID; BOT alone lists all of that bot.
            found = [documents[key] for key in sorted(documents) if key == name or key.startswith(f"{name}/")]
            if found:
                return found
        elif name in documents:
            return [documents[name]]
        raise Refusal(Kind.NOT_FOUND, f'{kind.label} "{name}" doesn\'t exist')

    def remove(self, kind_name: str, name: str) -> str:
        """Forget a resource; the message that ``tctl rm`` prints.

        Raises:
            Refusal: no such kind or name.
        """
        kind = kind_of(kind_name)
        self.get(kind.name, name)
        removed = self._of_kind(kind.name)
        for key in [key for key in removed if key == name or key.startswith(f"{name}/")]:
            del removed[key]
        if kind.name == "bot":
            instances = self._of_kind("bot_instance")
            for key in [key for key in instances if key.startswith(f"{name}/")]:
                del instances[key]
            self._audit.emit(audit.BOT_DELETED, name=name, user="system")
        self._state.save()
        return f'{kind.label} "{name}" has been deleted'

    def add_bot(self, name: str, roles: Sequence[str], token: str | None) -> Document:
        """Make a bot as ``tctl bots add`` does.

        Raises:
            Refusal: it exists, or the token does not exist or is another bot's.
        """
        if name in self._of_kind("bot"):
            raise Refusal(Kind.ALREADY_EXISTS, f'bot "{name}" already exists')
        if token is not None:
            owner = self.get("token", token)[0]["spec"].get("bot_name")
            if owner != name:
                raise Refusal(Kind.BAD_PARAMETER, f'token "{token}" is valid for bot with name "{owner}", not "{name}"')
        _, bot = checked({"kind": "bot", "version": "v1", "metadata": {"name": name}, "spec": {"roles": list(roles)}})
        self._put_bot(name, bot, created=True)
        return self._of_kind("bot")[name]

    def update_bot(self, name: str, *, set_roles: Sequence[str] | None, add_roles: Sequence[str]) -> Document:
        """Change a bot's roles as ``tctl bots update`` does.

        Raises:
            Refusal: there is no such bot.
        """
        bot = self.get("bot", name)[0]
        roles = list(bot["spec"].get("roles") or []) if set_roles is None else list(set_roles)
        roles += [role for role in add_roles if role not in roles]
        self._put_bot(name, {**bot, "spec": {**bot["spec"], "roles": roles}}, created=False)
        return self._of_kind("bot")[name]

    def _put_bot(self, name: str, bot: Document, *, created: bool) -> None:
        resource_name = f"bot-{name}"
        status = {"user_name": resource_name, "role_name": resource_name}
        self._put("bot", name, {**bot, "status": status})
        roles = list(bot["spec"].get("roles") or [])
        self._audit.emit(audit.BOT_CREATED if created else audit.BOT_UPDATED, name=name, user="system", roles=roles)

    def _put(self, kind: str, name: str, document: Document) -> None:
        self._of_kind(kind)[name] = document
        self._state.save()

    def _of_kind(self, kind: str) -> dict[str, Document]:
        return self._state.resources.setdefault(kind, {})

    # --- joining ---------------------------------------------------------------------------------------------------

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
            spec = self._join_token(name, method)
            known["bot_name"] = bot_name = spec["bot_name"]
            account = await kubernetes_token.verify(str(request.get("id_token")), spec["kubernetes"], self.name)
            self._need_bot(bot_name)
        except Refusal as refusal:
            self._audit.emit(audit.BOT_JOIN_REFUSED, success=False, error=str(refusal), **known)
            raise
        join = {"meta": {"join_token_name": name, "join_method": method}, "kubernetes": account.attributes()}
        lifetime = timedelta(seconds=float(request.get("ttl") or issuing.DEFAULT_TTL.total_seconds()))
        instance = self._bot_instance(bot_name, str(request.get("instance") or ""), join, lifetime)
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

    def _join_token(self, name: str, method: str) -> Mapping[str, Any]:
        token = self._of_kind("token").get(name)
        if token is None:
            raise Refusal(Kind.ACCESS_DENIED, "token expired or not found")
        spec: Mapping[str, Any] = token["spec"]
        if method != spec["join_method"]:
            raise Refusal(Kind.BAD_PARAMETER, f'the token is for join method "{spec["join_method"]}", not "{method}"')
        if "Bot" not in spec["roles"]:
            raise Refusal(Kind.BAD_PARAMETER, f'token "{name}" does not allow role Bot')
        return spec

    def _need_bot(self, name: str) -> None:
        if name not in self._of_kind("bot"):
            raise Refusal(Kind.NOT_FOUND, f'user "bot-{name}" not found')

    def session(self, bearer: str) -> BotSession:
        """Who holds this bearer token.

        Raises:
            Refusal: it is not valid, or its bot is gone.
        """
        session = sessions.read(bearer, self._state.session_key)
        self._need_bot(session.bot)
        return session

    def _bot_instance(self, bot: str, wish: str, join: Mapping[str, Any], lifetime: timedelta) -> str:
        instances = self._of_kind("bot_instance")
        instance = wish if f"{bot}/{wish}" in instances else str(uuid.uuid4())
        key = f"{bot}/{instance}"
        moment = durations.now()
        authentication = {
            "authenticated_at": durations.rfc3339(moment),
            "join_method": join["meta"]["join_method"],
            "join_token": join["meta"]["join_token_name"],
            "join_attrs": dict(join),
        }
        document = instances.get(key) or {
            "kind": "bot_instance",
            "version": "v1",
            "metadata": {"name": instance},
            "spec": {"bot_name": bot, "instance_id": instance},
            "status": {"initial_authentication": authentication, "latest_authentications": []},
        }
        document["metadata"].update(expires=durations.rfc3339(moment + lifetime), revision=str(uuid.uuid4()))
        status = document["status"]
        status["latest_authentications"] = [*status["latest_authentications"], authentication][-_KEPT_HEARTBEATS:]
        self._put("bot_instance", key, document)
        return instance

    def heartbeat(self, session: BotSession, beat: Mapping[str, Any]) -> None:
        """Note that a bot instance lives."""
        document = self._of_kind("bot_instance").get(f"{session.bot}/{session.instance}")
        if document is None:
            raise Refusal(Kind.NOT_FOUND, f'bot_instance "{session.bot}/{session.instance}" doesn\'t exist')
        entry = {**beat, "recorded_at": durations.rfc3339(durations.now())}
        status = document["status"]
        status.setdefault("initial_heartbeat", entry)
        status["latest_heartbeats"] = [*status.get("latest_heartbeats", []), entry][-_KEPT_HEARTBEATS:]
        self._state.save()

    # --- issuance --------------------------------------------------------------------------------------------------

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
        roles = [self._role(name) for name in self.get("bot", session.bot)[0]["spec"].get("roles") or []]
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
        return [self._sign(session, grant, public_key, ttl, attributes, selector) for grant in grants]

    def _role(self, name: str) -> Document:
        role = self._of_kind("role").get(name)
        if role is None:
            raise Refusal(Kind.NOT_FOUND, f"role {name} is not found")
        return role

    def _by_name(self, name: str, roles: Sequence[Document]) -> Document:
        _need(roles, "read")
        identity = self.get("workload_identity", name)[0]
        if not access.matches_labels(roles, identity["metadata"].get("labels") or {}):
            raise Refusal(Kind.ACCESS_DENIED, "access to workload_identity denied. User does not have permissions.")
        return identity

    def _by_labels(
        self, wanted: Mapping[str, Any], roles: Sequence[Document], attributes: Mapping[str, Any]
    ) -> list[issuing.Grant]:
        for verb in ("read", "list"):
            _need(roles, verb)
        grants = []
        for identity in self.get("workload_identity", None):
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

    def _sign(
        self,
        session: BotSession,
        grant: issuing.Grant,
        public_key: PublicKeyTypes,
        ttl: timedelta | None,
        attributes: Mapping[str, Any],
        selector: Mapping[str, Any],
    ) -> dict[str, Any]:
        spiffe_id = f"spiffe://{self.name}{grant.path}"
        lifetime = grant.lifetime(ttl)
        certificate = certificates.sign_svid(
            self._state.spiffe.active, public_key, spiffe_id, lifetime, grant.dns_names, grant.subject
        )
        serial = certificates.serial_text(certificate.serial_number)
        self._audit.emit(
            audit.SVID_ISSUED,
            user=f"bot-{session.bot}",
            bot_name=session.bot,
            bot_instance_id=session.instance,
            spiffe_id=spiffe_id,
            svid_type="x509",
            serial_number=serial,
            hint=grant.hint,
            dns_sans=list(grant.dns_names),
            workload_identity=grant.name,
            workload_identity_revision=grant.revision,
            attributes=dict(attributes),
            **selector,
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return {
            "certificate": base64.b64encode(der).decode(),
            "spiffe_id": spiffe_id,
            "serial_number": serial,
            "hint": grant.hint,
            "expires_at": durations.rfc3339(certificate.not_valid_after_utc),
            "ttl": lifetime.total_seconds(),
            "name": grant.name,
            "revision": grant.revision,
        }

    # --- authorities -----------------------------------------------------------------------------------------------

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
