"""The command `wattline centre replay`: a gateway is to send again what it has kept, and one is told how that goes.

Straight over the broker, beside the running centre, which stores what comes as it stores anything: what it has already
adds nothing.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from centre.settings import load_setup
from metering.replay import ReplayRequest, encode_replay
from metering.status import State, decode_status
from metering.topics import Ranges, Topics, checked_ranges, parse_topic
from wattline.broker import Broker, BrokerError
from wattline.broker_access import ConfiguredBroker
from wattline.clock import NS, SystemClock
from wattline.mqtt import PahoBroker

_ABOUT: Final = """\
Asks a gateway to send once more what it has kept of a range: for a centre that was restored from a backup, or a store
that lost readings. The gateway must keep a history (`spool: {history: 7d}` of its settings). Parcels come under
their old numbers, behind whatever is live, and each reading stands in the store once, whatever was there.

  wattline centre replay centre.yaml works/hall-1 --from 2026-11-20T00:00+08:00 --to 2026-11-21T12:00+08:00
  wattline centre replay centre.yaml works/hall-1 --parcels 1795123456:812-845 --parcels 1795123456:850

The centre should be running. Ends when all has come; a gateway goes on when this command is stopped.

Exit status: 0 all that is kept of it was sent and stored, 1 not (no answer, no history, refused, or parcels that were
named are not kept any more), 2 wrong usage, 78 wrong configuration.
"""
_PARCELS: Final = re.compile(r"([0-9]{1,10}):([0-9]{1,10})(?:-([0-9]{1,10}))?")
_ANSWER_S: Final = 30.0
_SILENT_S: Final = 180.0  # a gateway tells its status once a minute


class NotReplayed(Exception):
    """Why the range was not, or not wholly, sent again."""


def main(argv: list[str]) -> int:
    """`wattline centre replay ...`; returns the exit status. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        prog="wattline centre replay", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", type=Path, metavar="CENTRE.YAML", help="the settings file of the centre")
    parser.add_argument("gateway", metavar="SITE/GATEWAY", help="who is asked")
    parser.add_argument("--from", dest="start", type=_time, metavar="TIME", help="with its offset; default: all before")
    parser.add_argument("--to", dest="end", type=_time, metavar="TIME", help="exclusive; default: all after")
    parser.add_argument(
        "--parcels", action="append", default=[], type=_parcels, metavar="EPOCH:SEQ[-SEQ]", help="only these; repeated"
    )
    options = parser.parse_args(argv)
    site, _, gateway = str(options.gateway).partition("/")
    try:
        topics, _ = parse_topic(Topics(site, gateway).replay)
        request = request_of(options.start, options.end, options.parcels, SystemClock().now_ns())
    except ValueError as err:
        parser.error(str(err))
    access = load_setup(options.settings).settings.broker.access("wattline-centre-replay")
    broker = ConfiguredBroker(replace(access, client_id="wattline-centre-replay"), PahoBroker)
    try:
        asyncio.run(ask(broker, topics, request))
    except (NotReplayed, BrokerError) as err:
        print(f"wattline centre replay: {err}", file=sys.stderr)
        return 1
    return 0


def request_of(start: int | None, end: int | None, parcels: list[tuple[int, int, int]], now: int) -> ReplayRequest:
    """Raises ValueError when it asks for nothing, or for nonsense."""
    if start is None and end is None and not parcels:
        raise ValueError("say which range: --from and --to, or --parcels")
    if (start or 0) >= (now if end is None else end):
        raise ValueError("--from lies before --to, and in the past")
    found: dict[int, Ranges] = {}
    for epoch in {each[0] for each in parcels}:
        found[epoch] = checked_ranges(sorted((first, last) for each, first, last in parcels if each == epoch))
    whole = ReplayRequest(number=now, epochs=found or None)
    return replace(whole, start=start or 0, end=whole.end if end is None else end)


async def ask(broker: Broker, topics: Topics, request: ReplayRequest) -> None:
    """Return when all is stored; raises NotReplayed or BrokerError."""
    async with broker.connect() as connection:
        await connection.subscribe(topics.status)
        await connection.publish(topics.replay, encode_replay(request))
        within_s, told, last = _ANSWER_S, False, -1
        messages = connection.messages()
        while True:
            try:
                async with asyncio.timeout(within_s):
                    message = await anext(messages)
            except TimeoutError:
                raise NotReplayed(f"no word of {topics.site}/{topics.gateway} within {within_s:g} s") from None
            message.ack()
            if not (counters := _counters(message.payload)):
                continue
            if "history_since" not in counters:
                raise NotReplayed("the gateway keeps no history: spool: {history: 7d} of its settings")
            if counters["replay_refused"] == request.number:
                raise NotReplayed("refused: another replay is under way or has just begun; its journal says which")
            if counters["replay_request"] != request.number:
                if told:
                    raise NotReplayed("the gateway was started anew and knows of nothing: ask again")
                continue
            within_s, told = _SILENT_S, True
            if counters["replay_left"] != last:
                last = counters["replay_left"]
                print(f"{counters['replay_parcels']} parcels, {counters['replay_readings']} readings; {last} to come")
            if not last:
                break
    if missing := counters["replay_missing"]:
        raise NotReplayed(f"{missing} of the parcels are not kept any more, or never were")
    since = counters["history_since"]
    if not request.epochs and (not since or request.start < since):
        print("what was kept of it was sent; the history goes back to " + (_text(since) if since else "nothing"))


def _counters(payload: bytes) -> Mapping[str, int]:
    """Of a gateway that is there: what its last will says is as old as its connection."""
    try:
        status = decode_status(payload)
    except ValueError:
        return {}
    return status.counters if status.state is State.ONLINE else {}


def _text(at: int) -> str:
    return datetime.fromtimestamp(at // NS).astimezone().isoformat()


def _time(text: str) -> int:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} needs its offset: 2026-11-20T00:00+08:00")
    return int(found.timestamp()) * NS


def _parcels(text: str) -> tuple[int, int, int]:
    match = _PARCELS.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not of the form EPOCH:SEQ or EPOCH:SEQ-SEQ")
    return int(match[1]), int(match[2]), int(match[3] or match[2])
