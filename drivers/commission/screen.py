"""Tables, colours, a picture redrawn in place and a progress bar: colours and redrawing on a terminal only."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO
from unicodedata import east_asian_width

_BAR: Final = 24
_UP_AND_CLEAR: Final = "\033[{lines}F\033[J"
_WIPE: Final = "\r\033[K"

BOLD: Final = "1"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
DIM: Final = "2"


def width(text: str) -> int:
    """The columns `text` takes on a terminal: Chinese characters take two."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def columns(rows: Sequence[Sequence[str]], *, right: Iterable[int] = (), indent: str = "") -> list[str]:
    """The rows as lines with aligned columns; those in `right` stand to the right. Every row has as many cells."""
    if not rows:
        return []
    widths = [max(width(row[place]) for row in rows) for place in range(len(rows[0]))]
    to_right = frozenset(right)
    return [
        (
            indent
            + "  ".join(
                " " * (wide - width(cell)) + cell if place in to_right else cell + " " * (wide - width(cell))
                for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in rows
    ]


class Screen:
    """Where text for people goes: `colour` only where the stream is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_terminal = self._stream.isatty()
        self._drawn = 0

    def paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.is_terminal and text else text

    def write(self, text: str) -> None:
        """Lines below what stands there."""
        self._stream.write(text + "\n")
        self._stream.flush()
        self._drawn = 0

    def redraw(self, lines: Sequence[str]) -> None:
        """The picture in place of the last one; in a pipe the pictures follow each other."""
        if self.is_terminal and self._drawn:
            self._stream.write(_UP_AND_CLEAR.format(lines=self._drawn))
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._drawn = len(lines)


class Progress:
    """A bar on a terminal, lines of what happens above it; elsewhere only the lines. Goes to standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()

    def show(self, done: int, of: int, left_s: float, what: str) -> None:
        if self._shows:
            filled = _BAR * done // max(of, 1)
            bar = "█" * filled + "·" * (_BAR - filled)
            self._write(f"{bar} {done}/{of}  {time_text(left_s)} left  {what}"[:110])

    def line(self, text: str) -> None:
        """Something that is to stay."""
        self._write(text + "\n")

    def clear(self) -> None:
        if self._shows:
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write((_WIPE if self._shows else "") + text)
        self._stream.flush()


def time_text(seconds: float) -> str:
    """A duration for people: `8 s`, `4 min 10 s`, `1 h 5 min`."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
