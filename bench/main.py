"""Measures the real agent process on simulated plants of 10 and of 100 meters with 40 points each, polled every second.

Plant, broker and recorder run on core 0, the agent alone on core 1, all on this machine. The plant stamps each request
as it arrives; the recorder plays the centre; the kernel tells CPU time, memory and bytes written. Use an idle machine:
CPU time of a process that mostly sleeps grows when others push its code out of the caches.
"""

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # -P and PYTHONSAFEPATH leave it out

from decode import decode_ns_per_value  # noqa: E402
from figures import Run, Window, figures, table  # noqa: E402
from libmodbus import cpu_us_per_read  # noqa: E402
from probe import look  # noqa: E402
from processes import (  # noqa: E402
    GATEWAY,
    SITE,
    agent_settings,
    as_installed,
    broker,
    folder_on_disk,
    line_of,
    say,
    starter,
    stop,
)

NS = 1_000_000_000


def main() -> int:
    """Measure and print; 1 when a reading was lost."""
    args = _parser().parse_args()
    as_installed()
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
        folder = stack.enter_context(folder_on_disk())
        stamps, record = folder / "stamps.json", folder / "record.json"
        log = stack.enter_context((folder / "log").open("w"))
        start = starter(stack, log)

        port = broker(start, folder).port
        plant = start([sys.executable, str(HERE / "plant.py"), str(meters), str(stamps)], core=0)
        ports = json.loads(line_of(plant))
        recorder = start([sys.executable, str(HERE / "recorder.py"), str(port), SITE, GATEWAY, str(record)], core=0)
        line_of(recorder)
        settings = folder / "agent.yaml"
        settings.write_text("".join(agent_settings(port, ports, folder)))
        started_ns = time.time_ns()
        agent = start([sys.executable, "-P", "-m", "wattline", "run", str(settings)], core=1)
        if line_of(recorder) != "first":
            raise SystemExit(f"no reading came; the agent said:\n{(folder / 'log').read_text()[-3000:]}")
        say(f"{meters} meters: warming up")
        time.sleep(args.warm_up)
        say(f"{meters} meters: measuring for {args.window:g} s")
        online = _window(agent.pid, args.window)
        away = None
        if args.away:
            say(f"{meters} meters: centre away for {args.away:g} s")
            recorder.send_signal(signal.SIGUSR1)
            away = _window(agent.pid, args.away)
            recorder.send_signal(signal.SIGUSR1)
        time.sleep(1)
        if stop(agent):
            raise SystemExit(f"the agent ended with {agent.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
        time.sleep(1)
        stop(recorder)
        stop(plant)
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


def _window(pid: int, seconds: float) -> Window:
    """From the middle of one second to the middle of another, so that no poll is cut in two."""
    time.sleep((NS * 3 // 2 - time.time_ns() % NS) % NS / NS)
    before = look(pid)
    time.sleep(max(0.0, before.at_ns / NS + seconds - time.time()))
    return Window(before=before, after=look(pid))


if __name__ == "__main__":
    sys.exit(main())
