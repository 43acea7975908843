"""A network cable that a test can pull: a network namespace with its own address, behind a pair of virtual ports."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Cable:
    """`listener` accepts on `endpoint` at the far end."""

    endpoint: tuple[str, int]
    listener: socket.socket
    _far: str
    _port: str

    def pull(self) -> None:
        _ip("-n", self._far, "link", "set", self._port, "down")

    def plug(self) -> None:
        _ip("-n", self._far, "link", "set", self._port, "up")


@contextmanager
def cable() -> Generator[Cable]:
    """Needs root and iproute2."""
    number = os.getpid() % 60_000
    far, near_port, far_port = f"wattline{number}", f"wln{number}", f"wlf{number}"
    subnet = f"10.231.{number % 250}"
    _ip("netns", "add", far)
    try:
        _ip("link", "add", near_port, "type", "veth", "peer", "name", far_port, "netns", far)
        _ip("address", "add", f"{subnet}.1/24", "dev", near_port)
        _ip("link", "set", near_port, "up")
        _ip("-n", far, "address", "add", f"{subnet}.2/24", "dev", far_port)
        _ip("-n", far, "link", "set", far_port, "up")
        listener = _listener_in(far, f"{subnet}.2")
        yield Cable(listener.getsockname(), listener, far, far_port)
        listener.close()
    finally:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", near_port)
        _ip("netns", "delete", far)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _listener_in(namespace: str, address: str) -> socket.socket:
    """A socket stays in the namespace it was made in, whoever uses it."""
    made: list[socket.socket] = []

    def make() -> None:
        with Path(f"/run/netns/{namespace}").open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server((address, 0)))

    thread = threading.Thread(target=make)  # the namespace is the thread's, and goes with it
    thread.start()
    thread.join()
    return made[0]
