"""RefusalBook: what all meters of a gateway refused, kept in one small JSON file. Harmless when lost or damaged.

A device's page is found by its name, where it is asked, its profile and the content of its points: a changed profile
starts with nothing, and so does a corrected unit id or address, for what was refused there was another meter's word.
"""

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from drivers.modbus.profile import Profile, Table
from drivers.modbus.refusals import MAX_SEAMS, REFUSED, Refusals, Seam, Shut
from wattline.small_file import replace_file

NAME: Final = "quarantine.json"
_VERSION: Final = 1
_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_TIMES: Final = 1000
_TABLES: Final = frozenset(table.value for table in Table)


class RefusalBook:
    """Read once, when made; `page` for each device; `text` and `write` when `changed`."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing outlives the process. Raises nothing: a file that cannot be used counts as empty."""
        self._path = path
        self._read = {} if path is None else _read(path)
        self._pages: dict[str, Refusals] = {}
        self._written = 0

    def page(self, device: str, profile: Profile, where: str = "") -> Refusals:
        """What this device refused `where` it is asked; the same object each time."""
        key = _key(device, profile, where)
        if key not in self._pages:
            self._pages[key] = _refusals(self._read.pop(key, None), profile)
        return self._pages[key]

    @property
    def quarantined(self) -> int:
        """How many points are in quarantine."""
        return sum(len(page.points) for page in self._pages.values())

    @property
    def changed(self) -> bool:
        """True when `text` says something new."""
        return self._path is not None and self._written != self._version

    @property
    def _version(self) -> int:
        return sum(page.version for page in self._pages.values())

    def text(self) -> str:
        """The file as it is now to be; counts as written unless `write` fails."""
        self._written = self._version
        pages = {key: _plain(page) for key, page in self._pages.items() if page.points or page.seams}
        return json.dumps({"version": _VERSION, "devices": pages}, indent=1, sort_keys=True)

    def write(self, text: str) -> None:
        """Put the file in place at once and whole; blocks for the disk; raises OSError."""
        assert self._path is not None
        try:
            replace_file(self._path, text)
        except OSError:
            self._written = -1
            raise


def _key(device: str, profile: Profile, where: str) -> str:
    content = "\n".join(f"{p.name} {p.table} {p.address} {p.type} {p.alone}" for _, p in sorted(profile.points.items()))
    return f"{device} {where} {profile.id} {zlib.crc32(f'{content} {profile.limits}'.encode()):08x}"


def _plain(page: Refusals) -> dict[str, Any]:
    return {
        "points": {name: [shut.code, shut.times, shut.again_ns] for name, shut in page.points.items()},
        "seams": [[str(table), low, high] for table, low, high in sorted(page.seams)],
    }


def _read(path: Path) -> dict[str, Any]:
    """The pages of the file as JSON gives them; empty when there is none that can be used."""
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            told = _mapping(json.loads(file.read(_MAX_BYTES)))
        if told.get("version") == _VERSION:
            return _mapping(told.get("devices"))
    return {}


def _refusals(told: object, profile: Profile) -> Refusals:
    """A page as the file tells it; whatever does not fit the profile is left out."""
    page = _mapping(told)
    points = {
        name: shut
        for name, text in _mapping(page.get("points")).items()
        if name in profile.points and (shut := _shut(text)) is not None
    }
    seams = [seam for text in _list(page.get("seams"))[:MAX_SEAMS] if (seam := _seam(text)) is not None]
    return Refusals(points, seams)


def _shut(told: object) -> Shut | None:
    match told:
        case [int(code), int(times), int(again_ns)] if code in REFUSED and times > 0:
            return Shut(code=code, times=min(times, _MAX_TIMES), again_ns=again_ns)
        case _:
            return None


def _seam(told: object) -> Seam | None:
    match told:
        case [str(table), int(low), int(high)] if table in _TABLES and 0 <= low <= 0xFFFF and -1 <= high <= 0xFFFF:
            return (Table(table), low, high)
        case _:
            return None


def _mapping(told: object) -> dict[str, Any]:
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _list(told: object) -> list[object]:
    return cast("list[object]", told) if isinstance(told, list) else []
