"""ModbusReader: one sweep of a device, block by block, and what to make of blocks that fail."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from drivers.base import DeviceSilent, LinkDown, Request
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block, plan, split
from drivers.modbus.profile import Point, Profile
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.faults import Fault
from metering.quantities import Kind
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_SILENT = frozenset({Fault.TIMEOUT, Fault.EXCEPTION_10, Fault.EXCEPTION_11})
_TIMEOUTS_OF_A_SWEEP = 2
_ILLEGAL_ADDRESS = 2


class ModbusReader:
    """Reads `points` of one device; `ask` sends one block's request and returns its register bytes.

    A block refused as illegal address is read in two halves from the next sweep on: so one register the meter does not
    have costs its neighbours a sweep or two, not for ever. The number of requests never grows beyond four times the
    plan's.
    """

    def __init__(
        self,
        *,
        device: str,
        profile: Profile,
        points: Collection[Point],
        ask: Callable[[Block], Awaitable[bytes]],
        clock: Clock,
        log: EventLog,
    ) -> None:
        self._device = device
        self._profile = profile
        self._wanted = frozenset(point.name for point in points)
        self._ask = ask
        self._clock = clock
        self._log = log
        multipliers = {name for point in points for name in point.multiply_by}
        members = [point for name, point in profile.points.items() if name in self._wanted or name in multipliers]
        planned = plan(members, profile.limits, profile.points.values())
        self._most = 4 * len(planned) + 4
        # the stamp is that of the last reply, and the differences of counters are what is accounted: they come last
        self._set_blocks(sorted(planned, key=_counters))

    def _set_blocks(self, blocks: Sequence[Block]) -> None:
        self._blocks = tuple(blocks)
        self._decoder = SweepDecoder(self._blocks, self._wanted)

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
        """One sweep, stamped at the last reply. Raises DeviceSilent when nothing came, LinkDown when the link broke
        before anything came."""
        replies: list[bytes | Fault] = []
        refused: list[Block] = []
        taken_at: int | None = None
        bad: DeviceSilent | None = None
        timeouts = 0
        for block in self._blocks:
            try:
                replies.append(await self._ask(block))
                taken_at = self._clock.now_ns()
            except Refused as err:
                replies.append(err.fault)
                if err.fault in _SILENT:  # a gateway says that the device did not answer it
                    timeouts += 1
                    bad = bad or DeviceSilent(f"read {block}: {err}", err.fault)
                else:
                    taken_at = self._clock.now_ns()
                    if err.code == _ILLEGAL_ADDRESS:
                        refused.append(block)
            except DeviceSilent as err:
                replies.append(err.fault)
                timeouts += err.fault is Fault.TIMEOUT
                bad = bad or err
            except LinkDown:
                if taken_at is None:
                    raise
                replies.append(Fault.LINK_DOWN)
                break
            if timeouts >= (1 if taken_at is None else _TIMEOUTS_OF_A_SWEEP):
                break
        if taken_at is None:
            assert bad is not None
            raise bad
        if len(replies) < len(self._blocks):
            why = replies[-1]
            assert isinstance(why, Fault)
            replies += [why] * (len(self._blocks) - len(replies))
        values, faults, float32 = self._decoder.decode(replies)
        if refused:
            self._split(refused)
        return Sweep(device=self._device, taken_at=taken_at, values=values, faults=faults, float32=float32)

    def _split(self, refused: Collection[Block]) -> None:
        """Read the refused blocks in halves from now on, and say so."""
        blocks: list[Block] = []
        for block in self._blocks:
            parts = split(block, self._profile.limits) if block in refused else (block,)
            if len(parts) > 1 and len(self._blocks) < self._most:
                self._log.warning("block.split", block=str(block), into=", ".join(map(str, parts)))
                blocks += parts
            else:
                blocks.append(block)
        if len(blocks) != len(self._blocks):
            self._set_blocks(blocks)


def _counters(block: Block) -> tuple[bool, bool, bool]:
    """Sorts blocks without counters first, then those with them, with totals, and with the energy that is paid for."""
    counters = [point.name for point in block.points if point.quantity.kind is Kind.COUNTER]
    return (
        any(counters),
        any(name.endswith("_total") for name in counters),
        "energy_active_import_total" in counters,
    )
