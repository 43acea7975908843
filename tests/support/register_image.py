"""Register images straight from the fact tables in tests/data/meters: a second opinion, without the product's code."""

import csv
import random
import re
import struct
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

FACTS = Path(__file__).parent.parent / "data" / "meters"
_STRUCT = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q", "f32": ">f", "f64": ">d"}


@dataclass(frozen=True)
class Fact:
    """One row of a fact table."""

    point: str
    table: str
    address: int
    type: str
    word_order: str
    scale: Decimal
    unit: str
    notes: str


@dataclass
class RegisterImage:
    """Registers of a meter and, per point of its fact table, the value they stand for in the unit of the table."""

    holding: dict[int, int]
    input: dict[int, int]
    raw: dict[str, Decimal | str]
    facts: dict[str, Fact]


def facts(table: str) -> list[Fact]:
    with (FACTS / f"{table}.csv").open(newline="") as file:
        return [
            Fact(
                row["point"],
                row["table"],
                int(row["address"]),
                row["type"],
                row["word_order"],
                Decimal(row["scale"]),
                row["unit"],
                row["notes"],
            )
            for row in csv.DictReader(file)
        ]


def register_image(table: str, seed: int = 1) -> RegisterImage:
    """Plausible raw contents for every row; a row whose registers an earlier row has already taken is left out.

    A SunSpec table gets a chain of models around it, at another place for each seed.
    """
    rng = random.Random(seed)
    image = RegisterImage({}, {}, {}, {})
    place = _chain(table, seed, image) if table.startswith("sunspec") else 0
    for fact in facts(table):
        if fact.point in {"model_id", "model_length"}:
            continue
        raw, words = _contents(fact, rng)
        if table.startswith("socomec") and isinstance(raw, str):  # one character per register
            raw = raw[: len(words)].strip()
            words = [*map(ord, raw), *[0] * (len(words) - len(raw))]
        registers = image.holding if fact.table == "holding" else image.input
        if any(place + fact.address + n in registers for n in range(len(words))):
            continue
        registers.update({place + fact.address + n: word for n, word in enumerate(words)})
        image.raw[fact.point] = raw
        image.facts[fact.point] = fact
    return image


def _chain(table: str, seed: int, image: RegisterImage) -> int:
    """The marker, perhaps other models, and the head of the table's model; returns the address of its id register."""
    model = int(table.split("_")[1])
    length = max(fact.address + _registers(fact.type) for fact in facts(table)) - 2
    at = {1: 40000, 2: 50000}.get(seed, 0)
    heads: list[int] = [0x5375, 0x6E53]
    for other, size in [] if model == 1 else [(1, 66), (12, 98)][:seed]:
        heads += [other, size, *[0xFFFF] * size]
    image.holding.update({at + n: word for n, word in enumerate([*heads, model, length])})
    image.holding.update({at + len(heads) + 2 + length: 0xFFFF})
    return at + len(heads)


def _registers(type_: str) -> int:
    digits = int(re.sub(r"\D", "", type_))
    return digits if type_.startswith("ascii") else digits // 4 if type_.startswith("bcd") else digits // 16


def _code(fact: Fact, rng: random.Random) -> int | None:
    """A code or exponent that the table knows."""
    if fact.unit == "exp10":
        return rng.randrange(0 if fact.type == "u16" else -3, 3)
    if fact.point.startswith("scale_code"):
        return rng.randrange(7)
    if fact.point.startswith("unit_code") and (known := re.match(r"(\d+)=", fact.notes)):
        return int(known[1])
    if setting := re.match(r"write (\d+)|(\d+) = float registers", fact.notes):
        return int(setting[1] or setting[2])  # what the meter must be set to for the table to hold
    return None


def _contents(fact: Fact, rng: random.Random) -> tuple[Decimal | str, list[int]]:
    if fact.type.startswith("ascii"):
        text = "B23 1.07"
        data = text.encode().ljust(2 * int(fact.type[5:]), b"\0")
        return text, _words(data, "big")
    if fact.type.startswith("bcd"):
        digits = int(fact.type[3:])
        number = rng.randrange(10**digits)
        return Decimal(number), _words(bytes.fromhex(f"{number:0{digits}d}"), fact.word_order)
    if (code := _code(fact, rng)) is not None:
        return Decimal(code), _words(struct.pack(_STRUCT[fact.type], code), fact.word_order)
    if fact.type in {"f32", "f64"}:
        if "4Q_FP_PF" in fact.notes:
            number_f = rng.choice([-1.25, -0.75, 0.5, 1.125])
        elif fact.point == "frequency":
            number_f = float(50 / fact.scale) + 0.125
        else:
            number_f = rng.randrange(-80_000, 80_000) / 8
        return Decimal(number_f), _words(struct.pack(_STRUCT[fact.type], number_f), fact.word_order)
    if fact.point in {"ct_ratio", "pt_ratio"}:
        number = rng.randrange(10, 60)
    elif fact.point == "frequency":
        number = int(50 / fact.scale) + 1
    elif fact.type in {"i32", "i64"}:
        number = rng.randrange(-(10**8), 10**8)
    else:
        number = rng.randrange(1, 30_000)
    return Decimal(number), _words(struct.pack(_STRUCT[fact.type], number), fact.word_order)


def _words(data: bytes, word_order: str) -> list[int]:
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    return words if word_order == "big" else words[::-1]
