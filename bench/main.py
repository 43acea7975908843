"""Measures the real agent process on simulated plants of 10 and of 100 meters with 40 points each, polled every second.

Plant, broker and recorder run on core 0, the agent alone on core 1, all on this machine. The plant stamps each request
as it arrives; the recorder plays the centre; the kernel tells CPU time, memory and bytes written. Use an idle machine:
CPU time of a process that mostly sleeps grows when others push its code out of the caches.
"""

import argparse
import compileall
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # -P and PYTHONSAFEPATH leave it out

from decode import decode_ns_per_value  # noqa: E402
from figures import Run, Window, figures, table  # noqa: E402
from libmodbus import cpu_us_per_read  # noqa: E402
from probe import look  # noqa: E402

NS = 1_000_000_000
SITE, GATEWAY = "bench", "gateway"
_PATIENCE_S = 30


def main() -> int:
    """Measure and print; 1 when a reading was lost."""
    args = _parser().parse_args()
    _as_installed()
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everywhere)})
    decode_ns = decode_ns_per_value()
    read_us = cpu_us_per_read()
    os.sched_setaffinity(0, everywhere)
    runs = {meters: figures(measure(meters, args)) for meters in args.meters}
    if args.json:
        print(json.dumps({"runs": runs, "decode_ns": decode_ns, "read_us": read_us}, indent=1))
    else:
        print(table(runs, decode_ns, read_us))
    return 1 if any(run["lost"] for run in runs.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--meters", type=int, nargs="+", default=[10, 100], metavar="N", help="sizes of the plants (10 100)")
    add("--window", type=float, default=60, metavar="S", help="seconds measured with the centre there (60)")
    add("--away", type=float, default=60, metavar="S", help="seconds with the centre away; 0: not measured (60)")
    add("--warm-up", type=float, default=12, metavar="S", help="seconds before the measurement (12)")
    add("--json", action="store_true", help="the figures as JSON")
    return parser


def measure(meters: int, args: argparse.Namespace) -> Run:
    """Run plant, broker, recorder and agent, and collect what they saw."""
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        stamps, record = folder / "stamps.json", folder / "record.json"
        log = stack.enter_context((folder / "log").open("w"))
        start = _starter(stack, log)

        port = _broker(start, folder)
        plant = start([sys.executable, str(HERE / "plant.py"), str(meters), str(stamps)], core=0)
        ports = json.loads(_line(plant))
        recorder = start([sys.executable, str(HERE / "recorder.py"), str(port), SITE, GATEWAY, str(record)], core=0)
        _line(recorder)
        settings = folder / "agent.yaml"
        settings.write_text("".join(_settings(port, ports, folder)))
        started_ns = time.time_ns()
        agent = start([sys.executable, "-P", "-m", "wattline", "run", str(settings)], core=1)
        if _line(recorder) != "first":
            raise SystemExit(f"no reading came; the agent said:\n{(folder / 'log').read_text()[-3000:]}")
        _say(f"{meters} meters: warming up")
        time.sleep(args.warm_up)
        _say(f"{meters} meters: measuring for {args.window:g} s")
        online = _window(agent.pid, args.window)
        away = None
        if args.away:
            _say(f"{meters} meters: centre away for {args.away:g} s")
            recorder.send_signal(signal.SIGUSR1)
            away = _window(agent.pid, args.away)
            recorder.send_signal(signal.SIGUSR1)
        time.sleep(1)
        if _stop(agent):
            raise SystemExit(f"the agent ended with {agent.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
        time.sleep(1)
        _stop(recorder)
        _stop(plant)
        seen = json.loads(record.read_text())
        return Run(
            meters=meters,
            started_ns=started_ns,
            online=online,
            away=away,
            asked_ns=[at for meter in json.loads(stamps.read_text()) for at in meter],
            messages=[tuple(message) for message in seen["messages"]],
            readings=[tuple(reading) for reading in seen["readings"]],
            duplicates=seen["duplicates"],
        )


def _as_installed() -> None:
    """The environment of an installed agent: its unit's, and byte code on disk. Compiling leaves megabytes behind."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["MALLOC_ARENA_MAX"] = "1"  # as the agent's unit sets it
    for package in ("wattline", "metering", "drivers", "agent"):
        spec = find_spec(package)
        assert spec is not None
        for folder in spec.submodule_search_locations or ():
            compileall.compile_dir(folder, quiet=1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _folder() -> Generator[Path]:
    """A folder on a real disk: nothing is ever written to a device from a file system in memory."""
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _starter(stack: ExitStack, log: IO[str]) -> Callable[..., subprocess.Popen[str]]:
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


def _line(process: subprocess.Popen[str]) -> str:
    """The next line the process prints; empty when it ends, or says nothing for too long."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], _PATIENCE_S)
    return process.stdout.readline().strip() if readable else ""


def _stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    return process.wait(_PATIENCE_S)


def _broker(start: Callable[..., subprocess.Popen[str]], folder: Path) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is missing: scripts/setup bench")
    start([program, "-c", str(conf)], core=0)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return port
    raise SystemExit("mosquitto does not listen")


def _settings(port: int, ports: list[int], folder: Path) -> Iterator[str]:
    yield f'site: {SITE}\ngateway: {GATEWAY}\nbroker: {{url: "mqtt://127.0.0.1:{port}"}}\n'
    yield f"spool: {{directory: {folder / 'spool'}}}\nprofiles: {HERE / 'profiles'}\nbuses:\n"
    for number, meter in enumerate(ports):
        yield f"  - name: bus-{number}\n    tcp: 127.0.0.1:{meter}\n    devices:\n"
        yield f"      - {{name: meter-{number}, unit: 1, profile: bench-meter, every: 1s}}\n"


def _window(pid: int, seconds: float) -> Window:
    """From the middle of one second to the middle of another, so that no poll is cut in two."""
    time.sleep((NS * 3 // 2 - time.time_ns() % NS) % NS / NS)
    before = look(pid)
    time.sleep(max(0.0, before.at_ns / NS + seconds - time.time()))
    return Window(before=before, after=look(pid))


if __name__ == "__main__":
    sys.exit(main())
