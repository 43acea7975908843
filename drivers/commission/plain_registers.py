"""Registers of a unit nobody has described: read in parts, with the ones it refuses left out and the reason kept."""

from dataclasses import dataclass, field

from drivers.base import DeviceSilent, LinkDown
from drivers.commission.ports import hint
from drivers.commission.target import Range
from drivers.modbus.bus import Link
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block
from metering.faults import Fault

_ILLEGAL = frozenset({Fault.EXCEPTION_2, Fault.EXCEPTION_3, Fault.EXCEPTION_4})
_MOST_REQUESTS = 400


@dataclass(slots=True)
class Registers:
    """What was read: 2 bytes by address, and why the others are absent. `error`: the unit or the link failed."""

    words: dict[int, bytes] = field(default_factory=dict[int, bytes])
    absent: dict[int, Fault] = field(default_factory=dict[int, Fault])
    error: str | None = None


async def read_registers(link: Link, unit: int, wanted: Range, *, most: int = 40) -> Registers:
    """All registers of the range that the unit gives, on an open link.

    A refused read is halved until the refusing registers stand alone, in at most 400 requests.
    """
    found = Registers()
    waiting = list(reversed(wanted.parts(most)))
    for _ in range(_MOST_REQUESTS):
        if not waiting:
            break
        part = waiting.pop()
        try:
            data = await link.read(unit, part.table.function, part.address, part.count)
        except Refused as err:
            if err.fault in _ILLEGAL and part.count > 1:
                waiting += reversed(_halves(part))
                continue
            _absent(found, part, err.fault)
        except DeviceSilent as err:
            _absent(found, part, err.fault)
            found.error = found.error or str(err)
            if not found.words:
                break
        except LinkDown as err:
            _absent(found, part, Fault.LINK_DOWN)
            found.error = found.error or hint(err)
            break
        else:
            found.words.update((part.address + n, data[2 * n : 2 * n + 2]) for n in range(part.count))
    for part in waiting:
        _absent(found, part, Fault.OVERRUN if found.error is None else Fault.BACKOFF)
    return found


def _halves(part: Block) -> tuple[Block, Block]:
    """Two parts, the first of even length where that is possible: most longer values stand in pairs."""
    half = max(part.count // 2, 1)
    if part.count > 2:
        half += half % 2
    return (
        Block(table=part.table, address=part.address, count=half, points=()),
        Block(table=part.table, address=part.address + half, count=part.count - half, points=()),
    )


def _absent(found: Registers, part: Block, fault: Fault) -> None:
    found.absent.update(dict.fromkeys(range(part.address, part.address + part.count), fault))
