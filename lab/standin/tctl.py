"""``tctl``: the administrator's command, run beside the stand-in's ``teleport``."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.standin import release
from lab.standin.auth import config as config_file
from lab.standin.failure import Kind, Refusal

_TIMEOUT = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    everywhere, rest = _everywhere().parse_known_args(arguments)
    options = _parser().parse_args(rest)
    try:
        options.run(_admin(everywhere), options)
    except Refusal as refusal:
        print(refusal.on_terminal(), file=sys.stderr)
        return 1
    return 0


def _admin(everywhere: argparse.Namespace) -> _Admin:
    if everywhere.auth_server or everywhere.identity:
        raise Refusal(
            Kind.NOT_IMPLEMENTED, "the stand-in's tctl works beside its teleport only: no --auth-server, --identity"
        )
    return _Admin(config_file.data_dir_of(config_file.find(everywhere.config)))


def _version(_admin: _Admin, _options: argparse.Namespace) -> None:
    print(release.banner(release.current()))


class _Admin:
    """Calls the running ``teleport`` through its admin socket."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "admin.sock"

    def call(self, command: str, **fields: Any) -> dict[str, Any]:
        connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT)
        try:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(_TIMEOUT)
            connection.sock.connect(str(self._path))
            connection.request("POST", f"/{command}", json.dumps(fields), {"Content-Type": "application/json"})
            response = connection.getresponse()
            document: dict[str, Any] = json.load(response)
        except ValueError as error:
            raise Refusal(
                Kind.CONNECTION_PROBLEM, f"the Auth Service failed with HTTP {response.status}: see teleport's log"
            ) from error
        except OSError as error:
            raise Refusal(
                Kind.CONNECTION_PROBLEM,
                "could not connect to the Auth Service: is teleport running on this host, with this data directory?",
                f"{self._path}: {error.strerror or error}",
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise Refusal.from_document(document)
        return document


def _status(admin: _Admin, _options: argparse.Namespace) -> None:
    status = admin.call("status")
    print(f"Cluster: {status['cluster_name']}")
    print(f"Version: {status['version']} ({release.NOTICE})")
    print(f"CA pins: {status['ca_pin']}")
    print()
    # Teleport has a key for JWTs beside each for X.509. The stand-in signs no JWTs: those rows are here for the form.
    keys = [("JWT", "RSA 2048"), ("TLS", "ECDSA P-256")]
    use = ["active", *["trusted"] * (status["trusted"] - 1)]
    rows = [("", "", protocol, status_of, algorithm, "software") for status_of in use for protocol, algorithm in keys]
    rows[0] = ("spiffe", status["rotation"], *rows[0][2:])
    _table(("authority", "rotation", "protocol", "status", "algorithm", "storage"), rows)


def _create(admin: _Admin, options: argparse.Namespace) -> None:
    for document in _documents(options.filename):
        print(admin.call("create", document=document, force=options.force)["message"])


def _documents(filename: str | None) -> Iterable[Any]:
    try:
        text = sys.stdin.read() if filename in (None, "-") else Path(str(filename)).read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refusal(Kind.BAD_PARAMETER, f"reading {filename or 'standard input'}", str(error)) from error
    if not documents:
        raise Refusal(Kind.BAD_PARAMETER, "no resources found, empty input?")
    # YAML dates become text again, as JSON has none.
    as_json: list[Any] = json.loads(json.dumps(documents, default=str))
    return as_json


def _get(admin: _Admin, options: argparse.Namespace) -> None:
    documents = []
    for reference in options.reference.split(","):
        kind, _, name = reference.partition("/")
        documents += admin.call("get", kind=kind, name=name or None)["documents"]
    _show(documents, options.format, separate=True)


def _rm(admin: _Admin, options: argparse.Namespace) -> None:
    kind, _, name = options.reference.partition("/")
    if not name:
        raise Refusal(Kind.BAD_PARAMETER, f'expected KIND/NAME, got "{options.reference}"')
    print(admin.call("remove", kind=kind, name=name)["message"])


def _bots_add(admin: _Admin, options: argparse.Namespace) -> None:
    bot = admin.call("add_bot", name=options.name, roles=_names(options.roles), token=options.token)["bot"]
    if options.format != "text":
        _show([bot], options.format, separate=False)
        return
    print(f'bot "{options.name}" has been created')
    if options.token is None:
        print("The stand-in joins by method kubernetes only and makes no one-time token: create a token resource.")


def _bots_ls(admin: _Admin, options: argparse.Namespace) -> None:
    bots = admin.call("get", kind="bot", name=None)["documents"]
    if options.format != "text":
        _show(bots, options.format, separate=False)
        return
    rows = [(bot["metadata"]["name"], bot["status"]["user_name"], ",".join(bot["spec"].get("roles") or [])) for bot in bots]
    _table(("Bot", "User", "Roles"), rows)


def _bots_rm(admin: _Admin, options: argparse.Namespace) -> None:
    admin.call("remove", kind="bot", name=options.name)
    print(f'Bot "{options.name}" deleted successfully.')


def _bots_update(admin: _Admin, options: argparse.Namespace) -> None:
    wanted = None if options.set_roles is None else _names(options.set_roles)
    admin.call("update_bot", name=options.name, set_roles=wanted, add_roles=_names(options.add_roles))
    print(f'bot "{options.name}" has been updated')


def _instances_ls(admin: _Admin, options: argparse.Namespace) -> None:
    instances = admin.call("get", kind="bot_instance", name=None)["documents"]
    instances = [entry for entry in instances if options.name in (None, entry["spec"]["bot_name"])]
    rows = []
    for entry in instances:
        beat = (entry["status"].get("latest_heartbeats") or [{}])[-1]
        joined = entry["status"]["initial_authentication"]
        rows.append(
            (
                f"{entry['spec']['bot_name']}/{entry['spec']['instance_id']}",
                joined["join_method"],
                beat.get("version", "unknown"),
                beat.get("hostname", "unknown"),
                joined["authenticated_at"],
                beat.get("recorded_at", "never"),
            )
        )
    _table(("ID", "Join Method", "Version", "Hostname", "Joined", "Last Seen"), rows)


def _rotate(admin: _Admin, options: argparse.Namespace) -> None:
    if options.type != "spiffe":
        raise Refusal(Kind.NOT_IMPLEMENTED, f'the stand-in has the spiffe CA only, not "{options.type}"')
    if not options.manual or not options.phase:
        raise Refusal(Kind.NOT_IMPLEMENTED, "the stand-in rotates step by step only: give --manual and --phase=PHASE")
    admin.call("rotate", phase=options.phase)
    print(f"Updated rotation phase to \"{options.phase}\". To check status use 'tctl status'")


def _everywhere() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--config")
    parser.add_argument("-d", "--debug", action="store_true")
    parser.add_argument("--auth-server")
    parser.add_argument("-i", "--identity")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tctl", description=release.NOTICE, parents=[_everywhere()])
    commands = parser.add_subparsers(dest="command", required=True)

    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    commands.add_parser("status", help="the cluster, its CA pin and its CA rotation").set_defaults(run=_status)

    create = commands.add_parser("create", help="create resources from YAML")
    create.add_argument("filename", nargs="?", help="file to read; standard input if absent or -")
    create.add_argument("-f", "--force", action="store_true", help="overwrite what is there")
    create.set_defaults(run=_create)

    get = commands.add_parser("get", help="print resources")
    get.add_argument("reference", help="KIND or KIND/NAME, several with commas")
    get.add_argument("--format", choices=("yaml", "json", "text"), default="yaml")
    get.add_argument("--with-secrets", action="store_true", help="accepted; no resource here has secrets")
    get.set_defaults(run=_get)

    rm = commands.add_parser("rm", help="delete a resource")
    rm.add_argument("reference", help="KIND/NAME")
    rm.set_defaults(run=_rm)

    _bots(commands.add_parser("bots", help="bots and their instances").add_subparsers(required=True))

    auth = commands.add_parser("auth", help="certificate authorities").add_subparsers(required=True)
    rotate = auth.add_parser("rotate", help="rotate the SPIFFE CA")
    rotate.add_argument("--type", default="")
    rotate.add_argument("--manual", action="store_true")
    rotate.add_argument("--phase")
    rotate.set_defaults(run=_rotate)
    return parser


def _bots(bots: Any) -> None:
    add = bots.add_parser("add", help="create a bot")
    add.add_argument("name")
    add.add_argument("--roles", default="")
    add.add_argument("--token", help="name of an existing join token")
    add.add_argument("--format", choices=("text", "json"), default="text")
    add.set_defaults(run=_bots_add)

    ls = bots.add_parser("ls", help="list bots")
    ls.add_argument("--format", choices=("text", "json"), default="text")
    ls.set_defaults(run=_bots_ls)

    rm = bots.add_parser("rm", help="delete a bot")
    rm.add_argument("name")
    rm.set_defaults(run=_bots_rm)

    update = bots.add_parser("update", help="change a bot's roles")
    update.add_argument("name")
    update.add_argument("--set-roles")
    update.add_argument("--add-roles", default="")
    update.set_defaults(run=_bots_update)

    instances = bots.add_parser("instances", help="what has joined as a bot").add_subparsers(required=True)
    listing = instances.add_parser("ls", help="list bot instances", aliases=["list"])
    listing.add_argument("name", nargs="?")
    listing.set_defaults(run=_instances_ls)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _show(documents: list[Any], form: str, *, separate: bool) -> None:
    if form == "json":
        print(json.dumps(documents, indent=4))
    elif separate:
        print(yaml.safe_dump_all(documents, sort_keys=True, width=10**6).rstrip())
    else:
        print(yaml.safe_dump(documents, sort_keys=True, width=10**6).rstrip())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        print(" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
