"""The agent's doors: `wattline run AGENT.yaml` and `wattline check AGENT.yaml`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from agent.apart import apart
from agent.budget import USUAL_REPLY_S, TooMuch
from agent.plan import GatewayPlan
from agent.service import serve
from wattline.clock import SystemClock
from wattline.errors import ConfigError

DEFAULT: Final = Path("/etc/wattline/agent.yaml")

_EXAMPLE: Final = """
The smallest file:

  site: jiangjin-1
  gateway: press-shop
  broker: {url: "mqtt://127.0.0.1:1883"}
  spool: {directory: /var/lib/wattline}
  buses:
    - name: substation
      tcp: 10.0.0.20:502
      devices:
        - {name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}

The environment overrides the file: WATTLINE_BROKER__URL=mqtts://broker.example:8883
"""


def run(argv: list[str]) -> int:
    """`wattline run`: 0 after an orderly stop, 1 when another agent has the spool, 78 by ConfigError."""
    parser = _parser(
        "run",
        "Read the meters, keep every reading on disk, publish it until the store has it. Ctrl-C or SIGTERM stops it:"
        " what was read is written and, as far as a few seconds allow, sent. Exit status 78: wrong settings.",
    )
    parser.add_argument("--log", choices=("debug", "info", "warning"), default="info", help="least level of events")
    args = parser.parse_args(argv)
    try:
        return serve(apart(lambda: _plan(args.file)), args.log)
    except TooMuch as err:
        raise _placed(args.file, err) from err


def check(argv: list[str]) -> int:
    """`wattline check`: 0 when the file can be run, 78 by ConfigError."""
    from agent.build import build  # noqa: PLC0415 - the running agent has no use for these two here
    from agent.report import must_fit, report, text  # noqa: PLC0415

    parser = _parser(
        "check",
        "Check an agent's settings without touching a meter or the broker, and show which registers would be read"
        " when, how much of each bus's time that takes, and what would be published. Exit status 78: the settings are"
        " wrong, or a bus cannot carry what it is to read.",
    )
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.add_argument(
        "--reply",
        type=_milliseconds,
        metavar="MS",
        help="how long your meters take to begin a reply, as measured (`wattline read` shows it); then what does not"
        f" fit with it is refused too. Without it {USUAL_REPLY_S * 1000:.0f} ms are guessed",
    )
    args = parser.parse_args(argv)
    plan = _plan(args.file)
    try:
        plant = build(plan, SystemClock())
        if args.reply is not None:
            must_fit(plant, args.reply)
    except TooMuch as err:
        raise _placed(args.file, err) from err
    told = report(plan, plant, args.reply or USUAL_REPLY_S)
    print(json.dumps(told, indent=2, ensure_ascii=False) if args.json else text(told, colour=sys.stdout.isatty()))
    return 0


def _plan(path: Path) -> GatewayPlan:
    """The checked plan of a file; raises ConfigError."""
    from agent.settings import load  # noqa: PLC0415 - what checks settings is heavy, and the running agent has no use for it

    return load(path).plan()


def _placed(path: Path, err: TooMuch) -> ConfigError:
    """The error with file and line of its bus."""
    from wattline.strict_yaml import load_file  # noqa: PLC0415 - heavy, and needed for a bad end only

    return load_file(path).error(("buses", err.place), str(err))


def _milliseconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("ms")) / 1000
    except ValueError:
        seconds = -1.0
    if not 0.0005 <= seconds <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} must be milliseconds, from 0.5 to 10000")
    return seconds


def _parser(command: str, what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"wattline {command}",
        description=what,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT, metavar="AGENT.yaml", help=f"default: {DEFAULT}")
    return parser
