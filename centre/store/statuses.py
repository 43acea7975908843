"""What gateways say of themselves: their state, their devices, and from when on each was to be read how."""

import json
from typing import Any

from centre.accounting.hours import NS
from centre.store.base import (
    EARLIEST_NS,
    GatewayKey,
)
from centre.store.rows import Rows
from metering.status import Status, encode_status


class Statuses(Rows):
    """Keeps what gateways say."""

    def write_status(self, key: GatewayKey, status: Status, received_at: int) -> bool:
        """See Store.write_status."""
        with self._transaction():
            gateway = self._gateway(key, received_at)
            before: tuple[object, ...] = self._db.execute(
                "SELECT state, software, epoch, counters FROM gateway WHERE id = ?", (gateway,)
            ).fetchone()
            now = (status.state.value, status.software, status.epoch, json.dumps(dict(status.counters)))
            changed = before[0] != now[0]
            if now != before:  # else it is what the broker retained: the gateway was not there to say it
                self._db.execute(
                    "UPDATE gateway SET state = ?1, software = ?2, epoch = ?3, counters = ?4, since = CASE WHEN ?5 THEN"
                    " ?6 ELSE since END, last_seen = max(last_seen, ?6) WHERE id = ?7",
                    (*now, changed, received_at, gateway),
                )
            if status.counters.get("parcels_pending") == 0:
                self._settle(gateway, status.epoch, status.counters.get("parcels_sealed", 0))
            if status.devices is not None:
                self._write_inventory(key, status)
        return changed

    def _settle(self, gateway: int, epoch: int, seq: int) -> None:
        """Note that the gateway holds no parcel up to this one."""
        self._db.execute(
            "UPDATE gateway SET settled_epoch = ?1, settled_seq = ?2"
            " WHERE id = ?3 AND (settled_epoch, settled_seq) < (?1, ?2)",
            (epoch, seq, gateway),
        )

    def _write_inventory(self, key: GatewayKey, status: Status) -> None:
        """Devices this gateway no longer names stay, without an inventory: their readings remain."""
        before = self._db.execute(
            "SELECT name FROM device WHERE site = ? AND gateway = ? AND info IS NOT NULL", key
        ).fetchall()
        encoded: dict[str, Any] = json.loads(encode_status(status))
        now: dict[str, str] = {device["name"]: json.dumps(device) for device in encoded["devices"]}
        since = _planned_since(status)
        for name in {name for (name,) in before} - now.keys():
            self._plan(self._device(key.site, name), since, key.gateway, None)
        self._db.execute("UPDATE device SET info = NULL WHERE site = ? AND gateway = ?", key)
        for name, info in now.items():
            device = self._device(key.site, name)
            self._plan(device, since, key.gateway, info)
            self._db.execute("UPDATE device SET gateway = ?, info = ? WHERE id = ?", (key.gateway, info, device))

    def _plan(self, device: int, since: int, gateway: str, info: str | None) -> None:
        """Note what is read of the device from `since` on, unless that is known."""
        known = self._db.execute(
            "SELECT gateway, info FROM plan WHERE device = ? AND since <= ? ORDER BY since DESC LIMIT 1",
            (device, since),
        ).fetchone()
        if known != (gateway, info):
            self._db.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?)", (device, since, gateway, info))


def _planned_since(status: Status) -> int:
    """The start of the agent: its epoch is the clock then, in seconds, unless its clock was wrong."""
    started = status.epoch * NS
    return started if EARLIEST_NS <= started <= status.at else status.at
