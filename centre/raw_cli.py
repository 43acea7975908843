"""The command `wattline centre raw`: ask a centre below for raw readings, see what became of it, write what came."""

import argparse
import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

from centre.api_raw import as_csv, view
from centre.books.file import Books
from centre.errors import FigureError
from centre.json_views import to_json
from centre.settings import Setup, load_setup
from centre.store.base import StoreError, StoreUnusable
from centre.upper_raw import RawRequests
from wattline.clock import SystemClock

_ABOUT: Final = """\
Raw readings of a centre below, for an audit. It gives them where its key `upper: {raw: ...}` says so; who asked for
what and why is in the audit of both.

  wattline centre raw ask centre.yaml firm-a --device incomer --from 2026-10-01T00:00+08:00 \\
      --to 2026-11-01T00:00+08:00 --author li --reason "audit of October"
  wattline centre raw list centre.yaml
  wattline centre raw export centre.yaml ID > readings.csv
  wattline centre raw withdraw centre.yaml ID --author li --reason "seen"

The centre must be running for requests and answers to travel. Exit status: 0 done, 1 not done, 2 wrong usage.
"""


def main(argv: list[str]) -> int:
    """`wattline centre raw ...`; returns the exit status. Raises ConfigError."""
    options = _parser().parse_args(argv)
    setup = load_setup(options.settings)
    try:
        asyncio.run(_run(setup, options))
    except (FigureError, StoreError, StoreUnusable) as err:
        print(f"wattline centre raw: {err}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline centre raw", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {
        "ask": "make a request",
        "list": "all requests and their state",
        "export": "what came, as CSV",
        "withdraw": "end a request and forget what came",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("settings", type=Path, metavar="CENTRE.YAML")
        if name == "ask":
            command.add_argument("site", metavar="SITE")
            what = command.add_mutually_exclusive_group(required=True)
            what.add_argument("--device", help="one meter")
            what.add_argument("--node", help="the meters of a part of the plant")
            command.add_argument("--from", dest="start", type=datetime.fromisoformat, required=True, metavar="TIME")
            command.add_argument("--to", dest="end", type=datetime.fromisoformat, required=True, metavar="TIME")
        if name in {"export", "withdraw"}:
            command.add_argument("id", metavar="ID")
        if name in {"ask", "withdraw"}:
            command.add_argument("--author", required=True, help="who does it")
            command.add_argument("--reason", required=True, help="why")
    return parser


async def _run(setup: Setup, options: argparse.Namespace) -> None:
    clock = SystemClock()
    sites = () if setup.levels is None else setup.levels.members.keys()
    async with Books(setup.books, clock) as books:
        requests = RawRequests(books=books, clock=clock, sites=sites)
        if options.command == "ask":
            made = await requests.ask(
                options.site,
                node=options.node,
                device=options.device,
                start=options.start,
                end=options.end,
                author=options.author,
                reason=options.reason,
            )
            print(made.ask.id)
        elif options.command == "list":
            for one in await requests.listed():
                print(to_json(view(one)).decode())
        elif options.command == "export":
            await requests.one(options.id)
            async for piece in as_csv(requests, options.id):
                sys.stdout.write(piece.decode())
        else:
            await requests.withdraw(options.id, author=options.author, reason=options.reason)
