"""Meters on a serial line, as a process of its own: a pseudo terminal that takes the time a wire would.

A terminal has no speed, so the process keeps the time itself: a request is complete 8 characters after it arrived,
its reply begins 3.5 characters later (no turnaround) and comes in lumps of 16 characters, as a UART hands them on. It
stays awake around every moment that counts, so give it a core, and goes before other programs where it may (root). In
between it sleeps, for the kernel's workers, who carry the bytes, need the core too. It writes the path of the terminal,
ends when its standard input does, and then writes what it saw as one line of JSON.
"""

import json
import os
import pty
import select
import sys
import time
import tty
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # -P and PYTHONSAFEPATH leave them out

from drivers.modbus.rtu_frame import is_sealed, sealed  # noqa: E402
from drivers.modbus.serial_line import SerialLine  # noqa: E402

_REQUEST = 8
_LUMP = 16
_AWAKE_S = 0.0002  # so long before its time it stops sleeping
_EXPECT_S = 0.0005  # so long after a silence it does not sleep


class Slave:
    """All units but `dead` answer. `dead_until`: when that one returns, monotonic seconds; None is never."""

    def __init__(self, line: SerialLine, dead: int) -> None:
        self._character_s = line.character_s
        self._silence_s = line.silence_s
        self._dead = dead
        self.dead_until: float | None = None
        self._master, port = pty.openpty()
        tty.setraw(port)
        self.path = os.ttyname(port)
        os.close(port)
        os.set_blocking(self._master, False)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)
        self._poll.register(sys.stdin.fileno(), select.POLLIN)
        self._quiet_from = float("-inf")
        self.requests: list[tuple[float, int]] = []
        self.shortest_silence_s = float("inf")
        self.broken_silences = 0
        self.bad_requests = 0
        self._replies: dict[bytes, bytes] = {}

    def run(self) -> None:
        """Serve until standard input ends; a line on it brings the dead unit back."""
        while True:
            request, at = self._next()
            if request is None:
                return
            self._note(request, at)
            unit = request[0]
            asked_at = at + len(request) * self._character_s
            self._quiet_from = asked_at
            if unit != self._dead or self.dead_until is not None:
                self._send(self._reply(request), asked_at + self._silence_s)

    def _next(self) -> tuple[bytes | None, float]:
        # a request that breaks the silence is found at the end of this sleep, and that is still too early for it
        silent_at = self._quiet_from + self._silence_s
        if (left_s := silent_at - _AWAKE_S - time.monotonic()) > 0:
            time.sleep(left_s)
        awake_until = silent_at + _EXPECT_S
        while True:
            try:
                return os.read(self._master, 4096), time.monotonic()
            except BlockingIOError:
                pass
            except OSError:  # nobody has the terminal open
                time.sleep(0.001)
            at = time.monotonic()
            if at > awake_until:
                ready = {fd for fd, _ in self._poll.poll()}
                if sys.stdin.fileno() in ready and self._told():
                    return None, at

    def _told(self) -> bool:
        """True when it is to end."""
        if not sys.stdin.readline():
            return True
        self.dead_until = time.monotonic()
        return False

    def _note(self, request: bytes, at: float) -> None:
        silence_s = at - self._quiet_from
        self.shortest_silence_s = min(self.shortest_silence_s, silence_s)
        self.broken_silences += silence_s < self._silence_s
        self.bad_requests += len(request) != _REQUEST or not is_sealed(request)
        self.requests.append((at, request[0]))

    def _reply(self, request: bytes) -> bytes:
        reply = self._replies.get(request)
        if reply is None:
            count = int.from_bytes(request[4:6], "big")
            words = b"".join((0x4200 + n if n % 2 == 0 else 0).to_bytes(2, "big") for n in range(count))  # floats
            reply = self._replies[request] = sealed(bytes((request[0], request[1], 2 * count)) + words)
        return reply

    def _send(self, reply: bytes, begin: float) -> None:
        for at in range(0, len(reply), _LUMP):
            lump = reply[at : at + _LUMP]
            _sleep_until(begin + (at + len(lump)) * self._character_s)
            self._quiet_from = time.monotonic()
            os.write(self._master, lump)


def _sleep_until(at: float) -> None:
    """To the microsecond: the last moments are spent awake."""
    if (left_s := at - time.monotonic()) > _AWAKE_S:
        time.sleep(left_s - _AWAKE_S)
    while time.monotonic() < at:
        pass


def main() -> int:
    """Usage: rtu_slave.py LINE DEAD_UNIT CORE."""
    line, dead, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    slave = Slave(SerialLine.parse(line), int(dead))
    print(slave.path, flush=True)
    slave.run()
    seen = {
        "requests": slave.requests,
        "shortest_silence_s": slave.shortest_silence_s,
        "broken_silences": slave.broken_silences,
        "bad_requests": slave.bad_requests,
        "back_at": slave.dead_until,
    }
    print(json.dumps(seen), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
