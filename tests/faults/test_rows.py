"""Every row of the fault list has a test of its number."""

import re
from pathlib import Path

ROWS = {*range(1, 75)}


def test_every_row_of_the_fault_list_is_injected_by_a_test() -> None:
    files = [path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__)]
    found = {int(row) for path in files for row in re.findall(r"def test_row_(\d\d)_", path.read_text())}
    assert sorted(ROWS - found) == []
