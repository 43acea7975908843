"""What this centre forwards, as the books keep it: each interval once, with the revision that the upper centre has.

The queue is what the upper centre lacks: a newer revision takes the place of an older one that still waits. A row is
written when it differs from what was kept, so nothing is queued twice; it stays for good, to know what was told. What
was told and is no interval any more is withdrawn: by a revision of its own, that waits and goes up as any other.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from metering.intervals import WITHDRAWN, NodeInterval
from metering.topics import Committed, decode_committed, encode_committed
from wattline.clock import NS

TABLES: Final = """
-- content: what may change of an interval, as JSON; confirmed: the revision that the upper centre has, 0: none
CREATE TABLE IF NOT EXISTS forwarded (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, node TEXT NOT NULL, carrier TEXT NOT NULL, flow TEXT NOT NULL,
    grain TEXT NOT NULL, start INTEGER NOT NULL, content TEXT NOT NULL, revision INTEGER NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0, UNIQUE (site, node, carrier, flow, grain, start)) STRICT;
CREATE INDEX IF NOT EXISTS forwarded_waiting ON forwarded (site, id) WHERE confirmed < revision;
CREATE INDEX IF NOT EXISTS forwarded_start ON forwarded (site, start);
-- held: the parcels of a site that the upper centre said it holds, as it said so last
CREATE TABLE IF NOT EXISTS forward_held (site TEXT PRIMARY KEY, held TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS forward_epoch (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
-- the epochs of all starts on these books
CREATE TABLE IF NOT EXISTS forward_begun (epoch INTEGER PRIMARY KEY) STRICT;
"""

_MS: Final = NS // 1000
_MAX_EPOCH: Final = 2**53
HELD_EPOCHS: Final = 4  # of a centre are remembered above: it asks only for that of its last start
_FIND: Final = (
    "SELECT id, content, revision FROM forwarded"
    " WHERE site = ? AND node = ? AND carrier = ? AND flow = ? AND grain = ? AND start = ?"
)


class Sent(NamedTuple):
    """A row of the queue at one revision."""

    id: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All `intervals` of `grains` that a site has in [start, end) (UTC ns)."""

    site: str
    grains: Collection[str]
    start: int
    end: int
    intervals: Collection[NodeInterval]


def begin_epoch(connection: sqlite3.Connection, now_ns: int) -> int:
    """The number of this start: it rises, also when the books were lost or restored from a backup."""
    row: tuple[int] | None = connection.execute("SELECT epoch FROM forward_epoch").fetchone()
    epoch = max(now_ns // NS, (0 if row is None else row[0]) + 1)
    connection.execute("INSERT OR REPLACE INTO forward_epoch (id, epoch) VALUES (1, ?)", (epoch,))
    connection.execute("INSERT INTO forward_begun (epoch) VALUES (?)", (epoch,))
    return epoch


def put(connection: sqlite3.Connection, intervals: Iterable[NodeInterval], now_ns: int) -> int:
    """Queue those that differ from what is kept; returns how many.

    Their revision is the time (ms) at which the difference was found, or one more than the last: it rises for the upper
    centre even where these books had to begin anew.
    """
    queued = 0
    for interval in intervals:
        content = content_of(interval)
        row: tuple[int, str, int] | None = connection.execute(_FIND, interval.key).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO forwarded (site, node, carrier, flow, grain, start, content, revision)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*interval.key, content, max(now_ns // _MS, 1)),
            )
        elif row[1] != content:
            connection.execute(
                "UPDATE forwarded SET content = ?, revision = ? WHERE id = ?",
                (content, max(now_ns // _MS, row[2] + 1), row[0]),
            )
        else:
            continue
        queued += 1
    return queued


def keep(connection: sqlite3.Connection, look: Look, now_ns: int) -> int:
    """Queue what differs from what is kept, and withdraw what the look did not find again; returns how many."""
    keys = {interval.key for interval in look.intervals}
    rows = connection.execute(
        "SELECT node, carrier, flow, grain, start, content, revision FROM forwarded"
        " WHERE site = ? AND start >= ? AND start < ?",
        (look.site, look.start, look.end),
    ).fetchall()
    gone = [
        interval_of((look.site, node, carrier, flow, grain), start, content, revision)
        for node, carrier, flow, grain, start, content, revision in rows
        if grain in look.grains and (look.site, node, carrier, flow, grain, start) not in keys
    ]
    return put(connection, [*look.intervals, *(_withdrawal(one) for one in gone)], now_ns)


def _withdrawal(interval: NodeInterval) -> NodeInterval:
    return replace(interval, amount=None, estimated=Decimal(0), shares=(), reason=WITHDRAWN)


def reach(connection: sqlite3.Connection, site: str) -> tuple[int, int] | None:
    """The first and the last start (UTC ns) of what is kept of a site; None: nothing is."""
    (first,) = connection.execute("SELECT min(start) FROM forwarded WHERE site = ?", (site,)).fetchone()
    (last,) = connection.execute("SELECT max(start) FROM forwarded WHERE site = ?", (site,)).fetchone()
    return None if first is None else (first, last)


def waiting(connection: sqlite3.Connection, site: str, after: int, limit: int) -> list[tuple[Sent, NodeInterval]]:
    """At most `limit` intervals of a site that the upper centre lacks, in the order of their rows behind `after`."""
    rows = connection.execute(
        "SELECT id, node, carrier, flow, grain, start, content, revision FROM forwarded"
        " WHERE site = ? AND id > ? AND confirmed < revision ORDER BY id LIMIT ?",
        (site, after, limit),
    )
    return [
        (Sent(id_, revision), interval_of((site, node, carrier, flow, grain), start, content, revision))
        for id_, node, carrier, flow, grain, start, content, revision in rows
    ]


def pending(connection: sqlite3.Connection) -> int:
    """How many intervals the upper centre lacks."""
    row: tuple[int] = connection.execute("SELECT count(*) FROM forwarded WHERE confirmed < revision").fetchone()
    return row[0]


def confirm(connection: sqlite3.Connection, sent: Sequence[Sent]) -> None:
    """The upper centre has these; a row that was revised meanwhile goes on waiting."""
    connection.executemany(
        "UPDATE forwarded SET confirmed = ? WHERE id = ? AND confirmed < ?",
        [(one.revision, one.id, one.revision) for one in sent],
    )


def heard(connection: sqlite3.Connection, site: str, committed: Committed) -> bool:
    """Keep what the upper centre says it holds; False, and nothing is kept, when it is less than it said before."""
    row: tuple[str] | None = connection.execute("SELECT held FROM forward_held WHERE site = ?", (site,)).fetchone()
    if row is not None and fell_back(decode_committed(row[0].encode()), committed):
        return False
    _hold(connection, site, committed)
    return True


def again(connection: sqlite3.Connection, site: str, committed: Committed) -> None:
    """Everything of a site waits again: the upper centre lost what it had, and knows by revision what it has."""
    connection.execute("UPDATE forwarded SET confirmed = 0 WHERE site = ?", (site,))
    _hold(connection, site, committed)


def restored(connection: sqlite3.Connection, committed: Committed, now_ns: int) -> bool:
    """Whether the upper centre knows a start that these books do not: they were restored from a backup.

    What was forwarded since then is not known here; so everything is revised, and goes up as it is now.
    """
    begun = {epoch for (epoch,) in connection.execute("SELECT epoch FROM forward_begun")}
    first = min(begun, default=_MAX_EPOCH)
    strange = [(epoch,) for epoch in committed.epochs if first < epoch < _MAX_EPOCH and epoch not in begun]
    if strange:
        connection.executemany("INSERT INTO forward_begun (epoch) VALUES (?)", strange)
        connection.execute("UPDATE forwarded SET revision = max(?, revision + 1)", (now_ns // _MS,))
    return bool(strange)


def _hold(connection: sqlite3.Connection, site: str, committed: Committed) -> None:
    held = encode_committed(committed).decode()
    connection.execute(
        "INSERT INTO forward_held (site, held) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET held = excluded.held WHERE held <> excluded.held",
        (site, held),
    )


def fell_back(before: Committed, now: Committed) -> bool:
    """Whether a parcel that was held is not any more; epochs below those kept, once there are many, were forgotten."""
    oldest = min(now.epochs, default=0) if len(now.epochs) >= HELD_EPOCHS else 0
    return any(
        not any(start <= first and last <= end for start, end in now.epochs.get(epoch, ()))
        for epoch, ranges in before.epochs.items()
        if epoch >= oldest
        for first, last in ranges
    )


def content_of(interval: NodeInterval) -> str:
    """What may change of an interval, as it is kept here and in the books above."""
    amount = None if interval.amount is None else f"{interval.amount:f}"
    shares = [[flag, f"{share:f}"] for flag, share in interval.shares]
    return json.dumps([interval.end, interval.unit, amount, f"{interval.estimated:f}", shares, interval.reason])


def interval_of(key: tuple[str, str, str, str, str], start: int, content: str, revision: int) -> NodeInterval:
    """The way back; `key` is site, node, carrier, flow, grain."""
    end, unit, amount, estimated, shares, reason = json.loads(content)
    site, node, carrier, flow, grain = key
    return NodeInterval(
        site=site,
        node=node,
        carrier=carrier,
        flow=flow,
        grain=grain,
        start=start,
        end=end,
        unit=unit,
        amount=None if amount is None else Decimal(amount),
        estimated=Decimal(estimated),
        shares=tuple((flag, Decimal(share)) for flag, share in shares),
        revision=revision,
        reason=reason,
    )
