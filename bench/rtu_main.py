"""Measures the agent's own poller and serial link on lines of 8 meters that take the time a wire would.

The meters are a process of their own on core 0, the poller runs on core 1. The limit is what the wire allows: a read
of q registers takes 13 + 2q characters and two silences of 3.5 characters, and the meters answer at once. The meters
check every silence before a request. A core that others use too shows as a lower rate: use an idle machine; how much
others took is in the table.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # -P and PYTHONSAFEPATH leave them out

from probe import cpu_clock  # noqa: E402

from agent.poller import PolledDevice, Poller  # noqa: E402
from agent.schedule import NS, PollGroup  # noqa: E402
from drivers.modbus import catalogue  # noqa: E402
from drivers.modbus.serial_bus import ModbusRtuBus  # noqa: E402
from drivers.modbus.serial_line import SerialLine  # noqa: E402
from metering.sweep import Sweep  # noqa: E402
from wattline.clock import SystemClock  # noqa: E402
from wattline.events import EventLog, start_logging  # noqa: E402

METERS = 8
_WARM_UP_S = 3.0  # each meter is listened to for longer at its first answer
_OFTEN = 0.8  # the polling interval over the time of a round of all 8: seven of them, too, keep the line busy
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table; `points` None: all 40 of the bench meter, 80 registers."""

    name: str
    line: str
    points: tuple[str, ...] | None
    registers: int
    goal: float
    dead: bool = False


CASES = (
    Case(name="80 registers", line="9600 8N1", points=None, registers=80, goal=0.99),
    Case(name="2 registers", line="115200 8N1", points=("voltage_l1_n",), registers=2, goal=0.94),
    Case(name="80 registers, 1 of 8 dead", line="9600 8N1", points=None, registers=80, goal=0.95, dead=True),
)
BACK_GOAL_S = 15.0


