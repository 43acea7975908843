"""Each call through each port in turn fails, or is the last thing its process does: nothing durable is lost."""

import pytest
from simulation.calls import all_calls, counts

STEP = 11  # no divisor of the number of orders, so that each order meets each port


@pytest.mark.slow
def test_whichever_call_fails_all_is_stored_or_was_younger_than_promised() -> None:
    for call in list(all_calls())[::STEP]:
        why = call.try_it()
        assert why is None, f"scripts/simulation --call '{call}': {why}"


def test_a_short_run_comes_through_every_port_often() -> None:
    assert min(counts().values()) > 10
