"""The door `wattline spool`: what waits in a gateway's spool, out of it as text, and away with it."""

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from agent.spool_disk import FILE
from agent.spool_export import FORMATS, time_text
from agent.spool_file import Change, SpoolFile, SpoolTaken
from agent.spool_history import Held
from agent.spool_look import UNBOUNDED, CannotLook, looking
from agent.spool_rows import Damaged
from wattline.clock import NS

_EVER: Final = (-(1 << 62), 1 << 62)

_EXAMPLE: Final = """
  wattline spool status /etc/wattline/agent.yaml
  wattline spool export /var/lib/wattline --from 2026-03-01 --to 2026-03-02 --format csv --output march.csv
  wattline spool purge /var/lib/wattline --to 2026-01-01

Times are ISO 8601; without an offset they are UTC. While an agent runs, all but purge look at a copy.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a spool holds; times are UTC ns of readings, None in an empty one. `history`: what is kept of confirmed."""

    parcels: int
    readings: int
    bytes: int
    oldest: int | None
    newest: int | None
    dropped: int
    thinned: int
    epoch: int
    damaged: int
    history: Held


def main(argv: list[str]) -> int:
    """`wattline spool`: 0 done, 1 it cannot be done now; raises ConfigError for wrong settings."""
    args = _parser().parse_args(argv)
    door: Callable[[argparse.Namespace, Path], int] = args.door
    try:
        return door(args, _directory(args.place))
    except SpoolTaken:
        print("wattline spool: an agent has this spool open; stop it first", file=sys.stderr)
    except BrokenPipeError:
        raise  # whoever reads our output has seen enough
    except Damaged as err:
        print(f"wattline spool: the file is damaged ({err}); the agent mends it when it starts", file=sys.stderr)
    except (CannotLook, OSError, sqlite3.Error) as err:
        print(f"wattline spool: {err}", file=sys.stderr)
    return 1


def contents(directory: Path) -> tuple[Contents, str]:
    """What the spool in `directory` holds, every parcel checked, and what was looked at."""
    with looking(directory) as look:
        parcels = readings = size = damaged = 0
        first, last = _EVER[1], _EVER[0]
        for read in look.reads():
            damaged += len(read.damaged)
            for parcel in read.parcels:
                parcels, readings, size = parcels + 1, readings + parcel.readings, size + len(parcel.body)
                first, last = min(first, parcel.first_at), max(last, parcel.last_at)
        found = Contents(
            parcels=parcels,
            readings=readings,
            bytes=size,
            oldest=first if parcels else None,
            newest=last if parcels else None,
            dropped=look.stored.dropped,
            thinned=look.stored.thinned,
            epoch=look.stored.epoch,
            damaged=damaged,
            history=look.file.held(),
        )
        return found, look.how


def _status(args: argparse.Namespace, directory: Path) -> int:
    found, how = contents(directory)
    if args.json:
        print(json.dumps({**asdict(found), "how": how}))
        return 0
    print(f"spool     {directory / FILE}")
    if how:
        print(f"shown     {how}")
    print(f"waiting   {found.parcels:,} parcels, {found.readings:,} readings, {found.bytes:,} bytes")
    if found.oldest is not None and found.newest is not None:
        print(f"          from {time_text(found.oldest)} to {time_text(found.newest)}")
    kept = found.history
    if kept.since is not None and kept.until is not None:
        print(
            f"history   {kept.parcels:,} parcels, {kept.readings:,} readings, {kept.bytes:,} bytes, kept though stored"
        )
        print(f"          from {time_text(kept.since)} to {time_text(kept.until)}")
    print(f"dropped   {found.dropped:,} readings since this spool was made, {found.thinned:,} of them thinned")
    print(f"damaged   {found.damaged:,} parcels")
    print(f"epoch     {found.epoch}")
    return 0


def _list(args: argparse.Namespace, directory: Path) -> int:
    with looking(directory) as look:
        _tell_how(look.how)
        print(f"{'epoch':>10} {'seq':>9} {'readings':>9} {'bytes':>9}  {'first':<30} last")
        for read in look.reads():
            for each in read.parcels:
                if args.start <= each.last_at and each.first_at < args.end:
                    print(
                        f"{each.id.epoch:>10} {each.id.seq:>9} {each.readings:>9} {len(each.body):>9}"
                        f"  {time_text(each.first_at):<30} {time_text(each.last_at)}"
                    )
            for parcel_id, readings in read.damaged:
                print(f"{parcel_id.epoch:>10} {parcel_id.seq:>9} {readings:>9} {'damaged':>9}")
    return 0


