"""RtuLine: one read after the other on an open serial port, with RTU's silences, time-outs and guards. Blocking.

Source: MODBUS over Serial Line V1.02, 2.4 and 2.5.
"""

from collections.abc import Callable
from typing import Final, Protocol

from drivers.modbus.pdu import BadReply, Refused, read_request, registers_of
from drivers.modbus.rtu_debts import Debts
from drivers.modbus.rtu_frame import EXCEPTION_LENGTH, explain, find_reply, reply_length, sealed
from drivers.modbus.serial_line import SerialLine
from metering.faults import Fault
from wattline.events import EventLog

_LATE_WINDOW_S: Final = 0.05  # so long the line is left alone after a failure
_CLASH_WINDOW_S: Final = 0.2  # so long after its request a second meter at the same address is listened for
_GAP_S: Final = 0.05  # between two bytes of a reply; USB adapters deliver in lumps
_SPARE_S: Final = 1.0  # beyond twice its own length, what a whole reply may take
_LATENCY_S: Final = 0.02  # so late an adapter may hand on the first byte of a reply
_NOISE_S: Final = 0.5  # beyond the longest frame, so long a line may stay noisy before a request is given up
_LONGEST: Final = 256  # characters of a frame
_FIRST_GUESS_S: Final = 0.02
_LONG_S: Final = 0.01  # beyond this a sleep is one that `wake` can end
_MOST: Final = 1024  # bytes of one answer, garbage included


class Port(Protocol):
    """What a line needs of a port; SerialPort is one. Every method raises LinkDown when the port is gone."""

    @property
    def paced(self) -> bool: ...
    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def doze(self, seconds: float) -> None: ...
    def write(self, data: bytes) -> None: ...
    def read(self) -> bytes: ...
    def wait(self, until: float, at_least: int = 1) -> bool: ...
    def check_still_there(self) -> None: ...


GivenUp = Callable[[], bool]
"""True when nobody waits for the reply any more."""


