"""The door of `wattline read`: a meter of an agent's settings, or any meter by its address, read once or watched."""

import argparse
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from agent.build import build, real_bus
from agent.bus_settings import BusSettings
from agent.plan import BusPlan, GatewayPlan, LinkPlan, SerialPlan, TcpPlan
from agent.settings import load
from drivers.commission.ports import trouble
from drivers.commission.screen import Screen
from drivers.commission.show import SOMETHING_ABSENT, Look, show_device, show_registers
from drivers.commission.target import endpoint, register_range, serial_line, serial_port, unit_id
from drivers.modbus import catalogue
from drivers.modbus.profile import Profile
from drivers.modbus.serial_line import SerialLine
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.events import start_logging
from wattline.strict_yaml import findings, load_text

_EXAMPLE: Final = """
examples:
  wattline read agent.yaml incomer             every point of the device `incomer`, now
  wattline read agent.yaml incomer --watch     again and again, in place, until Ctrl-C
  wattline read --tcp 10.0.0.20 --unit 1 --profile schneider-pm5100 --raw
                                               a meter that stands in no file yet, with its registers
  wattline read --tcp 10.0.0.20 --unit 1 --registers holding:0+40
                                               registers as they are, from address 0 on the wire
  wattline read --serial /dev/ttyUSB0 --line "19200 8E1" --unit 3 --registers input:0-60
                                               the same on a serial line
  wattline read --bus "rtu_over_tcp: 10.0.0.21:4001" --unit 3 --profile eastron-sdm630
                                               over any link that a bus of agent.yaml can have
  wattline read --tcp 10.0.0.20 --unit 1 --registers holding:0+40 --guess
                                               what an unknown meter's registers may be

Nothing is written to a meter, ever. A meter on a serial line or behind a gateway serves one master at a time: stop an
agent that reads it (systemctl stop wattline-agent), or expect some answers to be late.

exit status: 0 everything was read, 1 something is absent, 2 wrong usage, 78 a file or name is wrong
"""
_ONCE_A_DAY: Final = Decimal(86400)
_USUAL_LINE: Final = "9600 8N1"
_TIMEOUT_S: Final = 1.0
_SERIAL_TIMEOUT_S: Final = 0.5  # of a first look: longer than the agent waits


def read(argv: list[str]) -> int:
    """`wattline read`; raises ConfigError."""
    parser = _parser()
    args = parser.parse_args(argv)
    _check(parser, args)
    start_logging(args.log)
    look = Look(
        watch_s=args.watch,
        json=args.json,
        raw=args.raw,
        guess_after_s=args.between if args.guess else None,
    )
    return _of_file(args, look) if args.file is not None else _of_address(parser, args, look)


def _of_file(args: argparse.Namespace, look: Look) -> int:
    clock = SystemClock()
    plan = _only(load(args.file).plan(), args.file, args.device)
    if _shut(plan.buses[0].over):
        return SOMETHING_ABSENT
    plant = build(plan, clock)
    bus = plant.buses[0].bus
    return show_device(bus, bus.devices[0], clock, look, Screen())


def _shut(over: LinkPlan) -> bool:
    """True when the serial port cannot be opened; says why."""
    wrong = trouble(over.port) if isinstance(over, SerialPlan) else None
    if wrong is not None:
        print(f"wattline read: {wrong}", file=sys.stderr)  # noqa: T201 - to the person who asked
    return wrong is not None


def _only(plan: GatewayPlan, file: Path, name: str | None) -> GatewayPlan:
    """The plan with this one device; it is asked now, so its interval must not matter to the bus's budget."""
    for bus in plan.buses:
        for device in bus.devices:
            if device.name == name:
                alone = replace(device, gauges_s=_ONCE_A_DAY, counters_s=_ONCE_A_DAY)
                return replace(plan, buses=(replace(bus, devices=(alone,)),))
    names = ", ".join(device.name for bus in plan.buses for device in bus.devices)
    raise ConfigError(f"{file}: {f'no device {name!r}' if name else 'which device?'}; there are: {names}")


def _of_address(parser: argparse.ArgumentParser, args: argparse.Namespace, look: Look) -> int:
    clock = SystemClock()
    unit = 1 if args.unit is None else args.unit
    folder = args.profiles
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--profiles {folder}: there is no such folder")
    profile = None if args.profile is None else catalogue.load(args.profile, folder)
    over = _over(parser, args, profile)
    if _shut(over):
        return SOMETHING_ABSENT
    timeout_s = args.timeout or (_SERIAL_TIMEOUT_S if isinstance(over, SerialPlan) else _TIMEOUT_S)
    bus = real_bus(BusPlan(name="read", over=over, timeout_s=timeout_s, gap_s=0.0, devices=()), clock)
    if profile is None:
        return show_registers(bus.link, unit, args.registers, clock=clock, look=look, screen=Screen())
    try:
        device = bus.add_device(f"unit-{unit}", unit, profile, args.points)
    except ValueError as err:
        raise ConfigError(f"--points: {err}") from err
    return show_device(bus, device, clock, look, Screen())


