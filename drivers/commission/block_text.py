"""Plain registers as a table for people: printed addresses, and the registers under every type and word order. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from drivers.commission.guess import LIKELY, Guess
from drivers.commission.interpret import NUMBERS, bcd_at, number_at
from drivers.commission.plain_registers import Registers
from drivers.commission.screen import BOLD, DIM, GREEN, RED, YELLOW, Screen, columns
from drivers.commission.target import Range
from drivers.commission.words import fault_words
from drivers.modbus.profile import Table, ValueType, WordOrder
from metering.float32 import shortest_float32

_PRINTED: Final = {Table.HOLDING: 40001, Table.INPUT: 30001}
_MOST_PRINTED: Final = 9999  # beyond, manuals write six digits


def printed(table: Table, address: int) -> str:
    """The address as many manuals print it: 40001 is the first holding register, 30001 the first input register."""
    if address < _MOST_PRINTED:
        return str(_PRINTED[table] + address)
    return str((_PRINTED[table] - 1) * 10 + 1 + address)


def block_lines(wanted: Range, found: Registers, guesses: Sequence[Guess] | None, screen: Screen) -> list[str]:
    """The table, under all types when `guesses` are given, then what is absent, then the guesses."""
    lines = [screen.paint(f"{wanted} as read; 'wire' is the address on the wire", BOLD)]
    wide = guesses is not None
    marked = {at: guess for guess in guesses or () for at in range(guess.address, guess.end)}
    rows = [_head(wide)]
    rows += [_row(wanted.table, at, found.words, wide) for at in sorted(found.words)]
    cells = columns(rows, right=range(len(rows[0])), indent="  ")
    lines.append(screen.paint(cells[0], DIM))
    for at, line in zip(sorted(found.words), cells[1:], strict=True):
        guess = marked.get(at)
        lines.append(line if guess is None else screen.paint(line, GREEN if guess.score >= LIKELY else YELLOW))
    lines += [screen.paint(text, RED) for text in absent_lines(found)]
    if wide:
        lines += ["", *_long_lines(found.words, screen)]
        lines += ["", *guess_lines(guesses or (), screen)]
    return lines


def absent_lines(found: Registers) -> list[str]:
    """What was not given and why, neighbours together."""
    spans: list[tuple[int, int, str]] = []
    for at, fault in sorted(found.absent.items()):
        why = fault_words(fault)
        if spans and spans[-1][1] == at - 1 and spans[-1][2] == why:
            spans[-1] = (spans[-1][0], at, why)
        else:
            spans.append((at, at, why))
    return [f"  {first}{f'..{last}' * (last > first)}: {why}" for first, last, why in spans]


def _head(wide: bool) -> tuple[str, ...]:
    short = ("wire", "wire+1", "manual", "hex", "u16", "i16")
    return (
        (*short, "u32 big", "u32 little", "i32 big", "i32 little", "f32 big", "f32 little", "bcd8") if wide else short
    )


def _row(table: Table, at: int, words: Mapping[int, bytes], wide: bool) -> tuple[str, ...]:
    big, little = WordOrder.BIG, WordOrder.LITTLE
    short = (str(at), str(at + 1), printed(table, at), words[at].hex().upper(), _cell(words, at, "u16", big))
    signed = _negative(words, at, "i16", big)
    if not wide:
        return (*short, signed)
    return (
        *short,
        signed,
        _cell(words, at, "u32", big),
        _cell(words, at, "u32", little),
        _negative(words, at, "i32", big),
        _negative(words, at, "i32", little),
        _cell(words, at, "f32", big),
        _cell(words, at, "f32", little),
        (bcd_at(words, at, 2) or "").lstrip("0"),
    )


def _cell(words: Mapping[int, bytes], at: int, type_name: str, order: WordOrder) -> str:
    number = number_at(words, at, ValueType.parse(type_name), order)
    if number is None:
        return ""
    if isinstance(number, int):
        return str(number)
    if 0 < abs(number) < 1e-4 or abs(number) >= 1e10:
        return "~0" if abs(number) < 1 else "huge"
    return f"{Decimal(shortest_float32(number)):f}"[:12] if type_name == "f32" else f"{number:.10g}"


def _negative(words: Mapping[int, bytes], at: int, type_name: str, order: WordOrder) -> str:
    """Signed only where it differs from unsigned, so that the eye finds it."""
    number = number_at(words, at, ValueType.parse(type_name), order)
    return str(number) if number is not None and number < 0 else ""


def _long_lines(words: Mapping[int, bytes], screen: Screen) -> list[str]:
    """The 64-bit numbers that can be meant: below 10^13, not zero."""
    rows: list[tuple[str, ...]] = [("wire", "type", "order", "value")]
    for value_type, order in NUMBERS:
        for at in sorted(words):
            number = number_at(words, at, value_type, order) if value_type.registers == 4 else None
            if number is not None and 1e-3 <= abs(number) < 1e13 and (value_type.family != "i" or number < 0):
                text = str(number) if isinstance(number, int) else f"{number:.10g}"
                rows.append((str(at), str(value_type), order.value, text))
    if len(rows) == 1:
        return ["no 64-bit number of a sensible size"]
    rows[1:] = sorted(rows[1:], key=lambda row: int(row[0]))
    return [screen.paint("64-bit numbers of a sensible size", BOLD), *columns(rows, right=(0, 3), indent="  ")]


def guess_lines(guesses: Sequence[Guess], screen: Screen) -> list[str]:
    """What the registers may be, as lines for a profile."""
    if not guesses:
        return [
            "nothing here looks like a voltage, a frequency, a power factor, a counter or text; try other addresses"
        ]
    lines = [screen.paint("looks like (lines for `points:` of a profile, see docs/add-a-meter.md)", BOLD)]
    for guess in guesses:
        colour, word = (GREEN, "likely") if guess.score >= LIKELY else (YELLOW, "perhaps")
        lines.append(screen.paint(f"  {word}: {', '.join(guess.values)} {_unit(guess)}- {guess.why}", colour))
        lines += [f"    {line}" for line in guess.profile_lines]
    lines += ["", "Names are a first guess: compare each value with the meter's display before you trust it."]
    return lines


def _unit(guess: Guess) -> str:
    return f"{guess.unit} " if guess.unit not in {"1", "code"} and not guess.points[0].startswith("energy") else ""


def block_json(wanted: Range, unit: int, found: Registers, guesses: Sequence[Guess] | None) -> dict[str, Any]:
    """The same for programs; `guesses` is None when none were asked for."""
    told: dict[str, Any] = {
        "table": wanted.table.value,
        "unit": unit,
        "registers": [
            {"address": at, "manual": printed(wanted.table, at), "word": int.from_bytes(word)}
            for at, word in sorted(found.words.items())
        ],
        "absent": [
            {"address": at, "fault": fault.value, "why": fault_words(fault)}
            for at, fault in sorted(found.absent.items())
        ],
        "error": found.error,
    }
    if guesses is not None:
        told["guesses"] = [
            {
                "likely": guess.score >= LIKELY,
                "score": guess.score,
                "points": list(guess.points),
                "address": guess.address,
                "type": str(guess.type),
                "word_order": guess.word_order.value,
                "scale": float(guess.scale),
                "values": list(guess.values),
                "why": guess.why,
                "profile_lines": list(guess.profile_lines),
            }
            for guess in guesses
        ]
    return told
