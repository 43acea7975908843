"""A slice of `scripts/torn`: at every 211th offset a journal cut, a byte of it flipped, and a bit of the file."""

from pathlib import Path

import pytest

from support.torn import flipped, torn


@pytest.mark.parametrize("seed", [1, 2])
def test_a_torn_journal_costs_nothing_and_a_damaged_one_a_page_and_neither_gives_garbage(
    tmp_path: Path, seed: int
) -> None:
    assert list(torn(tmp_path, 211, seed)) == []


def test_a_flipped_bit_costs_what_a_page_holds_and_all_of_that_is_counted(tmp_path: Path) -> None:
    assert list(flipped(tmp_path, 211, 1)) == []
