"""A real mosquitto on a free port, started, killed and started again by the test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from drivers.simulation.demo_files import free_ports


def mosquitto_program() -> str:
    """Path of the broker; skips the test when it is not installed (Debian: package mosquitto)."""
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


def free_port() -> int:
    return free_ports(1)[0]


class Mosquitto:
    """A context manager: entered, it accepts connections on `port`. `settings` are lines of mosquitto.conf.

    `persistent`: it writes every change to disk at once, so that a kill loses nothing it acknowledged.
    """

    def __init__(self, directory: Path, settings: Sequence[str] = (), *, persistent: bool = False) -> None:
        self.port = free_port()
        self.log = directory / "mosquitto.log"
        self._config = directory / "mosquitto.conf"
        # as root it would drop to a user of its own who may not enter the test's directory
        lines = ["user root", "log_type all", *settings]
        if not any(line.startswith("listener") for line in settings):
            lines.insert(0, f"listener {self.port} 127.0.0.1")
        if not any(line.startswith(("allow_anonymous", "password_file", "require_certificate")) for line in settings):
            lines.append("allow_anonymous true")
        if persistent:
            lines += [
                "persistence true",
                f"persistence_location {directory}/",
                "autosave_on_changes true",
                "autosave_interval 1",
            ]
        self._config.write_text("\n".join(line.replace("PORT", str(self.port)) for line in lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [mosquitto_program(), "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise AssertionError(f"mosquitto ended: {self.log.read_text()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """SIGKILL: what a power cut leaves of it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
