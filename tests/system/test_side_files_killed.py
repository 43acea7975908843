"""kill -9 of an agent whose readings are in memory only: with side files the next one has all but the poll under way.

Real processes and a real mosquitto; the meters count their replies.
"""

from pathlib import Path

import pytest

from support.chain import Chain, Told

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def but_last(told: Told) -> Told:
    """Without the last reply of each meter, which may not have arrived when the agent was killed."""
    last = {device: max(n for other, n in told if other == device) for device, _ in told}
    return {(device, n) for device, n in told if n != last[device]}


def test_a_killed_agent_has_side_files_to_thank_for_every_reply_but_the_last(tmp_path: Path) -> None:
    side = tmp_path / "side"
    with Chain(tmp_path, broker_persistent=False, commit="600s", side_directory=side) as chain:
        chain.broker.kill()
        chain.poll_on(6)
        chain.agent.kill()
        told = chain.told
        kept = but_last(told)
        assert len(kept) >= 15
        assert chain.spooled() == set()  # T is long: nothing of it is on disk
        side.rename(tmp_path / "of the first")
        chain.agent.start()
        chain.poll_on(3)
        chain.agent.kill()
        gone = but_last(chain.told - told)
        side.rename(tmp_path / "of the second")
        (tmp_path / "of the first").rename(side)
        chain.agent.start()
        chain.poll_on(2)
        assert "spool.taken_over" in chain.agent.log.read_text()
        assert kept <= chain.spooled()
        chain.broker.start()
        stored = chain.settle(kept)
        assert kept <= stored <= chain.told
        assert gone
        assert not stored & gone  # which had no side files any more
    assert not list(side.rglob("*.side"))
