"""A slice of `scripts/torn`: the log torn at every 211th offset, cut there and a byte flipped."""

from pathlib import Path

import pytest

from support.torn import torn


@pytest.mark.parametrize("seed", [1, 2])
def test_a_torn_log_costs_the_torn_commit_at_most_and_gives_no_garbage(tmp_path: Path, seed: int) -> None:
    assert list(torn(tmp_path, 211, seed)) == []
