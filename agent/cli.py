"""The agent's doors: `wattline run AGENT.yaml` and `wattline check AGENT.yaml`."""

import argparse
import asyncio
import gc
import json
import signal
import sys
from pathlib import Path
from random import Random
from typing import Final

from agent.app import Ports, run_agent
from agent.build import build
from agent.settings import AgentSettings, load
from agent.spool_disk import SpoolTaken, SqliteDisk
from wattline.clock import SystemClock
from wattline.events import EventLog, start_logging
from wattline.service import Notifier
from wattline.settings_broker import SettingsBroker

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
    settings = load(args.file)
    start_logging(args.log)
    try:
        return asyncio.run(_run(settings))
    except SpoolTaken as err:
        print(f"wattline run: {err}", file=sys.stderr)
        return 1


async def _run(settings: AgentSettings) -> int:
    clock, log = SystemClock(), EventLog()
    ports = Ports(
        clock=clock,
        broker=SettingsBroker(settings.broker, f"wattline-{settings.site}-{settings.gateway}"),
        disk=SqliteDisk(settings.spool.directory, budget=settings.spool.budget),
        random=Random(),
        notifier=Notifier(),
        log=log,
    )
    plant = build(settings, clock)
    if not settings.broker.tls and not settings.broker.loopback:
        log.warning("broker.plaintext", url=settings.broker.url)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # what start-up made stays: the collector need not walk through it for ever
    gc.collect()
    gc.freeze()
    await run_agent(settings, plant, ports, stop)
    return 0


def check(argv: list[str]) -> int:
    """`wattline check`: 0 when the file can be run, 78 by ConfigError."""
    from agent.report import report, text  # noqa: PLC0415 - the running agent has no use for it

    parser = _parser(
        "check",
        "Check an agent's settings without touching a meter or the broker, and show which registers would be read"
        " when, and what would be published.",
    )
    parser.add_argument("--json", action="store_true", help="the same for programs")
    args = parser.parse_args(argv)
    settings = load(args.file)
    plan = report(settings, build(settings, SystemClock()))
    print(json.dumps(plan, indent=2, ensure_ascii=False) if args.json else text(plan, colour=sys.stdout.isatty()))
    return 0


def _parser(command: str, what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"wattline {command}",
        description=what,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT, metavar="AGENT.yaml", help=f"default: {DEFAULT}")
    return parser
