"""kill -9 of the agent, of the centre and of the broker in the middle of a run: real processes, real mosquitto.

The meters count their replies, so the ledger is independent of our code: what was told, what lay in the spool when it
was killed, and what the store holds at the end. `scripts/kills` does it for long.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.chain import UNITS, Chain, Told

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def but_last(told: Told) -> Told:
    """Without the last reply of each meter: its poll may have been cut off by the end of the agent."""
    last = {device: max(n for other, n in told if other == device) for device, _ in told}
    return {(device, n) for device, n in told if n != last[device]}


@pytest.fixture(params=[False, True], ids=["broker-forgets", "broker-persists"])
def chain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Chain]:
    with Chain(tmp_path, broker_persistent=request.param) as running:
        running.poll_on(6)
        yield running


def test_an_agent_killed_again_and_again_keeps_what_it_had_spooled(chain: Chain) -> None:
    durable: Told = set()
    chain.broker.kill()
    for _ in range(3):
        chain.poll_on(8)
        chain.agent.kill()
        spooled = chain.spooled()
        assert spooled >= durable, "an earlier agent's readings left the spool though nobody stored them"
        durable |= spooled
        chain.agent.start()
    assert len(durable) >= 30
    chain.broker.start()
    chain.poll_on(8)
    chain.agent.kill()  # in the middle of the drain, perhaps
    durable |= chain.spooled()
    chain.agent.start()
    chain.poll_on(4)
    stored = chain.settle(durable)
    assert durable <= stored <= chain.told
    lost = but_last(chain.told) - stored - chain.spooled()
    assert len(lost) <= 4 * len(UNITS) * 6, f"a kill may cost the commit interval and the poll under way: {lost}"


def test_a_centre_killed_again_and_again_has_every_reading_once(chain: Chain) -> None:
    for _ in range(3):
        chain.centre.kill()
        chain.poll_on(3)
        chain.centre.start()
        chain.poll_on(5)
    stored = chain.settle(but_last(chain.told))
    assert stored <= chain.told
    assert but_last(chain.told) <= stored | chain.spooled()


def test_a_broker_killed_again_and_again_costs_no_reading(chain: Chain) -> None:
    for _ in range(3):
        chain.broker.kill()
        chain.poll_on(3)
        chain.broker.start()
        chain.poll_on(5)
    stored = chain.settle(but_last(chain.told))
    assert stored <= chain.told
    assert but_last(chain.told) <= stored | chain.spooled()
