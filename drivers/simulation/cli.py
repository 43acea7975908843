"""`wattline simulate PLANT.yaml`: serves a simulated plant over real Modbus TCP until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from drivers.simulation.agent_yaml import agent_yaml
from drivers.simulation.served import ListenFailed
from drivers.simulation.simulator import Simulator, load_simulator
from wattline.clock import SystemClock
from wattline.resources import config_dir

_EPILOG = """\
The plant file says what consumes and when (shifts, loads, sources, nodes) and where its meters are asked (endpoints).
Its books balance: a node draws what it feeds, plus its losses, less what its sources produce, at every instant.
A complete example, the plant of `wattline demo`:
  {example}

examples:
  wattline simulate {example}
      serve it until Ctrl-C
  wattline simulate --agent-yaml {example} > agent.yaml
      write settings of an agent that reads all of its meters; then, in other terminals:
      mosquitto -p 1883
      wattline run agent.yaml

exit status: 0 stopped as told, 1 an address cannot be listened on, 78 the plant file is wrong
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline simulate",
        description="Serve the meters of a simulated plant over real Modbus TCP and serial lines, each with the"
        " registers of its model, and with faults on a script (docs/simulator.md).",
        epilog=_EPILOG.format(example=config_dir() / "demo" / "plant.yaml"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plant", metavar="PLANT.yaml", type=Path, help="the plant file")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print endpoints and meters, and end")
    what.add_argument("--agent-yaml", action="store_true", help="print settings of an agent for this plant, and end")
    return parser


def main(argv: list[str]) -> int:
    """The door of the command; raises ConfigError."""
    args = _parser().parse_args(argv)
    clock = SystemClock()
    simulator = load_simulator(args.plant, clock.now_ns())
    if args.agent_yaml:
        print(agent_yaml(simulator.file), end="")
        return 0
    if args.list:
        print(table(simulator, [endpoint.place for endpoint in simulator.file.endpoints], clock.now_ns()))
        return 0
    try:
        asyncio.run(_serve(simulator, clock))
    except ListenFailed as err:
        print(f"wattline simulate: {err}", file=sys.stderr)
        return 1
    return 0


async def _serve(simulator: Simulator, clock: SystemClock) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with simulator.servers(clock) as servers:
        print(table(simulator, servers.places, clock.now_ns()))
        print("serving; Ctrl-C ends it", flush=True)
        await stop.wait()


def table(simulator: Simulator, places: list[str], at_ns: int) -> str:
    """Endpoints and meters for people, with what flows now; `places` of the endpoints in their order."""
    rows = [("address", "unit", "meter", "profile", "measures", "now")]
    for endpoint, where in zip(simulator.file.endpoints, places, strict=True):
        for number, meter in enumerate(endpoint.meters):
            carrier = simulator.plant.carrier(meter.measures)
            rate = f"{simulator.plant.rate(meter.measures, at_ns):.1f} {'kW' if carrier.unit == 'kWh' else 'm3/h'}"
            rows.append(
                (
                    "" if number else where,
                    str(meter.unit),
                    meter.name,
                    meter.profile,
                    f"{carrier} at {meter.measures}",
                    rate,
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