@dataclass(slots=True, kw_only=True)
class Run:
    """What one run saw; times are monotonic seconds."""

    case: Case
    values_at: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    """When, which device, how many readings."""
    window: tuple[float, float] = (0.0, 0.0)
    cpu_s: float = 0.0
    others_s: float = 0.0
    """CPU time that neither the poller nor the meters used in the window."""
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    def figures(self) -> dict[str, Any]:
        """The figures by name."""
        begin, end = self.window
        inside = [(at, readings) for at, _, readings in self.values_at if begin <= at < end]
        asked = [at for at, _ in self.seen["requests"] if begin <= at < end]
        if len(inside) < METERS:
            raise SystemExit(f"{self.case.line}: no values in the window")
        # from the first answer to the last: whole cycles
        rate = (len(inside) - 1) / (inside[-1][0] - inside[0][0])
        limit = 1 / SerialLine.parse(self.case.line).read_s(self.case.registers)
        readings = sum(readings for _, readings in inside)
        back_at = self.seen["back_at"]
        back = [at - back_at for at, device, _ in self.values_at if back_at is not None and device == f"meter-{METERS}"]
        return {
            "case": f"{self.case.line}, {self.case.name}",
            "limit_reads_per_s": limit,
            "reads_per_s": rate,
            "share": rate / limit,
            "share_goal": self.case.goal,
            "readings_per_s": readings / (end - begin),
            "cpu_s_per_1000": self.cpu_s / readings * 1000,
            "others_share": self.others_s / (end - begin),
            "requests": len(asked),
            "broken_silences": self.seen["broken_silences"],
            "shortest_silence_ms": self.seen["shortest_silence_s"] * 1000,
            "bad_requests": self.seen["bad_requests"],
            "back_after_s": min(back, default=None),
        }


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    args = _parser().parse_args()
    start_logging("error")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    cases = CASES if args.case is None else CASES[args.case - 1 : args.case]
    told = [_measure(case, args.window, cores[0]).figures() for case in cases]
    print(json.dumps(told, indent=1) if args.json else table(told))
    return 0 if all(_met(each) for each in told) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/rtu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window", type=float, default=60, metavar="S", help="seconds measured in each case (60)")
    parser.add_argument(
        "--case", type=int, choices=range(1, len(CASES) + 1), help="measure this part of the table only"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def _measure(case: Case, window_s: float, core: int) -> Run:
    slave = subprocess.Popen(
        [sys.executable, HERE / "rtu_slave.py", case.line, str(METERS if case.dead else 0), str(core)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert slave.stdin is not None
    assert slave.stdout is not None
    run = Run(case=case)
    with slave:
        path = Path(slave.stdout.readline().strip())
        asyncio.run(_poll(run, path, window_s, slave))
        slave.stdin.close()
        run.seen = json.loads(slave.stdout.readline())
    return run


async def _poll(run: Run, path: Path, window_s: float, slave: "subprocess.Popen[str]") -> None:
    case, clock = run.case, SystemClock()
    line = SerialLine.parse(case.line)
    bus = ModbusRtuBus("rs485", path, line, clock=clock)
    profile = catalogue.load("bench-meter", extra_dir=HERE / "profiles")
    interval_ns = int(_OFTEN * METERS * line.read_s(case.registers) * NS)
    devices = [bus.add_device(f"meter-{unit}", unit, profile, case.points) for unit in range(1, METERS + 1)]
    polled = [
        PolledDevice(
            device=device,
            groups=(PollGroup(interval_ns=interval_ns, points=tuple(point.name for point in device.points)),),
        )
        for device in devices
    ]

    def sink(sweep: Sweep) -> None:
        if sweep.values:
            run.values_at.append((time.monotonic(), sweep.device, len(sweep.values)))

    poller = Poller(bus, polled, sink=sink, clock=clock, random=Random(1), log=EventLog())
    polling = asyncio.create_task(poller.run())
    await asyncio.sleep(_WARM_UP_S)
    began, cpu_s, others_s = time.monotonic(), time.process_time(), _others_s(slave.pid)
    await asyncio.sleep(window_s)
    run.window, run.cpu_s = (began, time.monotonic()), time.process_time() - cpu_s
    run.others_s = max(0.0, _others_s(slave.pid) - others_s)
    if case.dead:
        assert slave.stdin is not None
        slave.stdin.write("back\n")
        slave.stdin.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while run.values_at[-1][1] != f"meter-{METERS}":
                    await asyncio.sleep(0.02)
    polling.cancel()
    with suppress(asyncio.CancelledError):
        await polling


def _others_s(slave: int) -> float:
    """CPU seconds of the machine so far, all cores, less those of this process and the meters."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:9])
    busy_s = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return busy_s - time.process_time() - cpu_clock(slave)


def _met(told: dict[str, Any]) -> bool:
    back = "dead" not in told["case"] or _back_met(told)
    return bool(told["share"] >= told["share_goal"] and not told["broken_silences"] and back)


def _back_met(told: dict[str, Any]) -> bool:
    return told["back_after_s"] is not None and told["back_after_s"] <= BACK_GOAL_S


def table(told: list[dict[str, Any]]) -> str:
    """Everything for people."""
    lines: list[str] = []
    for each in told:
        lines += [
            f"{METERS} meters, {each['case']}",
            f"  reads/s                   {each['reads_per_s']:10.2f}  of {each['limit_reads_per_s']:.2f}",
            (
                f"  share of the limit        {100 * each['share']:10.2f} %"
                f"  >= {100 * each['share_goal']:g} %  {_verdict(each['share'] >= each['share_goal'])}"
            ),
            (
                f"  silences under 3.5 char.  {each['broken_silences']:10d}  of {each['requests']}, shortest"
                f" {each['shortest_silence_ms']:.3f} ms  {_verdict(not each['broken_silences'])}"
            ),
            f"  readings/s                {each['readings_per_s']:10.1f}",
            f"  CPU s per 1000 readings   {each['cpu_s_per_1000']:10.4f}",
            f"  CPU of other programs     {100 * each['others_share']:10.1f} %  of a core",
        ]
        if "dead" in each["case"]:
            after = "never" if each["back_after_s"] is None else f"{each['back_after_s']:.1f}"
            lines.append(f"  dead meter back after, s  {after:>10}  <= {BACK_GOAL_S:g}  {_verdict(_back_met(each))}")
    return "\n".join(lines)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
