"""A first piece of scripts/fuzz for TCP, and the proof that it would see what it looks for."""

import pytest
from fuzz import tcp_frames, tcp_late

from drivers.modbus import tcp


def _ignore(done: int) -> None:
    assert done >= 0


def test_twenty_thousand_mutated_replies_crash_nothing_and_give_no_wrong_value() -> None:
    result = tcp_frames.run(20_000, 1, _ignore)
    assert result.passed, result.examples
    assert result.accepted > 1000, "a reply with harmless bytes around it is used"
    assert result.notes["connections"] > 1000, "what fits nothing ends the connection"
    assert result.notes["reply_unit"] > 500
    assert result.notes["reply_function"] > 500


def test_five_thousand_late_replies_are_nobodys() -> None:
    result = tcp_late.run(5000, 1, _ignore)
    assert result.passed, result.examples
    assert result.accepted > 5000


def test_without_a_check_of_the_transaction_it_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def whatever(connection: tcp.Connection, transaction: int, reply: tcp.Reply) -> None:
        for pending in connection._pending.values():
            if not pending.done():
                pending.set_result(reply)

    monkeypatch.setattr(tcp.Connection, "_take", whatever)
    assert tcp_late.run(500, 1, _ignore).wrong > 0
    assert tcp_frames.run(2000, 1, _ignore).wrong > 0
