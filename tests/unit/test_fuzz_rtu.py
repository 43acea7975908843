"""A first piece of scripts/fuzz, and the proof that it would see what it looks for."""

import pytest
from fuzz import rtu_frames, rtu_late
from fuzz.result import Result

from drivers.modbus.rtu_debts import Debts


def _ignore(done: int) -> None:
    assert done >= 0


@pytest.mark.slow
def test_twenty_thousand_mutated_replies_crash_nothing_and_give_no_wrong_value() -> None:
    result = rtu_frames.run(20_000, 1, _ignore)
    assert result.passed, result.examples
    assert result.accepted > 1000, "what came whole in spite of garbage around it is used"
    assert result.notes.get("crc collisions", 0) < 5


@pytest.mark.slow
def test_three_thousand_late_replies_are_nobodys() -> None:
    result = rtu_late.run(3000, 1, _ignore)
    assert result.passed, result.examples
    assert result.accepted > 1000


def test_without_probes_late_replies_would_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(debts: Debts, unit: int, now: float) -> bool:
        return False

    monkeypatch.setattr(Debts, "owes", never)
    assert rtu_late.run(500, 1, _ignore).wrong > 0


def test_a_result_passes_only_without_wrong_values_and_crashes() -> None:
    assert Result(accepted=1).passed
    assert not Result(wrong=1).passed
    assert not Result(crashes=1).passed
