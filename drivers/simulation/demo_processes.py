"""The processes of a demo: started with their output in a log file, watched, and ended without leaving an orphan."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

_PR_SET_PDEATHSIG: Final = 1
_LAST_LINES: Final = 15
_LAST_BYTES: Final = 64 * 1024


class ProcessDied(Exception):
    """A process of the demo ended by itself; the message says which, how, and what it wrote last."""


class Process:
    """One child in a session of its own: Ctrl-C at the terminal reaches only the demo, which ends them in order.

    The kernel ends the child when the demo dies, however it dies.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, status: "StatusSocket | None" = None) -> None:
        self.name = name
        # settings of another Wattline on this machine stay out of the demo, and so does its service manager
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("WATTLINE_", "NOTIFY_", "WATCHDOG_"))
        }
        self._log = folder / f"{name}.log"
        parent = os.getpid()
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                command,
                cwd=folder,
                env=kept if status is None else {**kept, "NOTIFY_SOCKET": status.address},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - the demo has one thread when it starts them
            )

    def check(self) -> None:
        """Raises ProcessDied when it is no longer running."""
        status = self._popen.poll()
        if status is not None:
            how = f"with status {status}" if status >= 0 else f"by signal {signal.Signals(-status).name}"
            raise ProcessDied(f"the {self.name} ended {how}; its last lines ({self._log}):\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log, indented."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _LAST_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def stop(self, within_s: float) -> bool:
        """Ask it to end, and kill it when it has not after `within_s`. False when it had to be killed."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """End it at once."""
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()


def _die_with(parent: int) -> None:
    """In the child before exec: be ended by the kernel when `parent` dies (Linux only; elsewhere nothing happens)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


class StatusSocket:
    """Hears what a service tells its service manager (sd_notify): its line of status."""

    def __init__(self) -> None:
        self.address = f"@wattline-demo-{os.getpid()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + self.address[1:])
        self._status = ""

    def status(self) -> str:
        """The latest line; "" before the first."""
        while True:
            try:
                message = self._socket.recv(4096).decode(errors="replace")
            except BlockingIOError:
                return self._status
            for line in message.splitlines():
                self._status = line.removeprefix("STATUS=") if line.startswith("STATUS=") else self._status

    def close(self) -> None:
        self._socket.close()


class Processes:
    """All of them; leaving the context ends them, the last started first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            while self._running:
                self._running[-1].stop(10.0)
                self._running.pop()
        finally:
            # a second Ctrl-C while they end in order: no patience any more
            for process in self._running:
                process.kill()

    def start(self, name: str, command: Sequence[str], status: "StatusSocket | None" = None) -> Process:
        process = Process(name, command, self._folder, status)
        self._running.append(process)
        return process

    def forget(self, process: Process) -> None:
        """No longer watched: it was stopped on purpose."""
        self._running.remove(process)

    def check(self) -> None:
        """Raises ProcessDied when one of them is no longer running."""
        for process in self._running:
            process.check()

    def wait(self, seconds: float) -> None:
        """Sleep, but notice within a fifth of a second when one dies (ProcessDied)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.2))
