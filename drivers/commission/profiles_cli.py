"""The door `wattline profiles list|show|test|schema`: which models there are, and whether their files are sound."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from drivers.modbus import catalogue, profile_report
from drivers.modbus.profile import Computed, Point, Profile
from drivers.modbus.profile_report import ProfileCheck, ProfileRow
from drivers.modbus.profile_schema import text as schema_text
from wattline.errors import ConfigError

_EXAMPLES: Final = """
examples:
  wattline profiles list gavazzi          words that stand in id, maker, model or medium
  wattline profiles show siemens-pac3200  every point with its register
  wattline profiles test meters/          the profiles of your own, by file and line

A profile of your own: docs/add-a-meter.md

exit status: 0 done, 1 nothing found, 2 wrong usage, 78 a profile is wrong
"""
_HEAD: Final = ("profile", "maker", "model", "medium", "points", "unverified", "reads")


def main(argv: list[str]) -> int:
    """`wattline profiles`: 0, 1 when `list` finds none, 78 by ConfigError."""
    args = _parser().parse_args(argv)
    if args.profiles is not None and not args.profiles.is_dir():
        raise ConfigError(f"--profiles {args.profiles}: there is no such folder")
    match args.what:
        case "list":
            return _list(args.words, args.profiles, as_json=args.json)
        case "show":
            return _show(catalogue.load(args.id, args.profiles), as_json=args.json)
        case "schema":
            print(schema_text(), end="")
            return 0
        case _:
            return _test(args.which, args.profiles, as_json=args.json)


def _list(words: Sequence[str], folder: Path | None, *, as_json: bool) -> int:
    rows = profile_report.rows(folder, " ".join(words))
    if as_json:
        _print_json([_row_json(row) for row in rows])
    elif rows:
        _print_table([_HEAD, *map(_cells, rows)])
        print(f"\n{len(rows)} {'model' if len(rows) == 1 else 'models'}; reads: requests of one sweep")
    else:
        print(f"no profile has {' '.join(words)!r}; wattline profiles list shows all")
    return 0 if rows else 1


def _cells(row: ProfileRow) -> tuple[str, ...]:
    unverified = row.points - row.verified
    own = " (own)" if row.own else ""
    return (
        f"{row.id}{own}", row.manufacturer, row.model, row.medium, str(row.points), str(unverified or ""),
        str(row.requests),
    )  # fmt: skip


def _row_json(row: ProfileRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "manufacturer": row.manufacturer,
        "model": row.model,
        "medium": row.medium,
        "serial": row.serial,
        "points": row.points,
        "unverified": row.points - row.verified,
        "requests": row.requests,
        "own": row.own,
    }


def _show(profile: Profile, *, as_json: bool) -> int:
    if as_json:
        _print_json(_profile_json(profile))
    else:
        print("\n".join(profile_report.show(profile)))
    return 0


def _profile_json(profile: Profile) -> dict[str, Any]:
    return {
        **_row_json(profile_report.row_of(profile)),
        "manual": profile.manual,
        "sources": list(profile.sources),
        "notes": profile.notes,
        "default_unit": profile.default_unit,
        "sunspec": list(profile.sunspec),
        "known_by": {probe.name: list(probe.values) for probe in profile.probes},
        "settings": [{"point": each.name, "value": each.value, "written": each.write} for each in profile.settings],
        "every_point": [_point_json(point) for point in profile.points.values()]
        + [_point_json(point) for point in profile.computed.values()],
    }


def _point_json(point: Point | Computed) -> dict[str, Any]:
    where: dict[str, Any] = (
        {"table": point.table.value, "address": point.address, "type": str(point.type)}
        if isinstance(point, Point)
        else {"plus": list(point.plus), "minus": list(point.minus)}
    )
    return {
        "name": point.name,
        "unit": point.unit,
        "kind": point.quantity.kind.value,
        "verified": point.verified,
        "on_request": point.on_request,
        "note": point.note,
        **where,
    }


def _test(which: str | None, folder: Path | None, *, as_json: bool) -> int:
    """Test what `which` names; raises ConfigError with every mistake of every file."""
    checks = tuple(_checks(which, folder))
    if as_json:
        _print_json([_check_json(check) for check in checks])
    else:
        _print_table([("profile", "points", "unverified", ""), *map(_check_cells, checks)])
    wrong = [check for check in checks if not check.passed]
    if wrong:
        raise ConfigError("\n".join(check.error for check in wrong))
    if not as_json:
        points, unverified = sum(check.points for check in checks), sum(check.unverified for check in checks)
        print(
            f"\n{len(checks)} {'profile is' if len(checks) == 1 else 'profiles are'} sound. {unverified} of {points}"
            " points have one source or a conflict: compare them with the meter's display."
        )
    return 0


def _checks(which: str | None, folder: Path | None) -> Iterable[ProfileCheck]:
    """By the text given: a folder, a file, an id, or nothing for all."""
    if which is None:
        return profile_report.check_all(folder)
    path = Path(which)
    if path.is_dir():
        files = sorted(path.glob("*.yaml"))
        if not files:
            raise ConfigError(f"{path}: there is no profile, that is no file named *.yaml, in this folder")
        return (profile_report.check(file.stem, path) for file in files)
    if path.suffix == ".yaml":
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
        return (profile_report.check(path.stem, path.parent),)
    return (profile_report.check(which, folder),)


def _check_cells(check: ProfileCheck) -> tuple[str, ...]:
    if not check.passed:
        return (check.id, "", "", "WRONG")
    return (check.id, str(check.points), str(check.unverified or ""), "; ".join(check.notices))


def _check_json(check: ProfileCheck) -> dict[str, Any]:
    return {
        "id": check.id,
        "file": str(check.path),
        "passed": check.passed,
        "mistakes": check.error.splitlines(),
        "points": check.points,
        "unverified": check.unverified,
        "notices": list(check.notices),
    }


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(what: object) -> None:
    print(json.dumps(what, indent=2, ensure_ascii=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wattline profiles",
        description="The meter models this gateway can read, without asking any meter.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profiles", type=Path, metavar="DIR", help="folder with profiles of your own, which go first")
    common.add_argument("--json", action="store_true", help="the same for programs")
    commands = parser.add_subparsers(dest="what", required=True, metavar="list|show|test|schema")
    lister = commands.add_parser("list", parents=[common], help="one line for each model")
    lister.add_argument("words", nargs="*", metavar="WORD", help="only what has all these words")
    shower = commands.add_parser("show", parents=[common], help="one model: its points, registers, sources and notes")
    shower.add_argument("id", metavar="ID", help="such as siemens-pac3200")
    tester = commands.add_parser("test", parents=[common], help="whether profiles are sound, mistakes by file and line")
    tester.add_argument("which", nargs="?", metavar="ID|FILE|FOLDER", help="default: all profiles there are")
    commands.add_parser("schema", parents=[common], help="the JSON schema of a profile, for your editor")
    return parser
