"""The broker of a simulated run under its weather, and the lies that someone tells through it."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from metering.topics import Topics, decode_committed
from support.sim_agent import GATEWAY, SITE
from support.sim_broker import SimBroker, not_authorised
from support.sim_ledger import Ledger
from support.sim_ports import epochs_on
from support.sim_schedule import Weather
from support.virtual_time import START_NS
from wattline.clock import NS

BROKER_SPELLS: Final = frozenset({"broker down", "broker killed", "broker slow", "broker mute"})
"""Spells at whose edges `FaultyBroker.follow` has to be called; the others it asks the weather for."""

_TOPICS: Final = Topics(SITE, GATEWAY)


class FaultyBroker(SimBroker):
    """Refuses, loses, delays and repeats as the weather says; tells the ledger what the agent sends."""

    def __init__(self, weather: Weather, chance: Random, ledger: Ledger) -> None:
        super().__init__()
        self._weather, self._chance, self._ledger = weather, chance, ledger
        self._lies: set[bytes] = set()
        self.keep_published = False
        self.witness = self._sent
        self.on_route, self.on_ack = self._heard, self._acked
        self.refuse, self.swallow = self._refuse, self._swallow
        self.ack_after_s, self.late_s, self.copies = self._ack_after_s, self._late_s, self._copies

    def follow(self) -> None:
        """Be up, down, slow or mute from now on, as the weather is."""
        size = self._weather.size
        killed = size("broker killed") is not None
        down = killed or size("broker down") is not None
        if down and self.up:
            self.go_down(forget=killed)
        elif not down and not self.up:
            self.come_up()
        slow = size("broker slow")
        self.delay_s = 0.02 if slow is None else 0.02 + 10.0 * slow
        self.mute = size("broker mute") is not None

    def _refuse(self, topic: str) -> Exception | None:
        refused = self._weather.size("topic refused") is not None and topic == _TOPICS.readings
        return not_authorised(topic) if refused else None

    def _swallow(self, topic: str) -> bool:
        size = self._weather.size
        if topic == _TOPICS.readings:
            some = size("broker loses some")
            return size("broker swallows") is not None or (some is not None and self._chance.random() < some)
        return topic == _TOPICS.committed and size("committed lost") is not None

    def _ack_after_s(self, topic: str) -> float:
        lost, late = self._weather.size("acks lost"), self._weather.size("acks late")
        if lost is not None and self._chance.random() < lost:
            return float("inf")
        return 0.0 if late is None else self._chance.uniform(0.0, 20.0 * late)

    def _late_s(self, topic: str) -> float:
        late = self._weather.size("committed late") if topic == _TOPICS.committed else None
        return 0.0 if late is None else 300.0 * late**2

    def _copies(self, topic: str) -> int:
        return 1 if self._weather.size("delivered twice") is None else self._chance.choice((1, 2, 3))

    # --- what nobody of ours said

    def _sent(self, topic: str, payload: bytes) -> None:
        if topic == _TOPICS.readings:
            self._ledger.sent(payload)

    def _heard(self, topic: str, payload: bytes) -> None:
        if topic == _TOPICS.committed and payload not in self._lies:
            self._ledger.deceived = False

    def _acked(self, topic: str, payload: bytes) -> None:
        if topic == _TOPICS.readings:
            self._ledger.acknowledged(payload)

    def forge(self, size: float) -> None:
        """A word of the store that is no JSON, of epochs that never were, or of what is not sent yet."""
        if size < 0.2:
            self._lie(b"\xff{not json")
        elif size < 0.5:
            self._lie(b'{"version":1,"epochs":{"7":[[1,4000000]],"99999999999999999999":[[1,2]]}}')
        else:
            self._lie(self._of_the_future())

    def _of_the_future(self) -> bytes:
        told = self.retained.get(_TOPICS.committed)
        epochs: dict[int, int] = {}
        with suppress(ValueError):
            if told is not None:
                epochs = {epoch: ranges[-1][1] for epoch, ranges in decode_committed(told).epochs.items() if ranges}
        newest = max(epochs, default=START_NS // NS)
        first = epochs.get(newest, 0) + 100_000
        return b'{"version":1,"epochs":{"%d":[[%d,%d]]}}' % (newest, first, first + 10**9)

    def deceive(self, spool: Path) -> None:
        """While the agent is down: a retained message says that the store has all that its spool holds."""
        epochs = {str(epoch): [[1, 1_000_000]] for epoch in epochs_on(spool)}
        if epochs:
            self._lie(json.dumps({"version": 1, "epochs": epochs}).encode())
            self._ledger.deceived = True

    def _lie(self, payload: bytes) -> None:
        self._lies.add(payload)
        self.route(_TOPICS.committed, payload, retain=True)
