"""What commissioning commands are pointed at: ranges, lines, and the bus budget's way out."""

from decimal import Decimal

import pytest

from agent.budget import NS, Load, budget, interval_text
from drivers.commission.target import register_range, serial_lines


@pytest.mark.parametrize(
    ("text", "address", "count"),
    [("holding:0+40", 0, 40), ("0-60", 0, 61), ("input:0x10-0x1f", 16, 16), ("7", 7, 1)],
)
def test_a_range_is_said_by_its_count_or_its_last_register(text: str, address: int, count: int) -> None:
    wanted = register_range(text)
    assert (wanted.address, wanted.count) == (address, count)


def test_the_frequent_lines_come_first() -> None:
    assert [str(line) for line in serial_lines(["9600,19200", "8N1,8E1"])] == [
        "9600 8N1",
        "9600 8E1",
        "19200 8E1",
        "19200 8N1",
    ]
    assert str(serial_lines([])[0]) == "9600 8N1"
    assert {line.baud for line in serial_lines(["4800"])} == {4800}


@pytest.mark.parametrize("words", [["9601"], ["7E1"], ["9600", "8X1"]])
def test_a_line_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"line|bits"):
        serial_lines(words)


def test_a_bus_says_what_it_needs_and_what_would_fit() -> None:
    load = Load(requests=10, interval_ns=10 * NS, pause_s=0.0, wire_s=6.0)
    assert budget([load]).needs(budget([load]).usual) == "6.2 s of each 10 s"
    eight = budget([load] * 3)
    assert not eight.fits
    assert eight.fitting_s == Decimal(30)
    assert "`every: 30s` would fit" in eight.way_out
    endless = budget([Load(requests=1, interval_ns=NS, pause_s=0.0, wire_s=100_000.0)])
    assert endless.fitting_s is None
    assert "no interval would fit" in endless.way_out
    assert [interval_text(Decimal(text)) for text in ("0.5", "2", "900", "3600")] == ["500ms", "2s", "15min", "1h"]
