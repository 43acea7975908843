"""SerialLine: baud rate, parity and stop bits of a serial line, and the times that follow from them. Pure.

Source: MODBUS over Serial Line V1.02, 2.5.1.1: frames are parted by 3.5 characters of silence; above 19200 baud the
silence is 1.75 ms whatever the rate.
"""

import re
from dataclasses import dataclass
from typing import Final

BAUD_RATES: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_FORM: Final = re.compile(r"(\d{4,6}) ([78])([NEO])([12])")
_FIXED_ABOVE: Final = 19200
_FIXED_SILENCE_S: Final = 0.00175


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How characters travel; the text form is `9600 8N1`."""

    baud: int
    data_bits: int
    parity: str  # N, E or O
    stop_bits: int

    @classmethod
    def parse(cls, text: str) -> "SerialLine":
        """The line of its text; ValueError saying what would be right."""
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) not in BAUD_RATES:
            rates = ", ".join(map(str, BAUD_RATES))
            raise ValueError(
                f"{text!r} is no serial line: write baud rate, data bits, parity and stop bits as in 9600 8N1 or"
                f" 19200 8E1; rates are {rates}"
            )
        return cls(int(match[1]), int(match[2]), match[3], int(match[4]))

    @property
    def character_s(self) -> float:
        """Seconds one character takes: start bit, data bits, parity bit if there is one, stop bits."""
        return (1 + self.data_bits + (self.parity != "N") + self.stop_bits) / self.baud

    @property
    def silence_s(self) -> float:
        """Seconds of silence that part two frames."""
        return _FIXED_SILENCE_S if self.baud > _FIXED_ABOVE else 3.5 * self.character_s

    def read_s(self, registers: int) -> float:
        """Seconds a read of `registers` takes at least: request, reply, and the silence after each."""
        return (8 + 5 + 2 * registers) * self.character_s + 2 * self.silence_s

    def __str__(self) -> str:
        return f"{self.baud} {self.data_bits}{self.parity}{self.stop_bits}"
