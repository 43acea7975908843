"""ModbusReader: one sweep of a device, block by block, and what to make of blocks that fail."""

from collections.abc import Callable, Collection, Sequence

from drivers.base import DeviceSilent, LinkDown, Request
from drivers.modbus.pdu import Refused
from drivers.modbus.pipeline import Ask, Pipeline
from drivers.modbus.profile import Computed, Point, Profile
from drivers.modbus.read_plan import REFUSALS, ReadPlan
from drivers.modbus.refusals import Refusals
from drivers.modbus.sunspec import Place, locate, placed
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.faults import Fault
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_SILENT = frozenset({Fault.TIMEOUT, Fault.EXCEPTION_10, Fault.EXCEPTION_11})
_TIMEOUTS_OF_A_SWEEP = 2


class ModbusReader:
    """Reads `points` of one device; `ask` sends one block's request and returns its register bytes.

    A block refused as illegal is read in two halves from the next sweep on: so one register the meter does not have
    costs its neighbours a sweep or two, not for ever; see read_plan. `refusals` and `place` are those of the device,
    shared by its readers. `gap` tells what plan() takes as `worthwhile_gap`; `at_once` how many requests may be under
    way.
    """

    def __init__(
        self,
        *,
        device: str,
        profile: Profile,
        points: Collection[Point | Computed],
        ask: Ask,
        clock: Clock,
        log: EventLog,
        refusals: Refusals | None = None,
        place: Place | None = None,
        gap: Callable[[], int | None] = lambda: None,
        at_once: Callable[[], int] = lambda: 1,
    ) -> None:
        self._device = device
        self._profile = profile
        self._wanted = frozenset(point.name for point in points)
        self._ask = ask
        self._clock = clock
        self._log = log
        self._computed = tuple(point for point in points if isinstance(point, Computed))
        self._refusals = refusals or Refusals()
        self._gap_of = gap
        self._at_once = at_once
        self._place = place or Place()
        self._planned_at: int | None = None
        self._steady = False
        self._make_plan(profile)

    def _make_plan(self, profile: Profile) -> None:
        self._gap = self._gap_of()
        self._plan = ReadPlan(profile, self._wanted, self._refusals, self._gap)
        self._prepare()

    def _prepare(self) -> None:
        """The decoder of the blocks as they now are; what is in quarantine is a block that always brings its fault."""
        self._blocks = self._plan.blocks
        self._shut = [fault for _, fault in self._plan.shut]
        self._decoder = SweepDecoder(
            (*self._blocks, *(block for block, _ in self._plan.shut)), self._wanted, self._computed
        )

    @property
    def requests(self) -> Sequence[Request]:
        """The poll plan, in order."""
        return tuple(
            Request(
                what=str(block),
                points=sum(point.name in self._wanted for point in block.points),
                registers=block.count,
            )
            for block in self._blocks
        )

    async def read(self) -> Sweep:
        """One sweep, stamped at the last reply.

        Raises DeviceSilent when nothing came, LinkDown when the link broke before anything came.
        """
        if self._profile.sunspec and not (self._place.sure and self._place.at == self._planned_at):
            await self._look_where()
        elif self._plan.stale or self._gap_of() != self._gap:
            self._gap = self._gap_of()
            self._plan.renew(self._gap)
            self._prepare()
        self._place.sure = False
        sweep = await self._read_blocks()
        self._place.sure = True
        return sweep

    async def _look_where(self) -> None:
        """Plan the reads for where the device has its SunSpec model."""
        at = self._place.at
        if at is None or not self._place.sure:
            at = self._place.at = await locate(self._profile.sunspec, self._ask, at)
        if at != self._planned_at:
            self._make_plan(placed(self._profile, at))
            self._planned_at = at

    async def _read_blocks(self) -> Sweep:
        if len(self._blocks) > 1 and (at_once := self._at_once()) > 1:
            async with Pipeline(self._ask, self._blocks, at_once) as pipeline:
                return await self._sweep(pipeline.ask)
        return await self._sweep(self._ask)

    async def _sweep(self, ask: Ask) -> Sweep:
        steady, self._steady = self._steady, False
        replies: list[bytes | Fault] = []
        taken_at: int | None = None
        bad: DeviceSilent | None = None
        timeouts = 0
        refused = False
        for block in self._blocks:
            try:
                replies.append(await ask(block))
            except (Refused, DeviceSilent) as err:
                replies.append(err.fault)
                if isinstance(err, DeviceSilent) or err.fault in _SILENT:  # a gateway may say that it did not answer
                    bad = bad or DeviceSilent(str(err), err.fault)
                    timeouts += err.fault in _SILENT
                    if timeouts >= (1 if taken_at is None else _TIMEOUTS_OF_A_SWEEP):
                        break
                    continue
                refused = refused or err.fault in REFUSALS
            except LinkDown:
                if taken_at is None:
                    raise
                replies.append(Fault.LINK_DOWN)
                break
            taken_at = self._clock.now_ns()
        if taken_at is None:
            assert bad is not None
            raise bad
        if len(replies) < len(self._blocks):
            why = replies[-1]
            assert isinstance(why, Fault)
            replies += [why] * (len(self._blocks) - len(replies))
        values, faults, float32 = self._decoder.decode([*replies, *self._shut] if self._shut else replies)
        if refused or self._plan.learning:
            await self._learn(replies, ask_more=steady and not timeouts)
        self._steady = True
        return Sweep(device=self._device, taken_at=taken_at, values=values, faults=faults, float32=float32)

    async def _learn(self, replies: Sequence[bytes | Fault], *, ask_more: bool) -> None:
        """Let the plan learn from this sweep, and ask one block more where that teaches something.

        Not of a device that did not answer just now: its sweep must not wait, nor be lost, for that.
        """
        tell = self._log.warning
        self._plan.swept(replies, self._clock.now_ns(), tell)
        if ask_more and (block := self._plan.trial(self._clock.now_ns())) is not None:
            fault: Fault | None = None
            try:
                await self._ask(block)
            except (Refused, DeviceSilent) as err:
                fault = err.fault
            except LinkDown:
                fault = Fault.LINK_DOWN
            self._plan.tried(block, fault, self._clock.now_ns(), tell)
        if self._plan.blocks is not self._blocks:
            self._prepare()