def _export(args: argparse.Namespace, directory: Path) -> int:
    head, encode = FORMATS[args.format]
    with looking(directory) as look, _target(args.output) as out:
        _tell_how(look.how)
        out.write(head)
        done = damaged = 0
        for read in look.reads():
            for parcel in read.parcels:
                if args.start <= parcel.last_at and parcel.first_at < args.end:
                    out.writelines(encode(parcel, args.start, args.end))
            done, damaged = done + len(read.parcels), damaged + len(read.damaged)
            _progress(done, look.stored.parcels)
        if damaged:
            print(f"{damaged} damaged parcels are left out", file=sys.stderr)
    return 0


def _purge(args: argparse.Namespace, directory: Path) -> int:
    path = directory / FILE
    if not path.exists():
        raise CannotLook(f"{directory} holds no spool: there is no {FILE}")
    file = SpoolFile(path, budget=UNBOUNDED, patience_s=0.2)
    try:
        file.open()
        gone = file.ended_before(args.end)
        readings = sum(gone.values())
        question = f"Delete {len(gone):,} parcels with {readings:,} readings and count them as lost? [y/N] "
        if not gone:
            print("nothing to delete")
        elif args.yes or (sys.stdin.isatty() and input(question).strip().lower() in {"y", "yes"}):
            stored = file.commit(Change(epoch=0, delete=tuple(gone), dropped=readings))
            print(f"deleted {len(gone):,} parcels, {readings:,} readings; {stored.parcels:,} parcels left")
        else:
            print("nothing was deleted (--yes deletes without asking)")
            return 1
    finally:
        file.close()
    return 0


def _directory(place: Path) -> Path:
    """The spool's directory: `place` itself or what the settings in it say."""
    if place.is_dir():
        return place
    from agent.settings import load  # noqa: PLC0415 - heavy, and a directory needs none of it

    return load(place).spool.directory


def _target(output: Path | None) -> TextIO | nullcontext[TextIO]:
    """A new file, never over an old one, or the terminal."""
    return nullcontext(sys.stdout) if output is None else output.open("x", encoding="utf-8")


def _tell_how(how: str) -> None:
    if how:
        print(f"this is {how}", file=sys.stderr)


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= of else ""
        print(f"\r{done:,} of {of:,} parcels", end=end, file=sys.stderr, flush=True)


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-03-01 or 2026-03-01T06:00+08:00") from err
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(aware.timestamp()) * NS + aware.microsecond * 1000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline spool",
        description="What waits on a gateway until the store has it: look at it, write it out as text, delete it.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doors = parser.add_subparsers(required=True, metavar="status|list|export|purge")

    def add(name: str, door: Callable[[argparse.Namespace, Path], int], what: str) -> argparse.ArgumentParser:
        sub = doors.add_parser(name, help=what, description=what)
        sub.add_argument("place", type=Path, metavar="AGENT.yaml|DIRECTORY", help="settings, or the spool's directory")
        sub.set_defaults(door=door, start=_EVER[0], end=_EVER[1])
        return sub

    status = add("status", _status, "how much waits, since when, and what was lost; every parcel is checked")
    status.add_argument("--json", action="store_true", help="the same for programs")
    listing = add("list", _list, "every parcel with its id, its times (UTC), readings and bytes")
    export = add("export", _export, "all readings as text; nothing is deleted")
    export.add_argument("--format", choices=tuple(FORMATS), default="lineprotocol", help="default: lineprotocol")
    export.add_argument("--output", type=Path, metavar="FILE", help="a new file; default: the terminal")
    for sub in (listing, export):
        sub.add_argument("--from", dest="start", type=_time, metavar="TIME", help="only what was read at or after it")
        sub.add_argument("--to", dest="end", type=_time, metavar="TIME", help="only what was read before it")
    purge = add("purge", _purge, "delete what waits, and count it as lost in what the gateway reports")
    purge.add_argument("--to", dest="end", type=_time, metavar="TIME", help="only parcels that end before it")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    return parser
