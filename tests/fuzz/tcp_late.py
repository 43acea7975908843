"""Late, doubled and reordered replies on TCP: each read gets the reply to itself, or none. In memory.

Every reply carries the number of its request in its registers, so a reply that answers another request shows.
"""

from random import Random

from fuzz.result import Progress, Result
from fuzz.tcp_frames import cut
from fuzz.tcp_wire import Pieces, Wire, fields, framed

from drivers.base import DeviceSilent, LinkDown

_EVERY = 2_000
_COUNT = 4  # registers: the number of the request in 8 bytes


def run(frames: int, seed: int, progress: Progress) -> Result:
    """Deliver `frames` replies late, again, or before their turn; the same seed delivers the same ones."""
    rng, result = Random(seed), Result()
    server = _Server(rng, result)
    wire = Wire(server.answer)
    while result.frames < frames:
        server.number += 1
        before = wire.connections
        try:
            data = wire.read(1, 3, 0, _COUNT)
        except (DeviceSilent, LinkDown) as err:
            result.note(err.fault if isinstance(err, DeviceSilent) else "closed")
        except Exception as err:
            result.crashes += 1
            result.blame(f"{err!r} at request {server.number}")
            raise
        else:
            if int.from_bytes(data, "big") == server.number:
                result.accepted += 1
            else:
                result.wrong += 1
                result.blame(f"request {server.number} was given the reply to {int.from_bytes(data, 'big')}")
        if wire.connections == before and not rng.randrange(4):
            wire.feed(server.late())  # while nothing is asked
        if server.number % _EVERY == 0:
            progress(min(result.frames, frames))
    result.notes["connections"] = wire.connections
    wire.close()
    return result


class _Server:
    """Keeps a third of the replies for later, and sends some twice."""

    def __init__(self, rng: Random, result: Result) -> None:
        self.number = 0
        self._rng = rng
        self._result = result
        self._held: list[bytes] = []

    def answer(self, request: bytes) -> Pieces:
        transaction, unit, function, _, count = fields(request)
        assert count == _COUNT
        if transaction == 1:
            self._held.clear()  # a new connection: those of the old one went with it
        reply = framed(transaction, unit, bytes((function, 2 * count)) + self.number.to_bytes(2 * count, "big"))
        fate = self._rng.randrange(6)
        if fate < 2:
            self._held.append(reply)
            return self.late() if fate else []
        if fate == 2:
            self._held.append(reply)  # and again, later
        data = [reply, *self.late()]
        self._rng.shuffle(data)
        return cut(self._rng, b"".join(data))

    def late(self) -> Pieces:
        """Some of what was held, in any order."""
        self._rng.shuffle(self._held)
        some = self._rng.randrange(len(self._held) + 1)
        out, self._held = self._held[:some], self._held[some:]
        self._result.frames += some
        return out
