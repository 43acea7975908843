"""The command `wattline`: finds the subcommand and runs it, so that a gateway never imports the centre."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from wattline import __version__
from wattline.errors import ConfigError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
BAD_CONFIG: Final = 78  # EX_CONFIG: systemd does not restart a service whose settings are wrong
INTERRUPTED: Final = 130


class _Command(NamedTuple):
    door: str  # "package.module:function", called with the arguments after the subcommand
    what: str
    extra: str = ""  # of the distribution, that brings what the command needs beyond a gateway's packages


_COMMANDS: Final = {
    "run": _Command("agent.cli:run", "read the meters of this gateway and publish them (the agent)"),
    "check": _Command("agent.cli:check", "check an agent's settings and show what would be read and published"),
    "spool": _Command("agent.spool_cli:main", "what waits on this gateway: status, list, export, purge"),
    "read": _Command("agent.commission:read", "read one meter now, or watch it; look at an unknown one"),
    "scan": _Command("drivers.commission.cli:scan", "find the meters that answer at the endpoints you name"),
    "profiles": _Command("drivers.commission.profiles_cli:main", "the meter models there are: list, show, test"),
    "simulate": _Command("drivers.simulation.cli:main", "serve a simulated plant over real Modbus"),
    "demo": _Command(
        "drivers.simulation.demo:main", "simulated plant, broker, agent and centre, all on this machine", "demo"
    ),
    "centre": _Command("centre.cli:main", "the energy centre: store, accounting and page", "centre"),
}
_PACKAGES: Final = ("metering", "drivers", "agent", "centre")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration."""
    try:
        try:
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()
    except ConfigError as err:
        print(err, file=sys.stderr)
        return BAD_CONFIG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output (`| head`) has seen enough; keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _dispatch(args: list[str]) -> int:
    if args in (["--version"], ["-V"]):
        print(f"wattline {__version__}")
        return OK
    if not args or args[0] in {"-h", "--help", "help"}:
        print(_help())
        return OK if args else USAGE
    command = _COMMANDS.get(args[0])
    if command is None:
        print(f"wattline: {args[0]!r} is not a command\n\n{_help()}", file=sys.stderr)
        return USAGE
    guard_packages()
    try:
        return _function(command.door)(args[1:])
    except ModuleNotFoundError as err:
        if not command.extra or (err.name or "").partition(".")[0] in (*_PACKAGES, "wattline"):
            raise
        print(
            f"wattline: this command needs {err.name}, which a gateway's installation leaves out:"
            f" pip install 'wattline[{command.extra}]'",
            file=sys.stderr,
        )
        return FAILED


def _function(door: str) -> Callable[[list[str]], int]:
    module, _, name = door.partition(":")
    function: Callable[[list[str]], int] = getattr(import_module(module), name)
    return function


def guard_packages() -> None:
    """Refuse to run when a stray folder on the import path stands in for one of our packages; raises ConfigError."""
    home = Path(__file__).resolve().parent.parent
    for name in _PACKAGES:
        spec = find_spec(name)
        places = (
            [] if spec is None else [Path(place).resolve().parent for place in spec.submodule_search_locations or ()]
        )
        if spec is not None and home not in places[:1]:
            found = spec.origin or ", ".join(spec.submodule_search_locations or ())
            raise ConfigError(
                f"wattline: the folder {name!r} at {found} hides Wattline's package of that name, which is in {home};"
                " start in another folder, or take it out of PYTHONPATH"
            )


def _help() -> str:
    width = max(map(len, _COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {command.what}" for name, command in _COMMANDS.items())
    return (
        "Reads every meter of a factory and never loses a reading.\n\n"
        f"usage: wattline COMMAND [...]\n\n{rows}\n\n"
        "Each command explains itself: wattline run --help. To see it all work: wattline demo"
    )
