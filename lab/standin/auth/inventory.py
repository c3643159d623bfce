"""The cluster's resources: what ``tctl`` creates, and the bot instances that come from joins."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.standin import durations
from lab.standin.auth import audit
from lab.standin.auth.audit import AuditLog
from lab.standin.auth.resources import Document, ResourceKind, checked, kind_of
from lab.standin.auth.state import State
from lab.standin.failure import Kind, Refusal
from lab.standin.release import Release

_KEPT = 10


class Inventory:
    """Keeps resources in the state file."""

    def __init__(self, state: State, audit_log: AuditLog, release: Release) -> None:
        self._state = state
        self._audit = audit_log
        self._release = release

    def create(self, document: Any, *, force: bool) -> str:
        """Keep a resource; the message that ``tctl create`` prints. A token replaces another one also without ``force``.

        Raises:
            Refusal: it is not acceptable, or exists and ``force`` is off.
        """
        kind, kept = checked(document)
        name = kept["metadata"]["name"]
        existing = self._of_kind(kind.name).get(name)
        if kind.name == "token":
            self._put(kind.name, name, kept)
            return f'{kind.label} "{name}" has been created'
        if existing is not None and not force:
            raise Refusal(Kind.ALREADY_EXISTS, *_there(kind, name))
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
            return [self._printed(kind.name, documents[key]) for key in sorted(documents)]
        if kind.name == "bot_instance":
            # Teleport names an instance BOT/UUID; BOT alone lists all of that bot.
            found = [documents[key] for key in sorted(documents) if key == name or key.startswith(f"{name}/")]
            if found:
                return [self._printed(kind.name, document) for document in found]
        elif name in documents:
            return [documents[name]]
        raise Refusal(Kind.NOT_FOUND, *self._not_there(kind, name))

    def _printed(self, kind_name: str, document: Document) -> Document:
        if kind_name != "bot_instance" or self._release.writes_protobuf_json:
            return document
        printed: Document = _in_seconds_and_nanos(document)
        return printed

    def _not_there(self, kind: ResourceKind, name: str) -> tuple[str, ...]:
        """The layers of Teleport's error for a resource that does not exist: each kind has its own."""
        match kind.name:
            case "token":
                return (f"provisioning token({_masked(name)}) not found",)
            case "role":
                return (f"role {name} is not found",)
            case "bot":
                of_user = ("fetching bot user", f'user "bot-{name}" not found')
                return ("fetching bot", *of_user) if self._release.names_bot_before_user else of_user
            case _:
                return (f'{kind.label} "{name}" doesn\'t exist',)

    def remove(self, kind_name: str, name: str) -> str:
        """Forget a resource; the message that ``tctl rm`` prints.

        Raises:
            Refusal: no such kind or name.
        """
        kind = kind_of(kind_name)
        self.get(kind.name, name)
        self._of_kind(kind.name).pop(name, None)
        if kind.name in ("bot", "bot_instance"):
            instances = self._of_kind("bot_instance")
            for key in [key for key in instances if key.startswith(f"{name}/")]:
                del instances[key]
        if kind.name == "bot":
            self._audit.emit(audit.BOT_DELETED, name=name, user="system")
        self._state.save()
        return f'{kind.label} "{name}" has been deleted'

    def add_bot(self, name: str, roles: Sequence[str], token: str | None) -> Document:
        """Make a bot as ``tctl bots add`` does.

        Raises:
            Refusal: it exists, or the token does not exist or is another bot's.
        """
        if name in self._of_kind("bot"):
            raise Refusal(Kind.ALREADY_EXISTS, *_there(kind_of("bot"), name))
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
        """The resources of a kind. What has expired is gone, as it is from Teleport's storage.

        Instances expire with their certificate, or every restart of a tbot without storage would leave one behind.
        """
        resources, now = self._state.resources.setdefault(kind, {}), durations.now()
        for key in [key for key, entry in resources.items() if _expires(entry) <= now]:
            del resources[key]
        return resources

    def join_token(self, name: str, method: str) -> Mapping[str, Any]:
        """The ``spec`` of a join token.

        Raises:
            Refusal: there is none of this name, or it is for something else.
        """
        token = self._of_kind("token").get(name)
        if token is None:
            raise Refusal(Kind.ACCESS_DENIED, "token expired or not found")
        spec: Mapping[str, Any] = token["spec"]
        if method != spec["join_method"]:
            raise Refusal(Kind.BAD_PARAMETER, f'the token is for join method "{spec["join_method"]}", not "{method}"')
        if "Bot" not in spec["roles"]:
            raise Refusal(Kind.BAD_PARAMETER, f'token "{name}" does not allow role Bot')
        return spec

    def need_bot(self, name: str) -> None:
        """Make sure that a bot exists.

        Raises:
            Refusal: it does not; Teleport speaks of the bot's user.
        """
        if name not in self._of_kind("bot"):
            raise Refusal(Kind.NOT_FOUND, f'user "bot-{name}" not found')

    def role(self, name: str) -> Document:
        """The role of this name.

        Raises:
            Refusal: there is none.
        """
        role = self._of_kind("role").get(name)
        if role is None:
            raise Refusal(Kind.NOT_FOUND, *self._not_there(kind_of("role"), name))
        return role

    def record_join(self, bot: str, wish: str, join: Mapping[str, Any], lifetime: timedelta) -> str:
        """Note that somebody joined as ``bot``; the id of the instance, ``wish`` if that one exists already."""
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
        status["latest_authentications"] = [*status["latest_authentications"], authentication][-_KEPT:]
        self._put("bot_instance", key, document)
        return instance

    def record_heartbeat(self, bot: str, instance: str, beat: Mapping[str, Any]) -> None:
        """Note that a bot instance lives.

        Raises:
            Refusal: there is no such instance.
        """
        document = self._of_kind("bot_instance").get(f"{bot}/{instance}")
        if document is None:
            raise Refusal(Kind.NOT_FOUND, f'bot_instance "{bot}/{instance}" doesn\'t exist')
        entry = {**beat, "recorded_at": durations.rfc3339(durations.now())}
        status = document["status"]
        status.setdefault("initial_heartbeat", entry)
        status["latest_heartbeats"] = [*status.get("latest_heartbeats", []), entry][-_KEPT:]
        self._state.save()


