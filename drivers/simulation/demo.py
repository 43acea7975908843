"""`wattline demo`: simulated plant, broker, agent and centre as separate processes on this machine, and a live line."""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from socket import create_connection
from typing import Final

from drivers.simulation.demo_books import read_books
from drivers.simulation.demo_check import Verdict, judge, report
from drivers.simulation.demo_figures import Centre, CentreSilent, Live
from drivers.simulation.demo_files import DemoFiles, write_files
from drivers.simulation.demo_processes import Process, ProcessDied, Processes, StatusSocket
from drivers.simulation.image import multiplier, step
from drivers.simulation.simulator import Simulator, load_simulator
from wattline.clock import NS, SystemClock

_NEEDED: Final = ("iotcore", "starlette", "uvicorn", "jinja2")
_READY_S: Final = 60.0  # a small board starts Python slowly
_DELIVER_S: Final = 20.0
_STOP_S: Final = 30.0
_DAY_NS: Final = 86_400 * NS
_RATE_S: Final = 10.0  # readings arrive in parcels: the rate is a mean over this long
_LINE_S: Final = 10.0  # between two lines when the output is no terminal

_EPILOG: Final = """\
Twenty meters of eleven models, simulated behind real Modbus TCP, are read every second by an agent, published over
MQTT to an embedded broker, stored and accounted by a centre, and shown on a page with the books of the month: carbon,
cost, balances, and an alarm, as the contract is less than the plant draws. Tree, tariff and factors are plain files in
config/ (demo/entities.yaml, tariffs/, factors.csv). Nothing leaves this machine.

examples:
  wattline demo                 until Ctrl-C; open the address it prints
  wattline demo --for 60        one minute, then what was counted against what the simulator knows to be true
  wattline demo --keep /tmp/d   keep settings, logs, spool and store in /tmp/d

exit status: 0 all is well; 1 something was lost or doubled, the plant's energy or CO2 was more than 0.1 % off, a meter
below it by more than that and one step of its register, or a process died
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline demo",
        description="Run a whole small Wattline on this machine: simulated factory, broker, agent and centre.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--for", dest="seconds", type=_seconds, metavar="SECONDS", help="end after so long, and check the figures"
    )
    parser.add_argument("--port", type=_port, help="port of the page on 127.0.0.1 (8080, or a free one)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new or empty folder and leave it")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 5 <= seconds <= 7 * 86_400:
        raise argparse.ArgumentTypeError("5 seconds to a week")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError("1 to 65535")
    return port


def main(argv: list[str]) -> int:
    """The door of the command."""
    args = _parser().parse_args(argv)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f"wattline demo: {', '.join(missing)} is not installed: pip install 'wattline[demo]'", file=sys.stderr)
        return 1
    folder: Path | None = args.keep
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        print(f"wattline demo: {folder} is not empty; name a new folder", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattline-demo-")))
        else:
            folder.mkdir(parents=True, exist_ok=True)
        return _run(write_files(folder.resolve(), args.port), args.seconds)


def _run(files: DemoFiles, seconds: float | None) -> int:
    simulator = load_simulator(files.plant, SystemClock().now_ns())
    centre = Centre(files.page, simulator.file.site)
    line = _StatusLine()
    try:
        with closing(StatusSocket()) as status, Processes(files.folder) as processes:
            agent = _start(files, processes, centre, status)
            print(f"{len(simulator.meters)} meters are being read; the page: {files.page}")
            print(f"the books of the month: {files.page}books (carbon, cost, balances, alarms, and why each is so)")
            print("Ctrl-C ends it" if seconds is None else f"ends by itself in {seconds:.0f} s", flush=True)
            _watch(processes, lambda elapsed: line.show(centre.live(), status.status(), elapsed), seconds)
            line.end()
            verdict = _settle(processes, agent, centre, simulator)
    except KeyboardInterrupt:
        line.end()
        print("ended")
        return 0 if seconds is None else 130
    except (ProcessDied, CentreSilent) as err:
        line.end()
        print(f"wattline demo: {err}", file=sys.stderr)
        return 1
    print(report(verdict))
    return 1 if verdict.failures else 0


def _start(files: DemoFiles, processes: Processes, centre: Centre, status: StatusSocket) -> Process:
    """Start all four, each when what it needs is there; returns the agent once its first readings are stored."""
    python = [sys.executable, "-P", "-m"]
    print(f"starting simulator, broker, centre and agent in {files.folder}", flush=True)
    processes.start("simulator", [*python, "wattline", "simulate", "plant.yaml"])
    processes.start("broker", [*python, "iotcore", "--config", "broker.toml", "--log-level", "CRITICAL"])
    _until(processes, "the broker to listen", lambda: _listens(files.broker_port))
    processes.start("centre", [*python, "wattline", "centre", "run", "centre.yaml"])
    _until(processes, "the centre to be ready", centre.is_ready)
    agent = processes.start("agent", [*python, "wattline", "run", "agent.yaml"], status)
    _until(processes, "the first readings", lambda: centre.stored() > 0)
    return agent


def _until(processes: Processes, what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_S
    while not holds():
        if time.monotonic() > deadline:
            raise CentreSilent(f"waited {_READY_S:.0f} s for {what}")
        processes.wait(0.1)


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _watch(processes: Processes, show: Callable[[float], None], seconds: float | None) -> None:
    """Show the status line until `seconds` have passed; for ever when None. A busy centre may skip some lines."""
    began = heard = time.monotonic()
    while seconds is None or time.monotonic() - began < seconds:
        try:
            show(time.monotonic() - began)
            heard = time.monotonic()
        except CentreSilent:
            if time.monotonic() - heard > _READY_S:
                raise
        left = 2.0 if seconds is None else min(2.0, began + seconds - time.monotonic())
        processes.wait(left)


def _settle(processes: Processes, agent: Process, centre: Centre, simulator: Simulator) -> Verdict:
    """Stop the agent, let the centre store and account the rest, and judge."""
    processes.check()
    processes.forget(agent)
    if not agent.stop(_STOP_S):
        raise ProcessDied(f"the agent did not end within {_STOP_S:.0f} s; its last lines:\n{agent.last_lines()}")
    deadline = time.monotonic() + _DELIVER_S
    delivery = centre.delivery()
    while time.monotonic() < deadline and not (
        delivery.stopped and delivery.stored >= delivery.acquired and not delivery.ledger_pending
    ):
        processes.wait(0.2)
        delivery = centre.delivery()
    began_ns = simulator.plant.origin_ns
    carriers, meters = centre.counts(began_ns - _DAY_NS, SystemClock().now_ns() + _DAY_NS)
    verdict = judge(delivery, carriers, meters, _truth(simulator), _register_step(simulator))
    return replace(verdict, books=read_books(centre, simulator.file.site, SystemClock().now_ns()))


def _truth(simulator: Simulator) -> Callable[[str, int, int], float]:
    def truth(device: str, from_ns: int, to_ns: int) -> float:
        return simulator.plant.amount(simulator.meters[device].meter.measures, from_ns, to_ns)

    return truth


def _register_step(simulator: Simulator) -> Callable[[str, str, float], float]:
    def register_step(device: str, name: str, value: float) -> float:
        meter = simulator.meters[device]
        point = meter.profile.points[name]
        return step(point, multiplier(meter, point, meter.moment(simulator.plant.origin_ns)), value)

    return register_step


class _StatusLine:
    """One line in place on a terminal; else a new line now and then."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty()
        self._shown_at = -_LINE_S
        self._counts: deque[tuple[float, int]] = deque(maxlen=100)
        self._open = False

    def show(self, live: Live, agent_status: str, elapsed: float) -> None:
        """Write the line, with the rate of the last ten seconds; `agent_status` is what the agent told its manager."""
        self._counts.append((elapsed, live.stored))
        while elapsed - self._counts[0][0] > _RATE_S:
            self._counts.popleft()
        at, stored = self._counts[0]
        rate = f"{(live.stored - stored) / (elapsed - at):,.0f}" if elapsed > at else "-"
        power = "-" if live.power_w is None else f"{live.power_w / 1000:,.0f}"
        waiting = re.search(r"(\d+) parcels? waiting", agent_status)
        text = (
            f"{int(elapsed) // 60:02}:{int(elapsed) % 60:02}  {rate} readings/s  {live.stored:,} stored"
            f"  {waiting[1] if waiting else '-'} waiting  {power} kW  {live.co2_kg:,.2f} kg CO2"
        )
        if self._in_place:
            print(f"\r{text}\x1b[K", end="", flush=True)
            self._open = True
        elif elapsed - self._shown_at >= _LINE_S:
            print(text, flush=True)
            self._shown_at = elapsed

    def end(self) -> None:
        """Leave the line standing."""
        if self._open:
            print(flush=True)
            self._open = False
