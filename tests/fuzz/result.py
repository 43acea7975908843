"""What a fuzz run found, and how it tells how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int], None]
"""Called now and then with the number of frames so far."""


@dataclass(slots=True, kw_only=True)
class Result:
    """`wrong` and `crashes` are what must be 0; `examples` are the first few of them, for people."""

    frames: int = 0
    accepted: int = 0
    """Right values, from frames that were mutated harmlessly or not at all."""
    wrong: int = 0
    crashes: int = 0
    notes: dict[str, int] = field(default_factory=dict[str, int])
    """Other counts, by name."""
    examples: list[str] = field(default_factory=list[str])

    @property
    def passed(self) -> bool:
        return not self.wrong and not self.crashes

    def note(self, name: str) -> None:
        self.notes[name] = self.notes.get(name, 0) + 1

    def blame(self, example: str) -> None:
        if len(self.examples) < 10:
            self.examples.append(example)
