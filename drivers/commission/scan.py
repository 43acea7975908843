"""Which unit ids answer at one place, and what they are. Reads only, one at a time.

An exception is an answer: something lives there. Exceptions 10 and 11 are a gateway's word that nothing does.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from drivers.base import DeviceSilent, LinkDown
from drivers.commission.identify import Match, identify
from drivers.commission.ports import hint
from drivers.commission.words import fault_words
from drivers.modbus.bus import Link
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block
from drivers.modbus.profile import Profile, Table
from metering.faults import Fault
from wattline.clock import NS, Clock

_PROBE: Final = Block(table=Table.HOLDING, address=0, count=2, points=())
_GATEWAY: Final = frozenset({Fault.EXCEPTION_10, Fault.EXCEPTION_11})
_PATIENCE_S: Final = 3.0  # for the first silent unit: how long does the gateway itself wait before it says so?
_DEAF: Final = 8  # so many units, all with the same content: one meter that ignores the unit id
_GARBLED: Final = f"it answers, but wrongly: {fault_words(Fault.REPLY_CHECKSUM)}"
PAUSE_S: Final = 0.02  # between two requests to a meter; cheap converters need it


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundUnit:
    """A unit that answers: `said` to the first read, in words; the models it may be, best first. `clear`: what it said
    makes sense; not on a line at another baud rate, or where two meters share an id."""

    unit: int
    said: str
    matches: tuple[Match, ...] = ()
    clear: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """One place: what answers. `error` is why it could not be asked, or not to the end. `deaf`: one meter answers
    whatever unit id is asked for, and only the first is in `units`."""

    units: tuple[FoundUnit, ...] = ()
    asked: int = 0
    error: str | None = None
    deaf: bool = False

    @property
    def clear(self) -> bool:
        """True when a unit was understood."""
        return any(found.clear for found in self.units)


class Watcher(Protocol):
    """Hears how a scan goes."""

    def asking(self, done: int, of: int, left_s: float, what: str) -> None: ...
    def found(self, unit: int, said: str) -> None: ...


class Scanner:
    """Scans one place over `link`; a silent unit costs `timeout_s`, or as long as its gateway takes to say so.

    `wait` sets the patience of the link in seconds; without it (a serial line) there is no gateway to wait for.
    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        timeout_s: float,
        watcher: Watcher,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._timeout_s = timeout_s
        self._watcher = watcher
        self._wait = wait or _no_wait
        self._learned = wait is None
        self._patience_s = max(timeout_s, _PATIENCE_S)
        self._units: dict[int, FoundUnit] = {}
        self._asked = 0

    @property
    def so_far(self) -> Scanned:
        """What is known by now."""
        return Scanned(units=tuple(self._units.values()), asked=self._asked)

    async def scan(self, units: Sequence[int], profiles: Sequence[Profile]) -> Scanned:
        """All `units`; `profiles` are the models to try, none: unit ids only."""
        said: dict[int, bytes | str] = {}
        began = self._clock.monotonic()
        try:
            await self._link.open()
            for done, unit in enumerate(units):
                each_s = (self._clock.monotonic() - began) / done if done else self._timeout_s
                self._watcher.asking(done, len(units), each_s * (len(units) - done), f"unit {unit}")
                answer = await self._probe(unit)
                self._asked = done + 1
                if answer is not None:
                    said[unit] = answer
                    self._units[unit] = FoundUnit(unit=unit, said=_words(answer), clear=answer != _GARBLED)
                    self._watcher.found(unit, _words(answer))
            deaf = len(said) >= _DEAF and len(said) == len(units) and len(set(said.values())) == 1
            if deaf:
                self._units = dict([next(iter(self._units.items()))])
            await self._identify(profiles)
            return replace(self.so_far, deaf=deaf)
        except LinkDown as err:
            return replace(self.so_far, error=hint(err))
        finally:
            await self._link.close()

    async def _identify(self, profiles: Sequence[Profile]) -> None:
        self._wait(self._timeout_s)
        waiting = [found for found in self._units.values() if found.clear] if profiles else []
        began = self._clock.monotonic()
        for place, found in enumerate(waiting):

            def tell(done: int, unit: int = found.unit, place: int = place) -> None:
                all_done, of = place * len(profiles) + done, len(waiting) * len(profiles)
                each_s = (self._clock.monotonic() - began) / all_done if all_done else 0.0
                self._watcher.asking(all_done, of, each_s * (of - all_done), f"what is unit {unit}?")

            matches = await identify(self._asker(found.unit), profiles, tell)
            self._units[found.unit] = replace(found, matches=matches)
            if matches:
                self._watcher.found(found.unit, f"{matches[0].profile.manufacturer} {matches[0].profile.model}")

    def _asker(self, unit: int) -> Callable[[Block], Awaitable[bytes]]:
        async def ask(block: Block) -> bytes:
            await self._clock.sleep_until(self._clock.now_ns() + round(PAUSE_S * NS))
            return await self._ask(unit, block)

        return ask

    async def _probe(self, unit: int) -> bytes | str | None:
        """What the unit answers: registers, or words; None when nothing does."""
        self._wait(self._timeout_s if self._learned else self._patience_s)
        began = self._clock.monotonic()
        try:
            return await self._ask(unit, _PROBE)
        except Refused as err:
            if err.fault in _GATEWAY:
                self._learn(self._clock.monotonic() - began)
                return None
            return f"it answers, with exception {err.code}"
        except DeviceSilent as err:
            if err.fault is Fault.REPLY_CHECKSUM:
                return _GARBLED
            if err.fault is not Fault.TIMEOUT:
                return f"it answers, but wrongly: {fault_words(err.fault)}"
            self._learn(0.0)
            return None

    def _learn(self, gateway_s: float) -> None:
        """Wait for silent units as long as this gateway takes, before the next one is asked: it cannot do both."""
        self._learned = True
        self._timeout_s = max(self._timeout_s, 1.5 * gateway_s)

    async def _ask(self, unit: int, block: Block) -> bytes:
        """The reply, over a new connection where the old one was closed; raises LinkDown when there is none at all."""
        for _ in range(2):
            try:
                return await self._link.read(unit, block.table.function, block.address, block.count)
            except LinkDown:
                # our link closes after some silence, and some meters hang up on a unit id that is not theirs
                await self._link.open()
        raise DeviceSilent(f"read {block}, unit {unit}: the other side hangs up", Fault.TIMEOUT)


def _no_wait(_seconds: float) -> None:
    """A serial line waits as it was made to."""


def _words(answer: bytes | str) -> str:
    return answer if isinstance(answer, str) else "it answers"
