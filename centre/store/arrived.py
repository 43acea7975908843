"""What the reading connection answers of what arrived: parcels, gateways, devices, and how much each hour has."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from centre.accounting.hours import HOUR_NS, Plan, Tally
from centre.store.base import (
    GatewayKey,
    GatewayRow,
    Stretch,
    Totals,
)
from centre.store.rows import Ids
from metering.parcel import ParcelId
from metering.status import State, decode_status
from metering.sweep import DeviceInfo
from metering.topics import VERSION, Committed

_MAX_EPOCHS: Final = 256


class Arrived(Ids):
    """Every method is one or a few queries, bounded by a range of time or the size of the plant."""

    def committed(self) -> dict[GatewayKey, Committed]:
        """See Store.committed."""
        return {key: _committed(stretches) for key, stretches in self._stretches().items()}

    def _stretches(self) -> dict[GatewayKey, list[Stretch]]:
        found: dict[GatewayKey, list[Stretch]] = {}
        for site, name in self._db.execute("SELECT site, name FROM gateway ORDER BY site, name"):
            found[GatewayKey(site, name)] = []
        rows = self._db.execute(
            "SELECT site, name, parcel.epoch, first, last, parcel.since, first_at, last_at, parcel.dropped FROM parcel"
            " JOIN gateway ON gateway = gateway.id ORDER BY parcel.epoch, first"
        )
        for site, name, *row in rows:
            found[GatewayKey(site, name)].append(Stretch(*row))
        return found

    def gateways(self) -> list[GatewayRow]:
        """See Store.gateways."""
        stretches = self._stretches()
        rows = self._db.execute(
            "SELECT site, name, state, since, last_seen, software, epoch, dropped, counters, settled_epoch,"
            " settled_seq FROM gateway ORDER BY site, name"
        )
        return [
            GatewayRow(
                key=GatewayKey(site, name),
                state=None if state is None else State(state),
                since=since,
                last_seen=last_seen,
                software=software,
                epoch=epoch,
                dropped=dropped,
                counters=json.loads(counters),
                committed=_committed(stretches[GatewayKey(site, name)]),
                stretches=stretches[GatewayKey(site, name)],
                settled=ParcelId(epoch=settled[0], seq=settled[1]) if settled[0] else None,
            )
            for site, name, state, since, last_seen, software, epoch, dropped, counters, *settled in rows
        ]

    def inventory(self, site: str) -> dict[str, tuple[str, DeviceInfo]]:
        """See Store.inventory."""
        rows = self._db.execute(
            "SELECT name, gateway, info FROM device WHERE site = ? AND info IS NOT NULL ORDER BY name", (site,)
        )
        return {name: (gateway, _device_info(info)) for name, gateway, info in rows}

    def tallies(self, site: str, t0: int, t1: int) -> dict[str, dict[int, Tally]]:
        """See Store.tallies."""
        rows = self._db.execute(
            "SELECT name, hour, kind, count FROM tally JOIN device ON tally.device = device.id"
            " WHERE device.site = ? AND hour >= ? AND hour < ?",
            (site, -(-t0 // HOUR_NS), -(-t1 // HOUR_NS)),
        )
        kinds: dict[str, dict[int, dict[str, int]]] = {}
        for name, hour, kind, count in rows:
            kinds.setdefault(name, {}).setdefault(hour * HOUR_NS, {})[kind] = count
        return {name: {at: _tally(counts) for at, counts in hours.items()} for name, hours in kinds.items()}

    def arrivals(self, site: str, device: str, t0: int, t1: int) -> dict[int, int]:
        """See Store.arrivals."""
        rows = self._db.execute(
            "SELECT hour, sum(count) FROM tally WHERE device = (SELECT id FROM device WHERE site = ? AND name = ?)"
            " AND hour >= ? AND hour < ? GROUP BY hour",
            (site, device, -(-t0 // HOUR_NS), -(-t1 // HOUR_NS)),
        )
        return {hour * HOUR_NS: written for hour, written in rows}

    def plans(self, site: str) -> dict[str, list[Plan]]:
        """See Store.plans."""
        found: dict[str, list[Plan]] = {}
        rows = self._db.execute(
            "SELECT name, since, plan.gateway, plan.info FROM plan JOIN device ON plan.device = device.id"
            " WHERE device.site = ? ORDER BY name, since",
            (site,),
        )
        for name, since, gateway, info in rows:
            plan = Plan(since, gateway, None if info is None else _device_info(info))
            found.setdefault(name, []).append(plan)
        return found

    def totals(self) -> Totals:
        """See Store.totals."""
        counts: dict[str, int] = dict(self._db.execute("SELECT name, value FROM total").fetchall())
        by_device = {
            (site, name): readings
            for site, name, readings in self._db.execute("SELECT site, name, readings FROM device ORDER BY site, name")
        }
        return Totals(
            readings=counts.get("readings", 0),
            faults=counts.get("faults", 0),
            parcels=counts.get("parcels", 0),
            redelivered_parcels=counts.get("redelivered_parcels", 0),
            ignored_readings=counts.get("ignored_readings", 0),
            by_device=by_device,
        )


def _tally(kinds: Mapping[str, int]) -> Tally:
    """See arriving.Arriving: `received`, `late`, `time:QUALITY`, `point:REASON` and `all:REASON`."""

    def of(scope: str) -> dict[str, int]:
        return {kind.removeprefix(scope): count for kind, count in kinds.items() if kind.startswith(scope)}

    return Tally(
        received=kinds.get("received", 0),
        late=kinds.get("late", 0),
        doubtful=of("time:"),
        points=of("point:"),
        sweeps=of("all:"),
    )


def _committed(stretches: Sequence[Stretch]) -> Committed:
    """Ascending stretches as the message of the newest epochs."""
    epochs: dict[int, list[tuple[int, int]]] = {}
    for stretch in stretches:
        epochs.setdefault(stretch.epoch, []).append((stretch.first, stretch.last))
    return Committed(epochs={epoch: tuple(epochs[epoch]) for epoch in sorted(epochs)[-_MAX_EPOCHS:]})


def _device_info(info: str) -> DeviceInfo:
    """Out of the JSON of one device, by the one decoder there is for it."""
    status: dict[str, Any] = {
        "version": VERSION,
        "state": State.ONLINE.value,
        "software": "",
        "epoch": 1,
        "at": 0,
        "counters": {},
        "devices": [json.loads(info)],
    }
    devices = decode_status(json.dumps(status).encode()).devices
    assert devices is not None
    return devices[0]
