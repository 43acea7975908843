"""Small wrongs in the product, put in place in memory: each breaks the guarantee, and the simulation must see it."""

import importlib
import inspect
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """In the source of `where` (module:Class.function) `old`, which stands there once, becomes `new`."""

    name: str
    where: str
    old: str
    new: str

    @contextmanager
    def applied(self) -> Generator[None]:
        """Raises ValueError when the product has changed so that the mutant no longer fits."""
        module_name, _, path = self.where.partition(":")
        module = importlib.import_module(module_name)
        owner: Any = module
        *parents, leaf = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        before = inspect.getattr_static(owner, leaf)
        source = textwrap.dedent(inspect.getsource(getattr(owner, leaf)))
        if source.count(self.old) != 1:
            raise ValueError(
                f"mutant {self.name!r}: {self.old!r} stands {source.count(self.old)} times in {self.where}"
            )
        made: dict[str, Any] = {}
        code = compile(source.replace(self.old, self.new), f"<mutant {self.name}>", "exec")
        exec(code, vars(module), made)
        owners = [owner] if parents else _holders(leaf, before)
        for each in owners:
            setattr(each, leaf, made[leaf])
        try:
            yield
        finally:
            for each in owners:
                setattr(each, leaf, before)


def _holders(name: str, function: object) -> list[Any]:
    """The modules that have it under its name: its own, and those that import it."""
    return [module for module in list(sys.modules.values()) if vars(module).get(name) is function]


_EPOCH = "max(self._state.stored.epoch + 1, min(self._clock.now_ns() // NS, _LATEST_EPOCH))"
_COMMITS = "await self._stock.commit()\n    while self._stock.ram and self.durable:"
_SENT_AGAIN = "sent.again_at = now + wait"
_WRITES = "return await self.patience.insist(partial(self.store.write, parcels, received_at=now))"
_WRITES_OR_NOT = """
            try:
                return await self.store.write(parcels, received_at=now)
            except Exception:
                return Written(parcels=0, redelivered=0, readings=0, ignored=0, faults=0)
"""

MUTANTS = (
    Mutant("release by PUBACK", "agent.session:Session._publish", 'if self._release == "puback":', "if True:"),
    Mutant("epoch never rises", "agent.spool_stock:Stock.open", _EPOCH, "1767225600"),
    Mutant("seq reused", "agent.spool:Spool._put", "self._seq += 1", "self._seq += self._seq < 50"),
    Mutant("stop without commit", "agent.spool:Spool.__aexit__", _COMMITS, "while False:"),
    Mutant(
        "commit late", "agent.spool:Spool._commit_due", "min(waiting) + self._commit_interval_s", "min(waiting) + 300.0"
    ),
    Mutant(
        "RAM forgotten on failure",
        "agent.spool_stock:Stock.commit",
        "self._state.failed(err)",
        "self._state.failed(err); self.ram = Ram()",
    ),
    Mutant("release lost in commit", "agent.spool_stock:Stock.release", " or parcel_id in self._committing", ""),
    Mutant("releases never deleted", "agent.spool_stock:Stock.commit", "delete=delete", "delete=()"),
    Mutant(
        "generation not raised",
        "agent.spool_state:DiskState.heed",
        "self.retry_at = None\n        self.generation += 1",
        "self.retry_at = None",
    ),
    Mutant(
        "cancellation swallowed",
        "agent.spool:Spool.run",
        "except TimeoutError:",
        "except (TimeoutError, asyncio.CancelledError):",
    ),
    Mutant("no re-send in a connection", "agent.outbox:Outbox.acked", _SENT_AGAIN, "sent.again_at = _NEVER"),
    Mutant("no re-send after reconnect", "agent.outbox:Outbox.restart", "self._sent.clear()", "pass"),
    Mutant("in flight for ever", "agent.outbox:Outbox.restart", "self._flying.clear()", "pass"),
    Mutant(
        "one in flight for ever",
        "agent.outbox:Outbox._answered",
        "self._flying[earlier] = min(self._flying[earlier], now)",
        "pass",
    ),
    Mutant(
        "unsent counts as stored", "agent.outbox:Outbox.is_stored", "return parcel_id in self._tried and ", "return "
    ),
    Mutant(
        "backlog ends early",
        "agent.lanes:Lanes._take_backlog",
        "self._backlog_done = not backlog",
        "self._backlog_done = True",
    ),
    Mutant("live lane skips", "agent.lanes:Lanes._take_live", "live[-1].id if live else newest", "newest"),
    Mutant(
        "watermark off by one", "metering.topics:Committed.holds", "first <= seq <= last ", "first <= seq <= last + 1 "
    ),
    Mutant("side files not taken over", "agent.spool_kept:Kept.take_over", "in _batches(left.records)", "in ()"),
    Mutant("side files go too early", "agent.spool_kept:Kept.forget", "parcels.isdisjoint(waiting)", "True"),
    Mutant("row overwritten", "agent.spool_rows:key_of", "parcel_id.seq", "(parcel_id.seq & 63)"),
    Mutant("delete takes the gap", "agent.spool_rows:ranges_of", "key == last + 1", "key <= last + 2"),
    Mutant(
        "delete one more",
        "agent.spool_rows:ranges_of",
        "yield first, last\n            first",
        "yield first, last + 1\n            first",
    ),
    Mutant(
        "time of the boundary",
        "agent.poller:Poller._answered",
        "self._hand_on(sweep)",
        "self._hand_on(replace(sweep, taken_at=sweep.taken_at // NS * NS))",
    ),
    Mutant(
        "told twice",
        "agent.poller:Poller._answered",
        "self._hand_on(sweep)",
        "self._hand_on(sweep); self._hand_on(replace(sweep, taken_at=sweep.taken_at + 1))",
    ),
    Mutant(
        "half a sweep",
        "metering.lineprotocol:encode_sweep",
        ".fields(sweep.values)",
        ".fields(sweep.values).split(',')[0]",
    ),
    Mutant(
        "gaps are never settled",
        "centre.store.statuses:Statuses.write_status",
        'if status.counters.get("parcels_pending") == 0:',
        "if False:",
    ),
    # what is acknowledged and not stored is lost only to an agent with `commit: puback`; the others send it again, so
    # that this one is seen by nothing but the oracle of acknowledgements
    Mutant("store keeps what fails", "centre.keeping:Keeper._store", _WRITES, _WRITES_OR_NOT),
    Mutant(
        "spins while the window is full", "agent.outbox:Outbox.next_at", "if self._places() else []", "if True else []"
    ),
    Mutant("store does not commit", "centre.store.rows:Rows._transaction", '"COMMIT"', '"ROLLBACK"'),
    Mutant(
        "numbers without readings",
        "centre.store.rows:Rows._insert",
        "rows).rowcount if rows",
        "rows[:1]).rowcount if rows",
    ),
    Mutant(
        "a copy counts anew",
        "centre.store.arriving:Arriving._add_sweeps",
        "INSERT OR IGNORE INTO raw",
        "INSERT OR REPLACE INTO raw",
    ),
)
