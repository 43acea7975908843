"""RtuLink: Modbus RTU on a serial port, each bus in a thread of its own, every reply checked.

The thread sleeps to the exact end of the 3.5-character silence before a request, which the timers of an event loop
cannot: they round up to a millisecond, a fifth of the time a short read takes at 115200 baud.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Protocol, TypeVar

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.pdu import BadReply, Refused, read_request
from drivers.modbus.rtu_debts import Debts
from drivers.modbus.rtu_line import Port, RtuLine
from drivers.modbus.serial_line import SerialLine
from drivers.modbus.serial_port import SerialPort
from wattline.events import EventLog

TURNAROUND_S: Final = 0.2  # a meter that thinks longer says so in its profile

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Read:
    """One read on its way through the thread; `given_up` when nobody waits for it any more."""

    unit: int
    function: int
    address: int
    count: int
    done: "asyncio.Future[bytes]"
    given_up: bool = False

    def __str__(self) -> str:
        return f"read {self.function}:{self.address}+{self.count}, unit {self.unit}"


class OpenPort(Port, Protocol):
    """A port as its thread has it."""

    def wake(self) -> None:
        """End a `wait`, from any thread."""
        ...

    def close(self) -> None: ...


class LineLink:
    """RTU on whatever `_open_port` opens. A meter may think `turnaround_s` before its first byte comes."""

    def __init__(self, where: str, line: SerialLine, log: EventLog, *, turnaround_s: float) -> None:
        """`where` it is, for messages; `line` says how long characters take."""
        self._where = where
        self._line = line
        self._log = log
        self._turnaround_s = turnaround_s
        self._slow: dict[int, float] = {}
        self._debts = Debts()
        self._worker: _Worker | None = None

    def allow(self, unit: int, turnaround_s: float) -> None:
        """Let this unit think longer than the others."""
        self._slow[unit] = max(turnaround_s, self._turnaround_s)

    async def open(self) -> None:
        """Open the port; raises LinkDown, which names the owner when another program has it."""
        await self.close()
        name = f"rtu {self._where.rpartition('/')[2]}"[:15]
        worker = _Worker(self._open_port, self._talk, asyncio.get_running_loop(), name)
        try:
            await worker.opened
        except BaseException:
            await worker.stop()
            raise
        self._worker = worker

    def _open_port(self) -> OpenPort:
        """In the thread: raises LinkDown."""
        raise NotImplementedError

    def _talk(self, port: OpenPort) -> RtuLine:
        return self._talk_on(port, self._line)

    def _talk_on(self, port: OpenPort, line: SerialLine) -> RtuLine:
        return RtuLine(port, line, self._log, turnaround_s=self._turnaround_s, slow=self._slow, debts=self._debts)

    async def close(self) -> None:
        """End the thread and close the port; harmless when not open."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.stop()

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """The register bytes; raises LinkDown, DeviceSilent with the fault, or Refused. See bus.Link.

        Cancelled, it ends the waiting in the thread too; a reply that comes yet is nobody's.
        """
        if self._worker is None:
            raise LinkDown(f"{self._where} is not open")
        read_request(function, address, count)  # a ValueError belongs to the caller
        return await self._worker.read(_Read(unit, function, address, count, asyncio.Future()))


class RtuLink(LineLink):
    """One serial port as a bus. `path` may be a link such as /dev/serial/by-id/...: it is followed at each `open`."""

    def __init__(
        self, path: Path, line: SerialLine, log: EventLog, *, turnaround_s: float = TURNAROUND_S, rs485: bool = False
    ) -> None:
        """`rs485`: the kernel switches the transceiver to sending by RTS."""
        super().__init__(str(path), line, log, turnaround_s=turnaround_s)
        self._rs485 = rs485

    def _open_port(self) -> OpenPort:
        return SerialPort(self._where, self._line, rs485=self._rs485)


class _Worker:
    """The thread of one port: opens it, serves reads until `stop` or the first LinkDown, and closes it."""

    def __init__(
        self,
        open_port: Callable[[], OpenPort],
        talk: Callable[[OpenPort], RtuLine],
        loop: asyncio.AbstractEventLoop,
        name: str,
    ) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._open_port = open_port
        self._talk = talk
        self._reads: SimpleQueue[_Read | None] = SimpleQueue()
        self._lost: LinkDown | None = None
        self._stopping = False
        self._lock = threading.Lock()  # between waking the port and closing it
        self._port: OpenPort | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def read(self, read: _Read) -> bytes:
        if self._lost is not None:
            raise LinkDown(str(self._lost))
        self._reads.put(read)
        if self._lost is not None:  # lost since, and the thread may have emptied the queue before
            read.done.cancel()
            raise LinkDown(str(self._lost))
        try:
            return await read.done
        except asyncio.CancelledError:
            read.given_up = True
            self._wake()
            raise

    async def stop(self) -> None:
        """Return when the port is closed: within milliseconds, for no wait of the thread outlasts a wake."""
        self._stopping = True
        self._reads.put(None)
        self._wake()
        await asyncio.shield(self._ended)

    def _wake(self) -> None:
        with self._lock:
            if self._port is not None:
                self._port.wake()

    # in the thread

    def _run(self) -> None:
        _sharpen_timers()
        try:
            self._port = port = self._open_port()
            self._tell(self.opened, None)
            self._serve(self._talk(port))
        except LinkDown as err:
            self._lost = err
        finally:
            self._lost = self._lost or LinkDown("closed")
            with self._lock:
                if self._port is not None:
                    self._port.close()
                self._port = None
            while not self._reads.empty():
                if (read := self._reads.get()) is not None:
                    self._tell(read.done, LinkDown(str(self._lost)))
            self._tell(self.opened, self._lost)
            self._tell(self._ended, None)

    def _serve(self, line: RtuLine) -> None:
        """Serve reads until told to stop; raises LinkDown when the port is gone."""
        while (read := self._reads.get()) is not None and not self._stopping:
            if read.given_up:
                continue
            given_up = _GivenUp(self, read)
            try:
                self._tell(read.done, line.read(read.unit, read.function, read.address, read.count, given_up))
            except Refused as err:
                self._tell(read.done, err)
            except BadReply as err:
                self._tell(read.done, DeviceSilent(f"{read}: {err}", err.fault))
            except BaseException as err:
                self._tell(read.done, err)
                raise

    @property
    def stopping(self) -> bool:
        return self._stopping

    def _tell(self, waiting: "asyncio.Future[T]", result: T | BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, waiting, result)


@dataclass(frozen=True, slots=True)
class _GivenUp:
    worker: _Worker
    read: _Read

    def __call__(self) -> bool:
        return self.read.given_up or self.worker.stopping


def _settle(waiting: "asyncio.Future[T]", result: T | BaseException) -> None:
    if waiting.done():
        return
    if isinstance(result, BaseException):
        waiting.set_exception(result)
    else:
        waiting.set_result(result)


def _sharpen_timers() -> None:
    """Let this thread's sleeps end within 1 us of their time where the kernel allows it, not 50 us."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{threading.get_native_id()}/timerslack_ns").write_text("1000")
