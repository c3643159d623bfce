"""``tbot``: the stand-in's agent on a node."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.standin import durations, logs, release
from lab.standin.failure import Kind, Refusal
from lab.standin.logs import Log

_log = Log("tbot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    everywhere, rest = _everywhere().parse_known_args(arguments)
    options = _parser().parse_args(rest)
    try:
        if options.command == "version":
            print(release.banner(release.current()))
        elif options.command == "wait":
            from lab.standin.agent.waiting import wait_until_ready  # noqa: PLC0415

            timeout = durations.parse(options.timeout)
            asyncio.run(wait_until_ready(everywhere.diag_addr, options.service, timeout))
        elif options.command == "spiffe-inspect":
            from lab.standin.agent.inspection import inspect  # noqa: PLC0415

            asyncio.run(inspect(options.path))
        else:
            _start(everywhere)
    except Refusal as refusal:
        print(refusal.on_terminal(), file=sys.stderr)
        return 1
    return 0


def _everywhere() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--config", default=os.environ.get("TBOT_CONFIG_PATH"), help="configuration file")
    parser.add_argument("-d", "--debug", action="store_true", default=os.environ.get("TBOT_DEBUG", "") in ("1", "true"))
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--insecure", action="store_true", help="trust any certificate of the server")
    parser.add_argument("--diag-addr", help="host:port of the diagnostics")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tbot", description=release.NOTICE, parents=[_everywhere()])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version", help="print the version")
    commands.add_parser("start", help="start with a configuration file")
    waiting = commands.add_parser("wait", help="wait until a running tbot is healthy")
    waiting.add_argument("--service", help="only this service")
    waiting.add_argument("--timeout", default="0s", help="give up after this Go duration; 0 waits for ever")
    inspecting = commands.add_parser("spiffe-inspect", help="what the Workload API gives to this process")
    inspecting.add_argument("--path", required=True, help="unix:///path of the socket")
    return parser


def _start(options: argparse.Namespace) -> None:
    if not options.config:
        raise Refusal(Kind.BAD_PARAMETER, "no configuration file: give one with -c or TBOT_CONFIG_PATH")
    # Imported here so that the first line of the log is there before the large libraries are loaded.
    logs.configure(debug=options.debug, form=options.log_format)
    version = release.current()
    _log.info(f"Initializing tbot v{version} ({release.NOTICE})", version=str(version))
    from lab.standin.agent import config as config_file  # noqa: PLC0415

    config = config_file.load(Path(options.config), version, insecure=options.insecure, diag_addr=options.diag_addr)
    if config.debug and not options.debug:
        logs.configure(debug=True, form=options.log_format)
    from lab.standin.agent.process import serve  # noqa: PLC0415

    asyncio.run(serve(config, version))


if __name__ == "__main__":
    sys.exit(main())
