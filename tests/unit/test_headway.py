"""What is live never waits long behind a backlog that the store writes slower than the broker takes it."""

import pytest

from agent.headway import Headway

AWAITING = 256


def drained(rate: float, *, words: int = 60) -> tuple[list[float], float]:
    """(the store's delay at each word, the share of the second half of the time in which it had work).

    It writes `rate` parcels a second and tells each second.
    """
    headway, now, written, busy = Headway(20, AWAITING), 0.0, 0.0, 0.0
    queue: list[float] = []
    delays: list[float] = []
    for word in range(words):
        for _ in range(headway.room(len(queue))):
            headway.sent(len(queue), now)
            queue.append(now)
        now += 1.0
        able = written + rate
        done = min(able, float(len(queue)))
        busy += word >= words // 2 and done == able
        stored = queue[: int(done)]
        written = done - int(done)
        headway.heard(len(stored), len(queue), now)
        queue = queue[int(done) :]
        delays += [now - at for at in stored]
    return delays, busy / (words - words // 2)


@pytest.mark.parametrize("rate", [1.5, 4.0, 20.0, 100.0])
def test_the_delay_settles_near_its_aim_and_the_store_is_kept_at_work(rate: float) -> None:
    delays, busy = drained(rate)
    assert max(delays[len(delays) // 2 :]) <= 3.0
    assert busy > 0.9


def test_a_fast_store_gets_all_that_may_await_it() -> None:
    headway, now = Headway(20, AWAITING), 0.0
    for _ in range(20):
        parcels = headway.room(0)
        headway.sent(0, now)
        now += 1.0
        headway.heard(parcels, parcels, now)
    assert headway.room(0) == AWAITING


def test_a_store_that_is_slow_for_others_sake_still_gets_some() -> None:
    headway = Headway(20, AWAITING)
    for now in range(0, 1000, 100):
        headway.heard(1, 20, float(now))
    assert headway.room(0) == 4
    assert headway.room(4) == 0


def test_words_that_follow_one_another_at_once_are_taken_together() -> None:
    headway = Headway(20, AWAITING)
    headway.sent(0, 0.0)
    headway.heard(1, 20, 0.1)
    headway.heard(4, 20, 0.9)
    assert headway.room(0) == 20
    headway.heard(5, 20, 1.0)
    assert headway.room(0) == 12, "ten in a second, and a little more"
    headway.heard(8, 20, 2.0)
    assert headway.room(0) == 10


def test_little_traffic_says_nothing_about_a_large_backlog() -> None:
    headway = Headway(20, AWAITING)
    for now in range(0, 500, 5):
        headway.sent(0, float(now))
        headway.heard(1, 1, now + 1.5)
    assert headway.room(0) == 20


def test_a_new_connection_begins_anew() -> None:
    headway = Headway(20, AWAITING)
    headway.sent(0, 0.0)
    headway.heard(1, 20, 50.0)
    assert headway.room(0) == 10
    headway.restart()
    assert headway.room(0) == 20
