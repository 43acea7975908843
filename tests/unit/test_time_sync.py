"""timesyncd's file says whether the clock was set, and how long ago."""

import os
import time
from pathlib import Path

from wattline.time_sync import synchronised


def test_without_timesyncd_nobody_can_tell(tmp_path: Path) -> None:
    assert synchronised(tmp_path / "timesync") is None


def test_the_clock_is_set_once_the_file_is_there_and_no_longer_when_it_is_a_day_old(tmp_path: Path) -> None:
    assert synchronised(tmp_path) is False
    file = tmp_path / "synchronized"
    file.touch()
    assert synchronised(tmp_path) is True
    for age_s, good in ((3600, True), (2 * 86_400, False)):
        at = time.time() - age_s
        os.utime(file, (at, at))
        assert synchronised(tmp_path) is good
