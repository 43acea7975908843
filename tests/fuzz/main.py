"""Fuzz of the Modbus links: every frame is damaged, foreign or late, and none may become a wrong value.

rtu: mutated replies on a serial line. tcp: the same on a TCP connection. late: replies that come after their time and in
another order, on a serial line. Exit code 1 when a value was wrong or the link crashed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]  # -P and PYTHONSAFEPATH leave them out

from fuzz.result import Progress, Result  # noqa: E402

_KINDS = {
    "rtu": ("fuzz.rtu_frames", 1_000_000),
    "tcp": ("fuzz.tcp_frames", 1_000_000),
    "late": ("fuzz.rtu_late", 100_000),
    "tcp-late": ("fuzz.tcp_late", 50_000),
}


def main() -> int:
    """Run what was asked for and print what came out."""
    args = _parser().parse_args()
    kinds = list(_KINDS) if args.kind == "all" else [args.kind]
    passed = [_run(kind, args.frames or _KINDS[kind][1], args.seed) for kind in kinds]
    return 0 if all(passed) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", nargs="?", default="all", choices=[*_KINDS, "all"], help="what to run (all)")
    parser.add_argument("--frames", type=int, metavar="N", help="how many (1000000; late: 100000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed sends the same frames (1)")
    return parser


def _run(kind: str, frames: int, seed: int) -> bool:
    run: Callable[[int, int, Progress], Result] = import_module(_KINDS[kind][0]).run
    began = time.monotonic()
    result = run(frames, seed, lambda done: _progress(kind, done, frames))
    _progress(kind, 0, 0)
    notes = ", ".join(f"{count} {name}" for name, count in sorted(result.notes.items()))
    print(
        f"{kind}: {result.frames} frames, seed {seed}, {time.monotonic() - began:.0f} s:"
        f" {result.wrong} wrong values, {result.crashes} crashes; {result.accepted} right values; {notes}"
    )
    for example in result.examples:
        print(f"  {example}")
    return result.passed


def _progress(kind: str, done: int, frames: int) -> None:
    if sys.stderr.isatty():
        text = f"{kind}: {done} of {frames} ({100 * done // frames} %)" if frames else ""
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
