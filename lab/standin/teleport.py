"""``teleport``: Auth Service and Proxy Service of the stand-in in one process."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from lab.standin import logs, release
from lab.standin.auth import config as config_file
from lab.standin.failure import Kind, Refusal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except Refusal as refusal:
        print(refusal.on_terminal(), file=sys.stderr)
        return 1
    return 0


def _version(_options: argparse.Namespace) -> None:
    print(release.banner(release.current()))


def _start(options: argparse.Namespace) -> None:
    version = release.current()
    path = config_file.find(options.config)
    if path is None:
        raise Refusal(Kind.BAD_PARAMETER, "no configuration file: give one with -c, or write /etc/teleport.yaml")
    config = config_file.load(path)
    debug = options.debug or config.log_severity.startswith("DEBU")
    logs.configure(debug=debug, form="json" if config.log_format == "json" else "text")
    # Imported here so that a refused configuration is answered before the large libraries are loaded.
    from lab.standin.auth.process import serve  # noqa: PLC0415

    asyncio.run(serve(config, version))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="teleport", description=release.NOTICE, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start the Auth Service and the Proxy Service", allow_abbrev=False)
    start.add_argument("-c", "--config", help="path of the configuration file")
    start.add_argument("-d", "--debug", action="store_true", help="log at debug level")
    start.set_defaults(run=_start)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return parser


if __name__ == "__main__":
    sys.exit(main())
