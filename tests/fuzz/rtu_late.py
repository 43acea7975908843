"""Late and reordered RTU replies against RtuLine in virtual time: none may become the value of another request.

RTU has no transaction id, so this rests on two facts about meters, which the simulated ones have too: a meter works off
its requests in their order, and none answers later than rtu_debts.FORGOTTEN_S. Replies of different meters come in any
order. A meter may lose requests, think longer than the time-out, or refuse.
"""

from random import Random

from fuzz.result import Progress, Result
from fuzz.rtu_port import LINE, Sent, SimulatedPort, sealed, truth

from drivers.modbus.pdu import BadReply, Refused
from drivers.modbus.rtu_debts import FORGOTTEN_S
from drivers.modbus.rtu_line import RtuLine
from wattline.events import EventLog

TURNAROUND_S = 0.1
_EVERY = 2_000


def run(frames: int, seed: int, progress: Progress) -> Result:
    """Read until `frames` replies came later than they were waited for; `frames` of the result counts those."""
    rng, result = Random(seed), Result()
    while result.frames < frames:
        meters = _Meters(rng, result)
        port = SimulatedPort(meters.answer, paced=bool(rng.randrange(2)))
        line = RtuLine(port, LINE, EventLog(), turnaround_s=TURNAROUND_S, slow={})
        shapes = [(rng.choice((3, 4)), rng.choice((1, 2, 2, 2, 3, 10))) for _ in range(3)]
        for _ in range(1000):
            _read(line, rng, result, shapes)
            if rng.randrange(20) == 0:
                port.sleep(rng.choice((0.05, 0.5, 5.0)))
        progress(result.frames)
    return result


def _read(line: RtuLine, rng: Random, result: Result, shapes: list[tuple[int, int]]) -> None:
    unit, (function, count), address = rng.randrange(1, 4), rng.choice(shapes), rng.randrange(0x8000)
    given_up_after = rng.randrange(3) if rng.randrange(10) == 0 else 1 << 30
    calls = 0

    def given_up() -> bool:
        nonlocal calls
        calls += 1
        return calls > given_up_after

    try:
        data = line.read(unit, function, address, count, given_up)
    except BadReply as err:
        result.note(err.fault)
    except Refused as err:
        if not refuses(unit, function, address):
            result.wrong += 1
            result.blame(f"{err} of unit {unit}, which does not refuse {function}:{address}+{count}")
        else:
            result.note("refused")
    except Exception as err:
        result.crashes += 1
        result.blame(repr(err))
        raise
    else:
        if data == truth(unit, function, address, count) and not refuses(unit, function, address):
            result.accepted += 1
        else:
            result.wrong += 1
            result.blame(f"{data.hex(' ')} is not {function}:{address}+{count} of unit {unit}")


def refuses(unit: int, function: int, address: int) -> bool:
    return truth(unit, function, address, 1)[0] < 40


class _Meters:
    """Each with a queue of its own, and moods: quick, slow for a while, away for a while."""

    def __init__(self, rng: Random, result: Result) -> None:
        self._rng = rng
        self._result = result
        self._done: dict[int, float] = {}
        self._delay_s: dict[int, float] = {}

    def answer(self, request: bytes, now: float) -> Sent:
        rng, unit, function = self._rng, request[0], request[1]
        address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if rng.randrange(8) == 0:
            self._delay_s[unit] = rng.choice((0.0, 0.0, 0.01, 0.05, 0.2, 0.3, 0.5, 1.0, 3.0))
        if rng.randrange(12) == 0:
            return []
        pdu = bytes((function, 2 * count)) + truth(unit, function, address, count)
        if refuses(unit, function, address):
            pdu = bytes((function | 0x80, 2))
        frame = sealed(bytes((unit,)) + pdu)
        thinks_s = self._delay_s.get(unit, 0.0) * rng.uniform(0.8, 1.2)
        at = max(now, self._done.get(unit, 0.0)) + LINE.silence_s + thinks_s + len(frame) * LINE.character_s
        if at > now + FORGOTTEN_S - 1.0:
            return []  # its queue is full
        self._done[unit] = at
        if thinks_s > TURNAROUND_S:
            self._result.frames += 1
        return [(at, frame)]
