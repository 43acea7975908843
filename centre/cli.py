"""The command `wattline centre`."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from centre import bills_cli, entities_cli, import_cli, raw_cli, replay_cli
from centre.app import ListenError, run
from centre.report import cli as report_cli
from centre.settings import load_setup
from centre.store.base import StoreUnusable
from wattline.events import start_logging

_ABOUT: Final = """\
The energy centre: takes the readings of all gateways from the broker, keeps them, and serves page and API.

  wattline centre run centre.yaml

CENTRE.YAML says where to listen, which broker to use, where the store is, and how the plant is built: a tree of nodes
with their meters. config/centre.example.yaml explains every key. The folder of the store must be writable; messages
that cannot be read are put aside in its folder dead-letters.

Under systemd it tells when it is ready and feeds the watchdog; SIGTERM stops it in order. To look inside:

  wattline centre report --help     statements, carbon inventory, audit tables, footprints of a month or a year
  wattline centre replay --help     have a gateway send again what it has kept of a range
  wattline centre reconcile --help  a supplier's bill against ours, line by line
  wattline centre what-if --help    a month's bill under another tariff or contract, or with load moved
  wattline centre why --help        any of their figures down to factor rows and register readings

  curl http://127.0.0.1:8080/healthz
  curl http://127.0.0.1:8080/api/v1/plants
  curl http://127.0.0.1:8080/api/v1/gateways      what is stored of each gateway, and which parcels are missing

Exit status: 0 stopped in order, 1 failed (store, address), 2 wrong usage, 78 wrong configuration.
"""

_OTHERS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "report": report_cli.report,
    "why": report_cli.why_command,
    "import": import_cli.main,
    "replay": replay_cli.main,
    "raw": raw_cli.main,
    "entities": entities_cli.main,
    "reconcile": bills_cli.reconcile_command,
    "what-if": bills_cli.what_if_command,
}


def main(argv: list[str]) -> int:
    """`wattline centre ...`; returns the exit status. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        prog="wattline centre", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    running = commands.add_parser(
        "run", help="run the centre", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    running.add_argument("settings", type=Path, metavar="CENTRE.YAML", help="the settings file")
    running.add_argument("--log", default="info", choices=["debug", "info", "warning", "error"], help="default: info")
    commands.add_parser("import", help="take a CSV file of manual data", add_help=False)
    commands.add_parser("entities", help="check, export or import what energy is accounted for", add_help=False)
    commands.add_parser("raw", help="raw readings of a centre below, on request", add_help=False)
    commands.add_parser("reconcile", help="a supplier's bill against ours, line by line", add_help=False)
    commands.add_parser("what-if", help="a month's bill as it would be under other terms", add_help=False)
    commands.add_parser("replay", help="have a gateway send again what it has kept of a range", add_help=False)
    commands.add_parser("report", help="write a report of a month or a year", add_help=False)
    commands.add_parser("why", help="why a number of a statement is what it is", add_help=False)
    if argv and argv[0] in _OTHERS:
        return _OTHERS[argv[0]](argv[1:])
    options = parser.parse_args(argv)
    setup = load_setup(options.settings)
    start_logging(options.log)
    try:
        asyncio.run(run(setup))
    except (StoreUnusable, ListenError) as err:
        print(f"wattline centre: {err}", file=sys.stderr)
        return 1
    return 0
