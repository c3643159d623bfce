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
        version = release.current()
        if options.command == "version":
            print(release.banner(version))
            return 0
        path = config_file.find(options.config)
        if path is None:
            raise Refusal(Kind.BAD_PARAMETER, "no configuration file: give one with -c, or write /etc/teleport.yaml")
        config = config_file.load(path)
        logs.configure(
            debug=options.debug or config.log_severity.startswith("DEBU"),
            form="json" if config.log_format == "json" else "text",
        )
        # Imported here so that `version` and a refused configuration answer at once.
        from lab.standin.auth.process import serve  # noqa: PLC0415

        asyncio.run(serve(config, version))
    except Refusal as refusal:
        print(f"ERROR: {refusal}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="teleport", description=release.NOTICE, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start the Auth Service and the Proxy Service", allow_abbrev=False)
    start.add_argument("-c", "--config", help="path of the configuration file")
    start.add_argument("-d", "--debug", action="store_true", help="log at debug level")
    commands.add_parser("version", help="print the version")
    return parser


if __name__ == "__main__":
    sys.exit(main())
