"""IdentityBook: which meter answered under which name, kept in one small JSON file. Harmless when lost or damaged.

A meter that tells its serial number cannot be changed unseen, not even while the gateway is off.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from metering.quantities import IDENTITY
from metering.sweep import Sweep
from wattline.small_file import replace_file

NAME: Final = "meters.json"
_VERSION: Final = 1
_MAX_BYTES: Final = 1024 * 1024


class IdentityBook:
    """Read once, when made; `text` and `write` when `changed`."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing outlives the process. Raises nothing: a file that cannot be used counts as empty."""
        self._path = path
        self._known: dict[str, str] = {} if path is None else dict(_read(path))
        self.changed = False

    def swapped(self, sweep: Sweep) -> tuple[str, str] | None:
        """(old, new) serial number when another meter answered than before; the new one is the known one from then."""
        told = sweep.values.get(IDENTITY)
        if not told:  # a meter that is still starting tells 0
            return None
        new, old = str(told), self._known.get(sweep.device)
        if new == old:
            return None
        self._known[sweep.device] = new
        self.changed = self._path is not None
        return None if old is None else (old, new)

    def text(self) -> str:
        """The file as it is now to be; counts as written."""
        self.changed = False
        return json.dumps({"version": _VERSION, "meters": self._known}, indent=1, sort_keys=True)

    def write(self, text: str) -> None:
        """Put the file in place at once and whole; blocks for the disk; raises OSError."""
        assert self._path is not None
        replace_file(self._path, text)


def _read(path: Path) -> Mapping[str, str]:
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            told: Any = json.loads(file.read(_MAX_BYTES))
        with suppress(KeyError, TypeError, AttributeError):
            if told["version"] == _VERSION:
                return {str(name): str(serial) for name, serial in told["meters"].items()}
    return {}
