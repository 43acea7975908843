"""How much gathers before a parcel is sealed."""

from agent.spool_intake import Intake
from metering.faults import Fault
from metering.sweep import Sweep
from wattline.clock import SystemClock

_SWEEP = Sweep(device="m-1", taken_at=1, values={f"p_{n}": n for n in range(99)}, faults={"frequency": Fault.SENTINEL})


def gathered(intake: Intake) -> tuple[int, int]:
    """Points at which there is enough, and at which it is full; all of it is taken out again."""
    points = enough = 0
    while not intake.is_full:
        intake.add(_SWEEP)
        points += 100
        enough = enough or (points if intake.is_enough else 0)
    intake.take()
    return enough, points


def test_parcels_are_larger_while_no_broker_is_there_and_never_larger_than_a_broker_took() -> None:
    intake = Intake(SystemClock(), None)
    assert gathered(intake) == (15_000, 24_000)
    intake.want(large=False)
    assert gathered(intake) == (5000, 8000)
    intake.bound(6000)
    assert gathered(intake) == (5000, 6000)
    intake.want(large=True)
    assert gathered(intake) == (6000, 6000)
    intake.bound(1)
    assert gathered(intake) == (100, 100)
