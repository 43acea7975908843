"""Each commit of the spool in turn fails, or is the last thing the agent does: nothing durable is lost."""

import pytest

from support.sim_schedule import Fault, Schedule
from support.sim_world import run_schedule

PLOT = Schedule(seed=0, interval_s=30, devices=(2,), faults=(Fault(60.0, "broker down", 400.0, 0.0),), length_s=1500.0)


@pytest.mark.parametrize("order", ["fail before", "fail after", "die before", "die after"])
def test_whichever_commit_fails_all_is_stored_or_was_younger_than_promised(order: str) -> None:
    commits = run_schedule(PLOT).commits
    assert commits >= 10
    for n in range(1, commits + 1):
        try:
            run_schedule(PLOT, orders={n: order})
        except Exception as err:
            raise AssertionError(f"commit {n} of {commits}, {order}: {err}") from err