class RtuLine:
    """`turnaround_s` of a unit is how long it may think; `slow` names those that may think longer than the rest."""

    def __init__(
        self,
        port: Port,
        line: SerialLine,
        log: EventLog,
        *,
        turnaround_s: float,
        slow: dict[int, float],
        debts: Debts | None = None,
    ) -> None:
        """`debts` are those that an earlier connection left: its late replies may come on this one."""
        self._port = port
        self._character_s = line.character_s
        self._silence_s = line.silence_s
        self._log = log
        self._turnaround_s = turnaround_s
        self._slow = slow
        self._usual_s: dict[int, float] = {}
        self._debts = debts or Debts()
        self._alone: set[int] = set()  # units that were listened to until a second meter would have answered
        self._answered: tuple[bytes, int] | None = None  # the last request, if its reply was right, and its count
        self._after = b""  # what came behind that reply
        self._quiet_from = port.now()  # when the last byte was seen
        self._quiet_until = self._quiet_from  # no request before this

    def read(self, unit: int, function: int, address: int, count: int, given_up: GivenUp) -> bytes:
        """The register bytes; raises LinkDown, BadReply or Refused."""
        if self._debts.owes(unit, self._port.now()):
            self._probe(unit, function, address, given_up)
        return self._exchange(unit, function, address, count, given_up)

    def _probe(self, unit: int, function: int, address: int, given_up: GivenUp) -> None:
        """Return when nothing older than now can come from the unit; raises BadReply when that cannot be told."""
        for probed, count in self._debts.probes(unit, function):
            try:
                self._exchange(unit, probed, min(address, 0x10000 - count), count, given_up)
            except Refused:
                if self._debts.owes_to(unit, probed):
                    self._debts.missed(unit, probed, count, self._port.now())  # perhaps its answer is yet to come
                    continue
            self._debts.answered(unit)
            return
        raise BadReply("every answer may be a late one", Fault.TIMEOUT)

    def _exchange(self, unit: int, function: int, address: int, count: int, given_up: GivenUp) -> bytes:
        request = sealed(bytes((unit,)) + read_request(function, address, count))
        self._wait_for_silence(given_up)
        self._after = b""
        try:
            sent_at = self._send(request)
            pdu = self._receive(request, count, sent_at, given_up)
        except BadReply as err:
            now = self._port.now()
            self._answered = None
            self._debts.missed(unit, function, count, now)
            self._quiet_until = now + _LATE_WINDOW_S
            if err.fault is Fault.TIMEOUT:
                self._port.check_still_there()
            raise
        self._answered = request, count
        return registers_of(pdu, function, count)

    def _wait_for_silence(self, given_up: GivenUp) -> None:
        """Return when the line has been silent for 3.5 characters, and is not to be left alone; drops what comes."""
        port = self._port
        noisy_until = max(port.now(), self._quiet_until) + _LONGEST * self._character_s + _NOISE_S
        while True:
            silent_at = max(self._quiet_until, self._quiet_from + self._silence_s)
            if given_up():
                raise BadReply("given up before it was sent", Fault.TIMEOUT)
            self._sleep_until(silent_at)
            if unasked := port.read():
                self._quiet_from = port.now()
                self._log.debug("frame.unasked", frame=unasked.hex(" "))
                self._after += unasked
                if self._answered is None:  # the rest of a reply that was given up, and it comes in lumps
                    self._quiet_until = self._quiet_from + _GAP_S
                self._doubt(self._after)
                if self._quiet_from > noisy_until:
                    raise BadReply("the line is never silent", Fault.REPLY_TRANSACTION)
            elif port.now() >= silent_at:
                return

    def _doubt(self, unasked: bytes) -> None:
        """Listen on at its next read when the unit that answered last answers once more: a second meter?"""
        if self._answered is not None and find_reply(unasked, *self._answered) is not None:
            self._alone.discard(self._answered[0][0])

    def _sleep_until(self, at: float) -> None:
        left_s = at - self._port.now()
        if left_s > _LONG_S:
            self._port.wait(at - _LONG_S / 2, _MOST)
        elif left_s > 0:
            self._port.doze(left_s)

    def _send(self, request: bytes) -> float:
        """When the last byte has left. What comes before that is our echo or a late reply, no answer: it is dropped."""
        port = self._port
        if self._log.debugging:
            self._log.debug("frame.sent", frame=request.hex(" "))
        port.write(request)
        sent_at = port.now() + len(request) * self._character_s
        while (left_s := sent_at - port.now()) > 0:
            port.sleep(left_s)
        self._quiet_from = sent_at
        if port.paced and port.now() < sent_at + self._silence_s:
            early = port.read()
            if early and early != request:
                self._log.debug("frame.unasked", frame=early.hex(" "))
                self._doubt(early)
        return sent_at

    def _receive(self, request: bytes, count: int, sent_at: float, given_up: GivenUp) -> bytes:
        """The PDU of the reply; raises BadReply. Sleeps until all of it should be there, then looks more closely."""
        port, unit, wanted = self._port, request[0], reply_length(count)
        reply_s = wanted * self._character_s
        answer_by = sent_at + self._slow.get(unit, self._turnaround_s) + self._silence_s + _LATENCY_S
        last_by = answer_by + 2 * reply_s + _SPARE_S
        usual_s = self._usual_s.get(unit, _FIRST_GUESS_S)
        data, give_up_at = b"", answer_by
        port.wait(min(answer_by, sent_at + self._silence_s + 1.25 * usual_s + 1.1 * reply_s), wanted)
        while True:
            chunk = port.read()
            now = port.now()
            if chunk:
                data += chunk
                self._quiet_from = now
                found = find_reply(data, request, count)
                if found is not None:
                    self._learn(unit, now - sent_at - self._silence_s - reply_s)
                    self._doubt(data[: found[1] - len(found[0]) - 3])
                    self._after = data[found[1] :]
                    if unit not in self._alone:
                        self._listen_on(request, count, sent_at, given_up)
                    self._tell(data, found[1])
                    if find_reply(self._after, request, count) is not None:
                        self._alone.discard(unit)
                        raise BadReply("two answers: two meters have this unit id", Fault.CLASH)
                    return found[0]
                give_up_at = min(last_by, max(answer_by, now + _GAP_S))
            if now >= give_up_at or given_up() or len(data) > _MOST:
                break
            port.wait(give_up_at, max(1, wanted - len(data)) if data else EXCEPTION_LENGTH)
        self._tell(data, len(data))
        if data and data != request:
            raise explain(data, request, count)
        heard = "only our own echo" if data else "no reply"
        raise BadReply(f"{heard} in {port.now() - sent_at:.3f} s", Fault.TIMEOUT)

    def _listen_on(self, request: bytes, count: int, sent_at: float, given_up: GivenUp) -> None:
        """Wait as long as a second meter may think, for a unit that never answered yet or did not answer alone."""
        port, unit = self._port, request[0]
        until = sent_at + min(self._slow.get(unit, self._turnaround_s), _CLASH_WINDOW_S) + self._silence_s
        last = until + _SPARE_S
        while port.now() < until and len(self._after) <= _MOST and find_reply(self._after, request, count) is None:
            if given_up():
                return
            port.wait(until, EXCEPTION_LENGTH)
            if chunk := port.read():
                self._after += chunk
                self._quiet_from = port.now()
                until = min(last, max(until, self._quiet_from + _GAP_S))
        self._alone.add(unit)

    def _learn(self, unit: int, turnaround_s: float) -> None:
        self._usual_s[unit] = max(0.0, turnaround_s, 0.9 * self._usual_s.get(unit, 0.0))

    def _tell(self, data: bytes, end: int) -> None:
        if data and self._log.debugging:
            self._log.debug("frame.received", frame=data[:end].hex(" "), after=data[end:].hex(" "))