def _there(kind: ResourceKind, name: str) -> tuple[str, ...]:
    """The layers of Teleport's error for a resource that it must not overwrite."""
    match kind.name:
        case "role":
            return ("use -f or --force flag to overwrite", f'role "{name}" already exists')
        case "bot":
            return ("creating bot user", f'user "bot-{name}" already registered')
        case _:
            return (f'{kind.label} "{name}" already exists',)


def _masked(name: str) -> str:
    """A token's name with its first three quarters hidden."""
    hidden = len(name) * 3 // 4
    return "*" * hidden + name[hidden:]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("expires", "authenticated_at", "recorded_at")


def _in_seconds_and_nanos(value: Any) -> Any:
    """A bot instance as earlier releases print it: times as numbers, and without what it joined with."""
    if isinstance(value, list):
        return [_in_seconds_and_nanos(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _earlier(key, item) for key, item in value.items() if key != "join_attrs"}


def _earlier(key: str, item: Any) -> Any:
    if key in _TIMES:
        return _numbers(durations.moment(item) - _EPOCH)
    return _numbers(durations.parse(item)) if key == "uptime" else _in_seconds_and_nanos(item)


def _numbers(span: timedelta) -> dict[str, int]:
    return {"seconds": span.days * 86400 + span.seconds, "nanos": span.microseconds * 1000}


def _expires(document: Document) -> datetime:
    text = document["metadata"].get("expires")
    return durations.moment(text) if text else datetime.max.replace(tzinfo=UTC)
