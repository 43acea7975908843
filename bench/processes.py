"""The programs of a measurement: started on a core of their own, spoken with by lines, ended with it."""

import compileall
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
SITE, GATEWAY = "bench", "gateway"
PATIENCE_S = 30

Start = Callable[..., "subprocess.Popen[str]"]


def as_installed() -> None:
    """The environment of an installed agent: its unit's, and byte code on disk. Compiling leaves megabytes behind."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["MALLOC_ARENA_MAX"] = "1"  # as the agent's unit sets it
    for package in ("wattline", "metering", "drivers", "agent"):
        spec = find_spec(package)
        assert spec is not None
        for folder in spec.submodule_search_locations or ():
            compileall.compile_dir(folder, quiet=1)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def folder_on_disk() -> Generator[Path]:
    """A folder on a real disk: nothing is ever written to a device from a file system in memory."""
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def starter(stack: ExitStack, log: IO[str]) -> Start:
    cores = sorted(os.sched_getaffinity(0))

    def start(command: list[str], *, core: int) -> subprocess.Popen[str]:
        pin = ["taskset", "-c", str(cores[core % len(cores)])]
        process = subprocess.Popen([*pin, *command], stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    return start


def line_of(process: subprocess.Popen[str], within_s: float = PATIENCE_S) -> str:
    """The next line the process prints; empty when it ends, or says nothing for too long."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], within_s)
    return process.stdout.readline().strip() if readable else ""


def stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    return process.wait(PATIENCE_S)


def free_port() -> int:
    """A TCP port of this host that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Broker:
    """A mosquitto that listens."""

    port: int
    pid: int


def broker(start: Start, folder: Path) -> Broker:
    """Start mosquitto on a free port, as its package sets it."""
    port = free_port()
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is missing: scripts/setup bench")
    process = start([program, "-c", str(conf)], core=0)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return Broker(port, process.pid)
    raise SystemExit("mosquitto does not listen")


def agent_settings(port: int, meters: list[int], folder: Path, *, budget: str = "512 MiB") -> Iterator[str]:
    """agent.yaml for the plant whose meters listen on these ports."""
    yield f'site: {SITE}\ngateway: {GATEWAY}\nbroker: {{url: "mqtt://127.0.0.1:{port}"}}\n'
    yield f"spool: {{directory: {folder / 'spool'}, budget: {budget}}}\nprofiles: {HERE / 'profiles'}\nbuses:\n"
    for number, meter in enumerate(meters):
        yield f"  - name: bus-{number}\n    tcp: 127.0.0.1:{meter}\n    devices:\n"
        yield f"      - {{name: meter-{number}, unit: 1, profile: bench-meter, every: 1s}}\n"
