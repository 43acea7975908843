"""Gas at its reference: a meter of Nm3, or of volumes as in the line, counts m3 as they are traded, and why says so."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from centre.accounting.intervals import Interval
from centre.accounting.registers import RegisterRule, Sample, deltas
from centre.accounting.utilities import NORMAL, TRADE, GasReference, conversion
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.entities import Entities, EntityMeter, MeterEpoch
from centre.entities_file import entities_in, to_yaml
from centre.entities_kept import EntityBook
from centre.ledger import Ledger
from centre.period import Period
from centre.points import Directory, MeterPoints
from centre.report.audit import audit
from centre.report.inventory import inventory
from centre.report.monthly import monthly
from centre.report.writers import WRITERS, load_words
from centre.statement_books import StatementBooks
from centre.statements import Statements
from centre.store.base import Grain, SeriesKey
from centre.trace import check
from centre.web_i18n import load_words as load_page_words
from centre.web_why import why_view
from centre.why import why
from support.books_plant import CLOCK, filled_copy, setup
from wattline.errors import ConfigError
from wattline.events import EventLog
from wattline.strict_yaml import load_text

D = Decimal
SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
GAS = SeriesKey(SITE, "boiler-gas", "volume_base_total")
PLANT = {"id": "plant", "kind": "plant", "name": {"en": "P", "zh": "厂"}}
EPOCHS: list[dict[str, Any]] = [
    {"reference": {"temperature": 0, "pressure": 101.325}, "factor": 10},
    {
        "since": "2026-11-02T00:00:00+08:00", "final": 50, "initial": 7,
        "reference": {"temperature": 15, "pressure": "300"},
    },
]  # fmt: skip


def load(carrier: str = "natural_gas", **reference: object) -> Entities:
    epochs = [{"reference": reference}] if reference else EPOCHS
    meter = {"device": "gas", "carrier": carrier, "flow": "import", "epochs": epochs}
    file = {"sites": {SITE: [{**PLANT, "meters": [meter]}]}}
    return entities_in(load_text(json.dumps(file, indent=1), "entities.yaml"))


def meter(*epochs: MeterEpoch) -> EntityMeter:
    return EntityMeter(device="gas", carrier=Carrier.NATURAL_GAS, flow=Flow.IMPORT, epochs=epochs)


def test_a_thousand_cubic_metres_at_0_c_are_1073_22_at_20_c() -> None:
    rule = RegisterRule(replacements=meter(MeterEpoch(reference=NORMAL)).meter.replaced)
    (step,) = deltas([Sample(1, D(2000)), Sample(2, D(3000))], rule).steps
    assert step.amount is not None
    assert round(step.amount, 2) == D("1073.22")
    assert abs(step.amount - D(1000) * D("293.15") / D("273.15")) < D("1e-6")


@pytest.mark.parametrize(
    ("stated", "factor"),
    [
        (TRADE, "1"),
        (GasReference(temperature_c=D(15), pressure_kpa=D("101.325")), "1.017352074"),
        (GasReference(temperature_c=D(20), pressure_kpa=D("202.65")), "2"),
        (GasReference(temperature_c=D(15), pressure_kpa=D(300)), "3.012145296"),  # 0.2 MPa above the air of the place
    ],
)
def test_warmer_gas_is_less_of_it_and_denser_gas_is_more(stated: GasReference, factor: str) -> None:
    assert conversion(stated, TRADE) == D(factor)


def test_conditions_are_of_their_epoch_come_upon_its_factor_and_read_back() -> None:
    found = load()
    plant = found.plant(SITE)
    assert plant is not None
    first, second = plant.meters[0].meter.replaced
    assert (first.factor, first.stated) == (D("10.73219843"), NORMAL)
    assert (second.factor, second.stated) == (D("3.012145296"), GasReference(temperature_c=D(15), pressure_kpa=D(300)))
    assert entities_in(load_text(to_yaml(found), "again.yaml")) == found


@pytest.mark.parametrize(
    ("carrier", "reference", "says"),
    [
        ("electricity", {"temperature": 0, "pressure": 101}, "`reference` is of natural_gas"),
        ("compressed_air", {"temperature": 0, "pressure": 101}, "`stated` of its `output`"),
        ("natural_gas", {"temperature": 293.15, "pressure": 101}, "`reference` of 293.15 C is none of a gas meter"),
        ("natural_gas", {"temperature": 20, "pressure": 101325}, "`reference` of 101325 kPa is none of a gas meter"),
        ("natural_gas", {"temperature": 20, "pressure": "1.01325"}, "of 1.01325 kPa is none"),
        ("natural_gas", {"temperature": -274, "pressure": 101}, "epochs.0.reference.temperature: "),
        ("natural_gas", {"temperature": 20, "pressure": 0}, "epochs.0.reference.pressure: "),
        ("natural_gas", {"temperature": 20}, "epochs.0.reference.pressure: "),
    ],
)
def test_what_no_gas_meter_states_is_refused_with_its_key(carrier: str, reference: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=r"entities.yaml:\d+: sites.jiangjin-1.0.meters.0.epochs") as failed:
        load(carrier, **reference)
    assert says in str(failed.value)


@pytest.mark.parametrize(
    ("point", "integrated", "epochs", "unstated"),
    [
        ("volume_base_total", False, (), False),
        ("volume_total", False, (), True),
        ("volume", False, (MeterEpoch(digits=6),), True),
        ("volume_total", False, (MeterEpoch(reference=TRADE),), False),
        ("volume_total", False, (MeterEpoch(reference=NORMAL),), False),
        ("volume_total", False, (MeterEpoch(reference=NORMAL), MeterEpoch(since=50, final=D(1), initial=D(0))), True),
        ("volume_total", False, (MeterEpoch(reference=NORMAL), MeterEpoch(since=99, final=D(1), initial=D(0))), False),
        ("flow_volume", True, (MeterEpoch(reference=NORMAL),), True),
        ("flow_volume_base", True, (MeterEpoch(reference=NORMAL),), True),
        ("flow_volume_base", True, (), False),
    ],
)
def test_a_volume_whose_conditions_nobody_stated_is_found(
    point: str, integrated: bool, epochs: tuple[MeterEpoch, ...], unstated: bool
) -> None:
    points = MeterPoints(meter=meter(*epochs).meter, counter=SeriesKey(SITE, "gas", point), integrated=integrated)
    assert points.unstated(10, 99) is unstated
    water = replace(points, meter=replace(points.meter, carrier=Carrier.FRESH_WATER))
    assert not water.unstated(10, 99)


def test_an_epoch_that_states_nm3_counts_anew_and_why_adds_up_with_both_conditions(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def main() -> None:
        found = setup()
        path = tmp_path_factory.mktemp("gas") / "books.db"
        async with await filled_copy(tmp_path_factory) as store, Books(path, CLOCK) as books:
            book = EntityBook(books, CLOCK, found.plants)
            await book.take_over(found.entities, EventLog())
            await book.refresh()
            ledger = Ledger(
                store=store, clock=CLOCK, plants=book.ever.values(), directory=Directory(store, CLOCK)
            )  # fmt: skip
            service = Statements(
                store=store, clock=CLOCK, plants=book.today, rules=found.rules, directory=Directory(store, CLOCK),
                books=StatementBooks(books=books),
            )  # fmt: skip

            async def days() -> list[Interval]:
                await ledger.cycle()
                return [day.interval for day in await store.read_rollup(GAS, Grain.DAY, 0, 2**62)]

            before = await days()
            kept = await book.kept()
            plant = kept.entities.by_key[f"{SITE}/plant"]
            told = tuple(
                replace(one, epochs=(MeterEpoch(reference=NORMAL),)) if one.device == "boiler-gas" else one
                for one in plant.meters
            )
            await book.put(replace(plant, meters=told), author="li", reason="Nm3", expected=kept.version)
            after = await days()
            for old, new in zip(before, after, strict=True):
                assert old.amount is not None
                assert new.amount is not None
                assert abs(new.amount - old.amount * D("1.073219843")) < D("1e-6")
            for figure in ("scope1", "quantity/natural_gas"):
                trace = await why(service, SITE, MONTH, figure)
                assert check(trace) == ()
                words = {step.words for step in trace.steps.values() if step.id.startswith("edge:")}
                both = "(m3 at 0 C, 101.325 kPa -> 20 C, 101.325 kPa)"
                assert words == {f"between two readings, x 1.073219843 {both}"}
                for lang, between in (("en", "between two readings"), ("zh", "两次读数之间")):
                    assert f"× 1.073219843 {both}" in str(page := why_view(trace, None, load_page_words()[lang]))
                    assert between in str(page)

    asyncio.run(main())


def test_reports_that_rest_on_an_uncorrected_volume_say_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def main() -> None:
        found = setup()
        async with await filled_copy(tmp_path_factory) as store:
            service = Statements(
                store=store, clock=CLOCK, plants={SITE: found.plants[0]}, rules=found.rules,
                directory=Directory(store, CLOCK),
            )  # fmt: skip
            basis, dates = await service.basis(SITE, MONTH), await service.dates_of(SITE, MONTH)
            assert "note_unconfirmed_gas" not in inventory(await service.of_basis(basis, dates)).notes
            records = {
                place: replace(one, points=replace(one.points, counter=GAS._replace(point="volume_total")))
                if one.points.counter == GAS
                else one
                for place, one in basis.records.items()
            }
            made = await service.of_basis(replace(basis, records=records), dates)
            for document in (inventory(made), monthly(made), audit(made, records, ())):
                assert "note_unconfirmed_gas" in document.notes
            for lang, told in (("en", "conditions that nobody stated"), ("zh", "未注明计量参比条件")):
                assert told in WRITERS["html"][1](inventory(made), load_words()[lang]).decode()

    asyncio.run(main())
