"""What systemd wants to hear from a service: ready, stopping, a line of status, and that work is being done.

Datagrams of the sd_notify protocol (man sd_notify) to $NOTIFY_SOCKET; without that variable nothing is sent.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

from wattline.clock import Clock
from wattline.events import EventLog

_MAX_STATUS: Final = 500


class Notifier:
    """Tells the service manager; never blocks and never fails, for no reading may be lost to a deaf manager."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """$NOTIFY_SOCKET: a path, or `@name` for an abstract socket; $WATCHDOG_USEC: microseconds until it kills us."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._status = ""
        usec = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s: float | None = int(usec) / 1e6 if usec.isdecimal() and int(usec) > 0 and ours else None

    def ready(self) -> None:
        """The service does its work from now on."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The service was asked to stop and is tidying up."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it differs from the last."""
        line = " ".join(text.split())[:_MAX_STATUS]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Feed the manager's watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Give the socket back; later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError:
            # a manager that went away or is busy: it will judge by the watchdog, we go on
            return


class Watchdog:
    """Feeds the manager's watchdog while every part of the process keeps its promise to have worked again in time.

    A part calls `promise` after each piece of work, so a task that hangs, or a loop that stalls, starves the watchdog;
    mere life does not feed it.
    """

    def __init__(self, notifier: Notifier, clock: Clock, log: EventLog) -> None:
        self._notifier = notifier
        self._clock = clock
        self._log = log
        self._by: dict[str, float] = {}
        self._late: set[str] = set()

    def promise(self, part: str, within_s: float) -> None:
        """`part` has done its work and will call again within `within_s` seconds."""
        self._by[part] = self._clock.monotonic() + within_s

    def release(self, part: str) -> None:
        """`part` has ended in order and promises nothing more."""
        self._by.pop(part, None)

    def late(self) -> list[str]:
        """The parts that broke their promise."""
        now = self._clock.monotonic()
        return [part for part, by in self._by.items() if by < now]

    async def run(self) -> None:
        """Feed for ever, twice in each interval of the manager; returns at once when it keeps no watchdog."""
        if self._notifier.watchdog_s is None:
            return
        while True:
            late = set(self.late())
            for part in sorted(late - self._late):
                self._log.error("watchdog.starved", part=part)
            self._late = late
            if not late:
                self._notifier.alive()
            await asyncio.sleep(self._notifier.watchdog_s / 2)
