"""The product's spool with another journal: that of an older Wattline, or one that is not flushed."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from agent import spool_file

OLDER: Final = ("WAL", "FULL")
_SYNCHRONOUS: Final = {"OFF": 0, "NORMAL": 1, "FULL": 2}


@contextmanager
def other_journal(mode: str, synchronous: str) -> Generator[None]:
    """Files opened meanwhile have the SQLite pragmas `journal_mode` and `synchronous` set to this."""
    answers = {
        "journal_mode": (mode, mode.lower()),
        "synchronous": (synchronous, _SYNCHRONOUS[synchronous]),
    }
    pragmas = tuple((name, *answers.get(name, rest)) for name, *rest in vars(spool_file)["_PRAGMAS"])
    with patch.object(spool_file, "_PRAGMAS", pragmas):
        yield
