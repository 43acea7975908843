"""A slice of `scripts/torn`: a journal cut, and a byte of it flipped, at every 211th offset."""

from pathlib import Path

import pytest

from support.torn import torn


@pytest.mark.parametrize("seed", [1, 2])
def test_a_torn_journal_costs_nothing_and_a_damaged_one_a_page_and_neither_gives_garbage(
    tmp_path: Path, seed: int
) -> None:
    assert list(torn(tmp_path, 211, seed)) == []