def _over(parser: argparse.ArgumentParser, args: argparse.Namespace, profile: Profile | None) -> LinkPlan:
    """The link that the options name; without --line the settings the meter leaves the factory with."""
    if args.tcp is not None:
        return TcpPlan(host=args.tcp.host, port=args.tcp.port)
    if args.serial is not None:
        line = args.line or SerialLine.parse((profile and profile.serial) or _USUAL_LINE)
        return SerialPlan(port=args.serial, line=line, rs485=False)
    document = load_text(args.bus, "--bus")
    data: Any = document.data
    if not isinstance(data, dict):
        parser.error(f"--bus {args.bus!r} must be what a bus of agent.yaml says, such as 'udp: 10.0.0.23:502'")
    stand_in = {"name": "read", "unit": 1, "profile": "none", "every": "1min"}
    try:
        return BusSettings.model_validate({**data, "name": "read", "devices": [stand_in]}).over
    except ValidationError as err:
        parser.error(f"--bus: {'; '.join(told for _, told in findings(err, document))}")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a usage error for what does not go together."""
    ways = [f"--{way}" for way in ("tcp", "serial", "bus") if getattr(args, way) is not None]
    if not ways:
        if args.file is None:
            parser.error("say which meter: AGENT.yaml DEVICE, or --tcp HOST:PORT --unit N --profile ID")
        for option in ("unit", "profile", "registers", "points", "profiles", "line"):
            if getattr(args, option) is not None:
                parser.error(f"--{option} goes with --tcp or --serial; with AGENT.yaml the file says it")
    elif args.file is not None or len(ways) > 1:
        parser.error(f"one of AGENT.yaml DEVICE, --tcp, --serial and --bus, not {' and '.join([*ways, 'more'])}")
    elif (args.profile is None) == (args.registers is None):
        parser.error(
            f"with {ways[0]} say what to read: --profile ID (see `wattline profiles list`) or --registers holding:0+40"
        )
    if args.line is not None and args.serial is None and ways:
        parser.error("--line goes with --serial")
    if args.guess and (args.registers is None or args.watch is not None):
        parser.error("--guess goes with --registers, and not with --watch")


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} must be seconds, from 0.05 to 3600")
    return seconds


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline read",
        description="Read a meter now and show every point with its unit, or why it is absent.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="AGENT.yaml", help="settings that hold the device")
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="its name there")
    place = parser.add_argument_group("a meter by its address")
    place.add_argument("--tcp", type=endpoint, metavar="HOST[:PORT]", help="meter or gateway; port 502 if none is said")
    place.add_argument("--serial", type=serial_port, metavar="PORT", help="serial port, such as /dev/ttyUSB0")
    place.add_argument(
        "--line", type=serial_line, metavar="L", help='as the meter is set; default the factory\'s, or "9600 8N1"'
    )
    place.add_argument("--bus", metavar="YAML", help="any other link, as a bus of agent.yaml says it: 'udp: HOST:PORT'")
    place.add_argument("--unit", type=unit_id, metavar="N", help="unit id; default 1")
    place.add_argument("--profile", metavar="ID", help="meter model, see `wattline profiles list`")
    place.add_argument("--profiles", type=Path, metavar="DIR", help="folder with profiles of your own")
    place.add_argument("--points", type=_names, metavar="A,B", help="only these points or quantities")
    place.add_argument("--registers", type=register_range, metavar="TABLE:ADDRESS+COUNT", help="registers as they are")
    place.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="wait for an answer; default 1, serial 0.5")
    unknown = parser.add_argument_group("an unknown meter, with --registers")
    unknown.add_argument("--guess", action="store_true", help="show every type and word order, mark what looks right")
    unknown.add_argument(
        "--between", type=_seconds, default=10.0, metavar="SECONDS", help="pause before the second read; default 10"
    )
    show = parser.add_argument_group("showing")
    show.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="until Ctrl-C, each 2 s if none are said",
    )
    show.add_argument("--raw", action="store_true", help="address, type and registers beside each value")
    show.add_argument("--json", action="store_true", help="for programs; with --watch one object a line")
    show.add_argument(
        "--log", choices=("debug", "info", "warning", "error"), default="error", help="debug shows frames"
    )
    return parser
