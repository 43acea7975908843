"""Mutated RTU replies against the whole receive path: RtuLine with its time-outs, windows and probes, in virtual time.

A value is wrong when the registers that a read returns are not those that a valid reply to this very request holds; so
is an exception that no meter sent. A mutation with a wrong checksum may by chance (2^-16 for errors beyond what CRC-16
is sure to see) come out as a frame that is right in unit, function, length and checksum, which no receiver can tell
from a reply. Such frames are found by a second, independent CRC and counted as `crc collisions`.
"""

from random import Random

from fuzz.result import Progress, Result
from fuzz.rtu_port import LINE, Sent, SimulatedPort, crc16_by_bits, sealed, truth

from drivers.modbus.pdu import BadReply, Refused
from drivers.modbus.rtu_line import RtuLine
from wattline.events import EventLog

_EVERY = 2_000
_LUMP = 16  # characters that an adapter hands on at once


def run(frames: int, seed: int, progress: Progress) -> Result:
    """Send `frames` mutated replies; the same seed sends the same ones."""
    rng, result = Random(seed), Result()
    bus = _Bus(rng, result)
    line = RtuLine(SimulatedPort(bus.answer, paced=True), LINE, EventLog(), turnaround_s=0.05, slow={})
    while result.frames < frames:
        unit, function = rng.randrange(1, 248), rng.choice((3, 4))
        count = rng.choice((1, 2, 2, 3, 4, 10, 40, 125))
        address = rng.randrange(0x10000 - count)
        try:
            data = line.read(unit, function, address, count, lambda: False)
        except BadReply as err:
            result.note(err.fault)
        except Refused as err:
            result.wrong += 1
            result.blame(f"{err} from {bus.last.hex(' ')}")
        except Exception as err:
            result.crashes += 1
            result.blame(f"{err!r} from {bus.last.hex(' ')}")
            raise
        else:
            if data == truth(unit, function, address, count):
                result.accepted += 1
            elif bus.collides(bytes((unit, function, 2 * count)) + data):
                result.note("crc collisions")
            else:
                result.wrong += 1
                result.blame(f"{data.hex(' ')} from {bus.last.hex(' ')}")
        if result.frames % _EVERY == 0:
            progress(result.frames)
    return result


class _Bus:
    """All 247 meters; every reply is mutated."""

    def __init__(self, rng: Random, result: Result) -> None:
        self._rng = rng
        self._result = result
        self._parts: list[bytes] = []
        self._free_at = 0.0
        self.last = b""

    def answer(self, request: bytes, now: float) -> Sent:
        unit, function = request[0], request[1]
        begin = now + 0.005
        if begin < self._free_at:
            return []  # another reply is still on the line
        address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        right = sealed(bytes((unit, function, 2 * count)) + truth(unit, function, address, count))
        if self._rng.randrange(2):
            self._parts, self.last = [], noisy(self._rng, right, request)
        else:
            self._parts = forged(self._rng, right)
            self.last = b"".join(self._parts)
        self._result.frames += 1
        self._free_at = begin + len(self.last) * LINE.character_s
        lumps = [self.last[at : at + _LUMP] for at in range(0, len(self.last), _LUMP)]
        return [(begin + (n * _LUMP + len(lump)) * LINE.character_s, lump) for n, lump in enumerate(lumps)]

    def collides(self, body: bytes) -> bool:
        """True when the accepted frame did arrive whole, and none of the frames sealed on purpose holds it."""
        frame = body + crc16_by_bits(body).to_bytes(2, "little")
        return frame in self.last and not any(frame in part for part in self._parts)


def noisy(rng: Random, frame: bytes, request: bytes) -> bytes:
    """`frame` as a bad line hands it on, its checksum as it was."""
    data, at = bytearray(frame), rng.randrange(len(frame))
    match rng.randrange(10):
        case 0:  # single bits
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:  # a burst
            data[at : at + 4] = rng.randbytes(len(data[at : at + 4]))
        case 2:  # broken off
            del data[at:]
        case 3:  # its beginning lost
            del data[: at + 1]
        case 4:  # bytes lost
            del data[at : at + rng.randrange(1, 5)]
        case 5:  # bytes that nobody sent
            data[at:at] = rng.randbytes(rng.randrange(1, 5))
        case 6:  # two bytes in the other's place
            other = rng.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        case 7:  # a part twice
            data[at:at] = data[at : at + rng.randrange(1, 9)]
        case 8:  # begun, broken off, begun again
            data[:0] = frame[:at]
        case _:  # our echo and garbage around it
            data[:0] = request + rng.randbytes(rng.randrange(4))
            data += rng.randbytes(rng.randrange(4))
    return bytes(data)


def forged(rng: Random, frame: bytes) -> list[bytes]:
    """Frames with right checksums, of which none is a reply to the request, and at most one part of a right one."""
    unit, function, size, data = frame[0], frame[1], frame[2], frame[3:-2]
    other_unit = sealed(bytes(((unit + rng.randrange(1, 255)) % 256,)) + frame[1:-2])
    other_function = sealed(
        bytes((unit, rng.choice((1, 2, 7 - function, 5, 6, 16, 0x80, 0x80 | 7 - function)))) + frame[2:-2]
    )
    registers = max(0, size // 2 + rng.choice((-2, -1, 1, 2)))
    resized = sealed(bytes((unit, function, 2 * registers & 0xFF)) + (data + data)[: 2 * registers])
    match rng.randrange(8):
        case 0:
            return [other_unit]
        case 1:
            return [other_function]
        case 2:  # the byte count is right for its length, and is not what was asked
            return [resized if 2 * registers & 0xFF != size else other_unit]
        case 3:  # the byte count is a lie
            return [sealed(bytes((unit, function, (size + rng.randrange(1, 256)) % 256)) + data)]
        case 4:  # cut, and sealed again
            return [sealed(frame[: rng.randrange(len(frame) - 2)])]
        case 5:  # an odd number of bytes
            return [sealed(frame[:2] + bytes((size - 1,)) + data[:-1])]
        case 6:  # a whole foreign frame before or behind half of the right one
            parts = [other_unit, frame[: rng.randrange(len(frame))]]
            rng.shuffle(parts)
            return parts
        case _:  # several at once
            parts = [other_unit, other_function, sealed(frame[:2] + b"\x00")]
            rng.shuffle(parts)
            return parts
