"""Reactive energy of a bill: counted like every register, behind the same transformers, traced to its readings."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from centre.accounting.calendar import Month
from centre.accounting.power_factor import Adjustment
from centre.accounting.registers import Flag, RegisterRule, Replacement, Sample, Step, deltas
from centre.accounting.zones import day_bounds
from centre.closing_content import Counted, Figures, canonical, correction_of, other
from centre.closing_figures import StatementFigures
from centre.ledger import Ledger
from centre.membership import UNDATED
from centre.period import Period
from centre.points import Directory
from centre.settings import Setup
from centre.statement import Statement
from centre.statement_cost import reactive_energy
from centre.statements import Basis
from centre.store.base import SeriesKey
from centre.trace import Rule, Trace, check
from centre.trace_registers import what_happened
from centre.why import why
from metering.parcel import ParcelId, Received
from metering.sweep import Sweep
from support.books_plant import CLOCK, DAYS, EVERY_S, FIRST, REACTIVE, ZONE, filled_copy, setup, statements
from wattline.clock import NS

D = Decimal
SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
START, _ = day_bounds(FIRST, ZONE)
LAST = START + 7 * NS + ((DAYS + 1) * 86_400 - EVERY_S) * NS  # the last sweep of the incomer
CHANGED = START + 36 * 3600 * NS
RATIO = 30
SWEPT = D("20.5")  # kvarh each


class Found:
    """The demo plant whose incomer is read behind transformers: before and after a late reading."""

    made: Statement
    trace: Trace
    basis: Basis
    before: Counted
    after: Counted


def behind(shown: Decimal) -> Setup:
    """The incomer's meter changed once, at transformers alike; its register of the active energy went on from `shown`."""
    found = setup()
    plant = found.plants[0]
    told = (
        Replacement(at=0, final=D(0), initial=D(0), factor=D(RATIO)),
        Replacement(at=CHANGED, final=shown, initial=shown, factor=D(RATIO)),
    )
    meters = tuple(
        replace(meter, replaced=told, limit=None) if meter.device == "incomer" else meter for meter in plant.tree.meters
    )
    return replace(found, plants=(replace(plant, tree=replace(plant.tree, meters=meters)),))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    async def make() -> Found:
        made = Found()
        async with await filled_copy(tmp_path_factory) as store:
            ((_, shown, _),) = await store.before(SeriesKey(SITE, "incomer", "energy_active_import_total"), CHANGED, 1)
            told = behind(D(str(shown)))
            ledger = Ledger(store=store, clock=CLOCK, plants=told.plants, directory=Directory(store, CLOCK))
            await ledger.cycle()
            service = statements(store, told)
            made.basis = await service.basis(SITE, MONTH)
            made.made = await service.statement(SITE, MONTH)
            made.trace = await why(service, SITE, MONTH, "cost")
            figures = StatementFigures(service)
            made.before = await figures.counted(SITE, Month(2026, 11))
            sweep = Sweep(device="incomer", taken_at=LAST + EVERY_S * NS, values={REACTIVE: D(10**6)}, faults={})
            late = ParcelId(epoch=1, seq=999)
            await store.write(
                [Received(site=SITE, gateway="gw", id=late, dropped=0, sweeps=(sweep,), readings=1)],
                received_at=CLOCK.now_ns(),
            )
            await ledger.cycle()
            made.after = await figures.counted(SITE, Month(2026, 11))
        return made

    return asyncio.run(make())


def adjustment(found: Found) -> Adjustment:
    (bill,) = found.made.bills
    assert bill.adjustment is not None
    return bill.adjustment


def test_reactive_energy_goes_through_the_transformers_and_begins_at_midnight_like_the_active(found: Found) -> None:
    adjusted = adjustment(found)
    exact = RATIO * Fraction(SWEPT) * ((LAST - START) / Fraction(EVERY_S * NS) - 1)  # but for the pause of the change
    assert abs(Fraction(adjusted.reactive_kvarh) - exact) < Fraction(1, 10**8)
    assert adjusted.active_kwh == found.made.bills[0].energy_kwh
    apparent = (float(adjusted.active_kwh) ** 2 + float(exact) ** 2) ** 0.5
    assert adjusted.cosphi == round(D(float(adjusted.active_kwh) / apparent), 2)


def test_the_trace_of_a_bill_goes_through_the_power_factor_to_the_readings(found: Found) -> None:
    assert check(found.trace) == ()
    steps, adjusted = found.trace.steps, adjustment(found)
    (step,) = (one for one in steps.values() if one.rule is Rule.POWER_FACTOR)
    assert step.value == adjusted.cosphi
    (reactive,) = (one for one in steps.values() if one.id.startswith("reactive:"))
    assert (reactive.value, reactive.unit) == (adjusted.reactive_kvarh, "kvarh")
    (register,) = (steps[part.id] for part in reactive.parts)
    assert register.proof
    assert any(one.rule is Rule.READING and REACTIVE in one.id for one in steps.values())
    wrong = replace(found.trace, steps={**steps, step.id: replace(step, value=D("0.5"))})
    assert [mistake.id for mistake in check(wrong)] == [step.id]


def test_what_a_reactive_register_showed_at_a_change_is_not_taken_from_the_active_one() -> None:
    rule = RegisterRule(replacements=(Replacement(at=5, final=None, initial=None, factor=D(2)),))
    samples = [Sample(0, D(100)), Sample(4, D(110)), Sample(6, D(3)), Sample(8, D(8))]
    steps = deltas(samples, rule).steps
    assert steps == (
        Step(0, 4, D(10), Flag.MEASURED), Step(4, 6, None, Flag.SUSPECT), Step(6, 8, D(10), Flag.MEASURED),
    )  # fmt: skip
    assert "nobody wrote down" in what_happened(steps[1], samples[1], samples[2], rule)


def test_a_day_without_reactive_energy_leaves_the_month_without(found: Found) -> None:
    basis = found.basis
    ((place, record),) = basis.reactive.items()

    def energy(days: Sequence[int]) -> Decimal | None:
        kept = replace(record, days=tuple(record.days[day] for day in days))
        return reactive_energy(basis.plant, MONTH, basis.records, {place: kept}, UNDATED).energy.value

    assert energy([0, 1, 2, 3]) == record.amount
    assert energy([0, 2, 3]) is None
    assert energy([0, 1, 2]) == sum(day.interval.amount or 0 for day in record.days[:3])  # the last one still runs


def test_late_reactive_energy_corrects_a_closed_month(found: Found) -> None:
    last = json.loads(canonical(correction_of({"meters": []}, (), found.before, Figures(content=None, headline={}))))
    assert other(last["now"], found.before) == ()
    assert other(last["now"], found.after) == ("the reactive energy is another",)
