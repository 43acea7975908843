"""A few power cuts of an agent's spool; `scripts/powercut` makes hundreds."""

from random import Random

import pytest
from violence.power_disk import unfit
from violence.powercut import Totals, cut_often

from support.other_journal import OLDER

_REASON = unfit()
pytestmark = [pytest.mark.skipif(_REASON is not None, reason=str(_REASON)), pytest.mark.root, pytest.mark.slow]


def test_five_power_cuts_cost_nothing_that_was_durable() -> None:
    totals = Totals()
    assert [fault for fault in cut_often(5, Random(1), totals) if fault] == []
    assert totals.durable_parcels > 5


def test_power_cuts_of_an_older_wattline_whose_spool_is_taken_over_cost_nothing_either() -> None:
    totals = Totals()
    assert [fault for fault in cut_often(5, Random(1), totals, journal=OLDER) if fault] == []
    assert totals.durable_parcels > 5


def test_without_a_flush_each_commit_the_same_cuts_cost_durable_parcels() -> None:
    totals = Totals()
    assert any(cut_often(8, Random(1), totals, journal=("WAL", "NORMAL")))
    assert totals.lost_parcels > 0
