"""Mutated Modbus TCP replies against the whole receive path of a TcpLink, in memory.

A value is wrong when the reply that carries it is not, byte for byte, a valid reply to this very request. Modbus TCP has
no checksum of its own: where a mutation changes nothing but the registers inside a valid reply, no receiver can tell.
Such reads are counted as `registers altered`, after the frame was found whole among the bytes that came.
"""

from random import Random

from fuzz.result import Progress, Result
from fuzz.rtu_port import truth
from fuzz.tcp_wire import Pieces, Wire, fields, framed

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.pdu import Refused

_EVERY = 2_000


def run(frames: int, seed: int, progress: Progress) -> Result:
    """Send `frames` mutated replies; the same seed sends the same ones."""
    rng, result = Random(seed), Result()
    server = _Server(rng)
    wire = Wire(server.answer)
    while result.frames < frames:
        result.frames += 1
        unit, function = rng.randrange(256), rng.choice((3, 4))
        count = rng.choice((1, 2, 2, 3, 4, 10, 40, 125))
        address = rng.randrange(0x10000 - count)
        try:
            data = wire.read(unit, function, address, count)
        except DeviceSilent as err:
            result.note(err.fault)
        except LinkDown:
            result.note("closed")
        except Refused as err:
            if server.came(framed(server.transaction, unit, bytes((function | 0x80, err.code)))):
                result.note("exceptions")
            else:
                result.wrong += 1
                result.blame(f"{err} from {server.last.hex(' ')}")
        except Exception as err:
            result.crashes += 1
            result.blame(f"{err!r} from {server.last.hex(' ')}")
            raise
        else:
            reply = framed(server.transaction, unit, bytes((function, 2 * count)) + data)
            if not server.came(reply):
                result.wrong += 1
                result.blame(f"{data.hex(' ')} from {server.last.hex(' ')}")
            elif data == truth(unit, function, address, count):
                result.accepted += 1
            else:
                result.note("registers altered")
        if result.frames % _EVERY == 0:
            progress(result.frames)
    result.notes["connections"] = wire.connections
    wire.close()
    return result


class _Server:
    """All units; every reply is mutated."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.transaction = 0
        self.last = b""
        self._earlier = b""

    def answer(self, request: bytes) -> Pieces:
        self.transaction, unit, function, address, count = fields(request)
        right = framed(self.transaction, unit, bytes((function, 2 * count)) + truth(unit, function, address, count))
        mutated = damaged if self._rng.randrange(2) else forged
        self._earlier, self.last = self.last, mutated(self._rng, right)
        return cut(self._rng, self.last)

    def came(self, frame: bytes) -> bool:
        """True when these bytes came whole, the end of an earlier reply included."""
        return frame in self.last or frame in self._earlier + self.last


def cut(rng: Random, data: bytes) -> Pieces:
    """`data` in one to four segments."""
    if not data or rng.randrange(3):
        return [data]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 4)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def damaged(rng: Random, frame: bytes) -> bytes:
    """`frame` with bits, bytes or parts of it changed, lost, added or doubled."""
    data, at = bytearray(frame), rng.randrange(len(frame))
    if rng.randrange(2):
        at = rng.randrange(9)  # the header is where it matters
    match rng.randrange(9):
        case 0:
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            data[at : at + 4] = rng.randbytes(len(data[at : at + 4]))
        case 3:
            del data[at:]
        case 4:
            del data[at : at + rng.randrange(1, 5)]
        case 5:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 6:
            data[at:at] = data[at : at + rng.randrange(1, 9)]
        case 7:
            data[:0] = frame[:at]
        case _:
            data += rng.randbytes(rng.randrange(1, 300))
    return bytes(data)


def forged(rng: Random, frame: bytes) -> bytes:
    """Well-formed frames around `frame` or in its place: of another unit, function, transaction or length."""
    transaction, unit, pdu = int.from_bytes(frame[:2], "big"), frame[6], frame[7:]
    old = (transaction - rng.randrange(1, 80)) & 0xFFFF
    never = (transaction + rng.randrange(1, 1000)) & 0xFFFF
    noise = rng.randbytes(len(pdu) - 2)
    match rng.randrange(10):
        case 0:
            return framed(transaction, unit ^ rng.randrange(1, 256), pdu)
        case 1:
            other = rng.choice((1, 2, 7 - pdu[0], 5, 6, 16, 0x80, 0x80 | 7 - pdu[0]))
            return framed(transaction, unit, bytes((other,)) + pdu[1:])
        case 2:
            registers = (pdu[2:] + pdu[2:] + bytes(4))[: max(0, len(pdu) - 2 + rng.choice((-4, -2, -1, 1, 2, 4)))]
            return framed(transaction, unit, bytes((pdu[0], len(registers) & 0xFF)) + registers)
        case 3:
            return framed(transaction, unit, bytes((pdu[0], rng.randrange(256))) + pdu[2:])
        case 4:
            return framed(transaction, unit, bytes((pdu[0] | 0x80,)) + rng.randbytes(rng.randrange(4)))
        case 5:
            return framed(never, unit, pdu)
        case 6:  # a late reply of the same shape, then the right one, in one segment
            return framed(old, unit, pdu[:2] + noise) + frame
        case 7:  # the other way round
            return frame + framed(old, unit, pdu[:2] + noise)
        case 8:
            return framed(0, unit, pdu[:2] + noise)
        case _:
            return frame + frame
