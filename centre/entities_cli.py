"""The command `wattline centre entities`: check a file of entities, export those of the books, import a file."""

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from centre.books.file import Books
from centre.entities import Entities
from centre.entities_file import load_entities, to_yaml
from centre.entities_kept import EntityBook
from centre.errors import FigureError
from centre.settings import Setup, load_setup
from centre.store.base import StoreError, StoreUnusable
from wattline.clock import SystemClock

_ABOUT: Final = """\
Entities are what energy is accounted for, from equipment to city, with their meters and dated membership.

  wattline centre entities check entities.yaml
  wattline centre entities export entities.yaml --settings centre.yaml      (- for the standard output)
  wattline centre entities import entities.yaml --settings centre.yaml --author li --reason "press 3 moved"

Every mistake is a line FILE:LINE: KEY, and then nothing is taken. An import stands in place of all entities; what it
changed stands in the audit. The centre may be running.

Exit status: 0 done, 1 not done, 2 wrong usage, 78 wrong configuration or entities.
"""


def main(argv: list[str]) -> int:
    """`wattline centre entities ...`; returns the exit status. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        prog="wattline centre entities", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {"check": "look for mistakes", "export": "write the entities of the books", "import": "take a file over"}
    for name, help_ in helps.items():
        command = commands.add_parser(name, help=help_)
        command.add_argument("file", type=Path, metavar="FILE")
        if name != "check":
            command.add_argument("--settings", type=Path, required=True, metavar="CENTRE.YAML")
        if name == "import":
            command.add_argument("--author", required=True, help="who does it")
            command.add_argument("--reason", required=True, help="why")
    options = parser.parse_args(argv)
    if options.command == "check":
        print(_told(load_entities(options.file)))
        return 0
    entities = load_entities(options.file) if options.command == "import" else None
    setup = load_setup(options.settings)
    try:
        if entities is None:
            _write(options.file, to_yaml(asyncio.run(_kept(setup))))
        else:
            version = asyncio.run(_import(setup, entities, options.author, options.reason))
            print(f"{_told(entities)}; version {version}")
    except (FigureError, StoreError, StoreUnusable, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def _told(entities: Entities) -> str:
    kinds = Counter(entity.kind.value for entity in entities)
    meters = sum(len(entity.meters) for entity in entities)
    return f"{', '.join(f'{count} {kind}' for kind, count in kinds.items())}; {meters} meters"


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def _books(setup: Setup) -> Books:
    return Books(setup.books, SystemClock())


async def _kept(setup: Setup) -> Entities:
    """Those of the books; before the centre ran for the first time, those of the settings."""
    async with _books(setup) as books:
        kept = await EntityBook(books, SystemClock(), setup.plants).kept()
        return kept.entities if kept.version else setup.entities


async def _import(setup: Setup, entities: Entities, author: str, reason: str) -> int:
    async with _books(setup) as books:
        book = EntityBook(books, SystemClock(), setup.plants)
        return await book.replace_all(entities, author=author, reason=reason, expected=None)
