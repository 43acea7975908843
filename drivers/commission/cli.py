"""The door `wattline scan`: what answers on a serial line or at the endpoints you name, and what it is."""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from drivers.commission.ports import stable, trouble
from drivers.commission.scan_text import advice, fragment, scan_json
from drivers.commission.screen import Progress, time_text
from drivers.commission.search import Search
from drivers.commission.target import endpoint, serial_lines, serial_port, unit_ids
from drivers.modbus import catalogue
from drivers.modbus.profile import Profile
from drivers.modbus.serial_line import SerialLine
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.events import start_logging

_OK: Final = 0
_NOTHING: Final = 1
_INTERRUPTED: Final = 130
_TCP_TIMEOUT_S: Final = 1.0
_SERIAL_TIMEOUT_S: Final = 0.25

_SCAN: Final = """
examples:
  wattline scan --serial /dev/ttyUSB0
      tries the usual baud rates and parities, the most frequent first, until something answers
  wattline scan --serial /dev/ttyUSB0 --lines 9600,19200 8N1,8E1 --units 1-247
  wattline scan --tcp 10.0.0.20:502 10.0.0.21 --units 1-32 > found.yaml
      settings for agent.yaml; what is not sure stands beside it as a comment

Only what you name is asked, and only read. A bus that an agent reads at the same time may answer late: stop the agent
first (systemctl stop wattline-agent).

exit status: 0 something answered, 1 nothing did, 2 wrong usage, 78 a profile is wrong, 130 broken off with Ctrl-C
"""


def scan(argv: list[str]) -> int:
    """`wattline scan`; raises ConfigError for a profile that is wrong."""
    parser = _parser()
    args = parser.parse_args(argv)
    lines = _lines(parser, args)
    start_logging("error")
    if args.serial is not None and (wrong := trouble(args.serial)):
        print(f"wattline scan: {wrong}", file=sys.stderr)
        return _NOTHING
    search = Search(
        units=args.units or unit_ids("1-32" if args.serial else "1-247"),
        profiles=[] if args.ids_only else _profiles(args.profiles),
        timeout_s=args.timeout or (_SERIAL_TIMEOUT_S if args.serial else _TCP_TIMEOUT_S),
        progress=Progress(),
        clock=SystemClock(),
        every_line=args.every_line,
    )
    if args.serial is None:
        endpoints = tuple(dict.fromkeys(args.tcp))
        _announce(search, f"at {', '.join(map(str, endpoints))}", search.most_s(len(endpoints)), None)
        return _run(search, search.endpoints(endpoints), as_json=args.json)
    port = stable(args.serial)
    most_s = sum(search.silent_s(line) for line in lines) * len(search.units)
    many = "line settings" if len(lines) > 1 else "line setting"
    where = f"on {port} with {len(lines)} {many} ({', '.join(map(str, lines))})"
    _announce(search, where, most_s, next(iter(lines)))
    return _run(search, search.lines(port, lines), as_json=args.json)


def _run(search: Search, work: Coroutine[Any, Any, None], *, as_json: bool) -> int:
    broken_off = False
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        broken_off = True
    finally:
        search.progress.clear()
    results = search.results
    print(json.dumps(scan_json(results), indent=2, ensure_ascii=False) if as_json else fragment(results))
    if broken_off:
        print("broken off; what was found stands above", file=sys.stderr)
        return _INTERRUPTED
    if help_ := advice(results):
        print(help_, file=sys.stderr)
    return _OK if any(scanned.clear for scanned in results.values()) else _NOTHING


def _announce(search: Search, where: str, most_s: float, line: SerialLine | None) -> None:
    each = f", and about {time_text(search.identify_s(line))} for each meter found" if search.profiles else ""
    search.progress.line(
        f"asking {len(search.units)} unit ids {where}; at most {time_text(most_s)} if none answers{each}"
        f"{'' if line else ' (longer if a gateway takes longer to say so)'}. Reads only; Ctrl-C ends it and leaves what"
        " was found."
    )


def _lines(parser: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[SerialLine, ...]:
    if args.serial is None and (args.lines or args.every_line):
        parser.error("--lines and --every-line go with --serial")
    try:
        return serial_lines(args.lines or [])
    except ValueError as err:
        parser.error(f"--lines: {err}")


def _profiles(folder: Path | None) -> list[Profile]:
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--profiles {folder}: there is no such folder")
    return [catalogue.load(name, folder) for name in catalogue.names(folder)]


def _timeout(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0.02 <= seconds <= 30:
        raise argparse.ArgumentTypeError(f"{text!r} must be seconds, from 0.02 to 30")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline scan",
        description="Find the meters on a serial line or at Modbus TCP endpoints, and what models they are.",
        epilog=_SCAN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--tcp", type=endpoint, nargs="+", metavar="HOST", help="meters and gateways, HOST or HOST:PORT")
    place.add_argument("--serial", type=serial_port, metavar="PORT", help="a serial port, such as /dev/ttyUSB0")
    parser.add_argument(
        "--lines", nargs="+", metavar="L", help="baud rates and frames to try: 9600,19200 8N1,8E1; default: the usual"
    )
    parser.add_argument(
        "--every-line", action="store_true", help="go on with the other line settings when something was found"
    )
    parser.add_argument(
        "--units", type=unit_ids, metavar="IDS", help="1-247 or 1,3,7-9; default 1-32 on a serial line, else 1-247"
    )
    parser.add_argument(
        "--timeout", type=_timeout, metavar="SECONDS", help="wait for an answer; default 0.25 on a serial line, else 1"
    )
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="folder with profiles of your own, tried too")
    parser.add_argument("--ids-only", action="store_true", help="only which ids answer, not what they are")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser
