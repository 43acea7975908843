"""The outbox decides what may be sent: bounded, again when forgotten, never twice at once, never released unsent."""

from hypothesis import given
from hypothesis import strategies as st

from agent.outbox import Limits, Outbox
from metering.parcel import ParcelId
from metering.topics import Committed

EPOCH = 9
LIMITS = Limits(window=4, awaiting=10)


def pid(seq: int, epoch: int = EPOCH) -> ParcelId:
    return ParcelId(epoch=epoch, seq=seq)


def outbox() -> Outbox:
    box = Outbox(LIMITS)
    box.restart(0.0)
    return box


def send(box: Outbox, *seqs: int, now: float = 0.0) -> None:
    for seq in seqs:
        assert box.may_start(pid(seq))
        box.start(pid(seq), now)


def test_the_window_bounds_what_is_in_flight() -> None:
    box = outbox()
    send(box, 1, 2, 3, 4)
    assert box.room(0.0, others_wait=False) == box.free(0.0) == 0
    box.acked(pid(2), 1.0)
    assert box.room(1.0, others_wait=False) == 1


def test_the_live_lane_leaves_a_place_to_the_backlog() -> None:
    box = outbox()
    send(box, 1, 2, 3)
    assert box.room(0.0, others_wait=True) == 0
    assert box.room(0.0, others_wait=False) == 1


def test_sending_pauses_when_too_much_awaits_the_store() -> None:
    box = outbox()
    for seq in range(1, 11):
        send(box, seq)
        box.acked(pid(seq), 0.0)
    assert box.room(0.0, others_wait=False) == 0
    assert box.free(0.0) == 4
    assert len(box.committed(Committed(epochs={EPOCH: ((1, 6),)}), 0.0)) == 6
    assert box.room(0.0, others_wait=False) == 4


def test_what_the_store_does_not_confirm_is_sent_again_at_doubling_times() -> None:
    box, now, waits = outbox(), 0.0, []
    send(box, 1)
    for _ in range(7):
        box.acked(pid(1), now)
        waits.append(box.next_at(now) - now)
        now = box.next_at(now)
        assert box.due_again(now - 0.001, 9) == []
        assert box.due_again(now, 9) == [pid(1)]
        box.start(pid(1), now)
        assert box.due_again(now, 9) == []
    assert waits == [60, 120, 240, 480, 900, 900, 900]


def test_a_committed_message_releases_what_was_sent_and_nothing_else() -> None:
    box = outbox()
    send(box, 3, 4)
    word = Committed(epochs={EPOCH: ((1, 100),), 5: ((1, 50),), 77: ((1, 9),)})
    assert sorted(box.committed(word, 0.0)) == [pid(3), pid(4)]
    assert not box.is_stored(pid(1))  # never sent: the message cannot know it
    assert not box.is_stored(pid(7, epoch=5))


def test_after_a_reconnect_all_is_unsent_but_what_the_store_confirmed_meanwhile_need_not_be_sent() -> None:
    box = outbox()
    send(box, 1, 2)
    box.acked(pid(1), 0.0)
    box.restart(5.0)
    assert box.may_start(pid(1))
    assert box.free(5.0) == 4
    box.committed(Committed(epochs={EPOCH: ((1, 9),)}), 5.0)
    assert box.is_stored(pid(1))
    assert box.is_stored(pid(2))
    assert not box.is_stored(pid(3))


def test_a_refusal_closes_the_outbox_then_tries_with_one_and_opens_it_again() -> None:
    box = outbox()
    send(box, 1, 2, 3)
    for seq in (1, 2, 3):
        box.refused(pid(seq), 1.0)
    assert box.room(1.0, others_wait=False) == 0
    assert box.next_at(1.0) == 6.0
    assert box.due_again(6.0, box.free(6.0)) == [pid(1)]
    box.start(pid(1), 6.0)
    box.refused(pid(1), 6.1)
    assert box.next_at(6.1) == 16.1
    box.start(pid(1), 16.1)
    assert box.free(16.1) == 0
    assert box.acked(pid(1), 16.2)
    assert box.due_again(16.2, box.free(16.2)) == [pid(2), pid(3)]


def test_a_parcel_that_can_never_pass_is_set_aside_and_does_not_fill_the_bounds() -> None:
    box = outbox()
    for seq in range(1, 20):
        send(box, seq)
        box.set_aside(pid(seq), 0.0)
    assert box.room(0.0, others_wait=False) == 4
    assert box.next_at(0.0) == float("inf")
    box.restart(1.0)
    assert box.may_start(pid(1))


def test_a_parcel_upon_which_the_broker_hangs_up_is_found_and_barred_while_the_others_pass() -> None:
    box, poison, now = outbox(), pid(3), 0.0
    passed: set[ParcelId] = set()
    barred: list[ParcelId] = []
    for _ in range(12):
        barred += box.restart(now)
        for seq in range(1, 7):
            if pid(seq) not in passed and box.free(now) and box.may_start(pid(seq)):
                box.start(pid(seq), now)
                if seq != 3 and poison not in box._flying:
                    box.acked(pid(seq), now)
                    box.released([pid(seq)])
                    passed.add(pid(seq))
        now += 1.0
    assert barred == [poison]
    assert passed == {pid(seq) for seq in (1, 2, 4, 5, 6)}
    assert box.due_again(now, 9) == []
    assert box.due_again(now + 900, 9) == [poison]


def test_while_the_window_is_full_what_is_to_be_sent_again_wakes_nobody() -> None:
    box = outbox()
    send(box, 1)
    box.acked(pid(1), 0.0)
    send(box, 2, 3, 4, 5, now=50.0)
    assert box.next_at(70.0) == 50.0 + LIMITS.silent_s
    box.acked(pid(2), 75.0)
    assert box.next_at(75.0) <= 75.0
    assert box.due_again(75.0, box.free(75.0)) == [pid(1)]


def test_a_broker_that_acknowledges_nothing_is_noticed() -> None:
    box = outbox()
    send(box, 1, now=10.0)
    assert not box.is_silent(129.0)
    assert box.next_at(10.0) == 130.0
    assert box.is_silent(130.0)
    box.acked(pid(1), 130.0)
    assert not box.is_silent(1000.0)


def test_a_broker_that_acknowledges_later_parcels_and_never_an_earlier_one_is_noticed() -> None:
    box = outbox()
    send(box, 1, 2, 3, now=10.0)
    box.acked(pid(2), 20.0)
    for seq in range(4, 20):
        send(box, seq, now=10.0 * seq)
        box.acked(pid(seq), 10.0 * seq)
        box.committed(Committed(epochs={EPOCH: ((2, seq),)}), 10.0 * seq)
        assert box.is_silent(10.0 * seq) == (10.0 * seq >= 20.0 + LIMITS.silent_s)
    assert box.next_at(50.0) == 20.0 + LIMITS.silent_s
    box.acked(pid(1), 200.0)
    assert box.next_at(200.0) == 40.0 + LIMITS.silent_s, "the third still waits, since the fourth was acknowledged"


@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "refuse", "commit", "restart", "wait"]), st.integers(1, 30))))
def test_the_bounds_hold_whatever_happens(script: list[tuple[str, int]]) -> None:
    box, now = outbox(), 0.0
    for what, number in script:
        if what == "send" and box.room(now, others_wait=False) and box.may_start(pid(number)):
            box.start(pid(number), now)
        elif what == "ack" and pid(number) in box._flying:
            box.acked(pid(number), now)
        elif what == "refuse" and pid(number) in box._flying:
            box.refused(pid(number), now)
        elif what == "commit":
            sent = set(box._sent)
            assert set(box.committed(Committed(epochs={EPOCH: ((1, number),)}), now)) <= sent
        elif what == "restart":
            box.restart(now)
        elif what == "wait":
            now += number
            for parcel_id in box.due_again(now, box.free(now)):
                box.start(parcel_id, now)
        assert len(box._flying) <= LIMITS.window
        assert len(box._sent) - len(box._aside) <= LIMITS.awaiting
        assert box.next_at(now) > now or box.is_silent(now) or box.due_again(now, box.free(now)), "it would spin"


def test_a_backlog_that_the_store_never_confirms_leaves_room_to_what_is_live() -> None:
    box = outbox()
    seq, now = 0, 0.0
    while box.backlog_room(now):
        seq += 1
        for _ in range(2):  # sent twice: it counts no more as under way to the store
            now += 1000.0
            box.start(pid(seq), now)
            box.acked(pid(seq), now)
    assert seq > 4
    assert box.room(now, others_wait=False) == 1


def test_the_backlog_gets_what_the_store_confirms_in_time_and_live_parcels_more() -> None:
    box = outbox()
    for seq in range(1, 5):
        send(box, seq)
        box.acked(pid(seq), 0.0)
    assert box.backlog_room(0.0) == 0
    assert box.room(0.0, others_wait=False) == 4
    box.committed(Committed(epochs={EPOCH: ((1, 4),)}), 1.0)
    assert box.backlog_room(1.0) == 4
    for seq in range(11, 15):
        send(box, seq, now=1.0)
        box.acked(pid(seq), 1.0)
    box.start(pid(14), 61.0)
    box.acked(pid(14), 61.0)
    assert box._headway.room(0) == 5, "more, for the store kept up"
    assert box.backlog_room(61.0) == 2
    box.start(pid(13), 61.0)
    box.acked(pid(13), 61.0)
    assert box._waiting == 2, "what was sent again does not count"
