"""The verdict on a demo: what was counted against what the simulator knows to be true. Pure.

The truth is evaluated between the acquisition times of a meter's first and last reading, so nothing is interpolated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from drivers.simulation.demo_books import BookPage, lines_of
from drivers.simulation.demo_figures import CarrierCount, Delivery, MeterCount
from wattline.clock import NS

TOLERANCE: Final = 0.001
"""Of energy and CO2: a share of the truth."""

_LATE_S: Final = 0.06
"""How much later than its register was read a reading may be stamped on a busy machine. In a run of a minute what flows
in this time is within the tolerance; in a shorter one it is what may be off."""

_SIGN: Final = {"import": 1, "generation": 1, "export": -1}
_KG: Final = {
    ("kWh", "kgCO2/kWh"): 1.0,
    ("kWh", "tCO2/MWh"): 1.0,
    ("kWh", "tCO2/GJ"): 3.6,
    ("m3", "tCO2/1e4m3"): 0.1,
    ("m3", "kgCO2e/m3"): 1.0,
}
"""kg CO2 for one `unit` at a factor of 1 in the unit of the factor."""

Truth = Callable[[str, int, int], float]
"""(device, from ns, to ns) -> kWh or m3 that flowed there."""

Step = Callable[[str, str, float], float]
"""(device, point, value) -> the distance to the next value its register can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One comparison. `allowed` is the largest difference that passes; `counted` None when there is no figure."""

    name: str
    unit: str
    counted: float | None
    truth: float
    allowed: float

    @property
    def ok(self) -> bool:
        return self.counted is not None and abs(self.counted - self.truth) <= self.allowed

    @property
    def off(self) -> str:
        """The deviation for people."""
        if self.counted is None:
            return "no figure"
        if not self.truth:
            return "0 %" if self.counted == 0 else "not 0"
        return f"{100.0 * (self.counted - self.truth) / self.truth:+.4f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Everything the demo claims, and whether it holds."""

    delivery: Delivery
    carriers: tuple[Line, ...]
    carbon: tuple[Line, ...]
    meters: tuple[Line, ...]
    books: BookPage | None = None

    @property
    def lost(self) -> int:
        """Readings that were acquired, not dropped at the gateway, and are not in the store."""
        return max(0, self.delivery.acquired - self.delivery.stored) if self.delivery.stopped else 0

    @property
    def duplicated(self) -> int:
        """Readings in the store that were never acquired: each is there once too often."""
        return max(0, self.delivery.stored - self.delivery.acquired) if self.delivery.stopped else 0

    @property
    def failures(self) -> list[str]:
        """What does not hold, a sentence each; empty when all is well."""
        found: list[str] = []
        if not self.delivery.stopped:
            found.append("the gateway's last word never reached the centre, so losses cannot be counted")
        if self.delivery.acquired == 0:
            found.append("no reading was acquired")
        if self.lost or self.delivery.dropped:
            found.append(f"{self.lost} readings were lost, {self.delivery.dropped} dropped at the gateway")
        if self.duplicated:
            found.append(f"{self.duplicated} readings are in the store twice")
        if not self.carriers or not self.meters:
            found.append("the centre has no figures")
        wrong = [line for line in (*self.carriers, *self.carbon, *self.meters) if not line.ok]
        found += [] if self.books is None else self.books.failures
        return [*found, *(f"{line.name}: {line.off} from the truth" for line in wrong)]


def judge(
    delivery: Delivery, carriers: Sequence[CarrierCount], meters: Sequence[MeterCount], truth: Truth, step: Step
) -> Verdict:
    """Compare the carriers of the whole plant, their CO2, and every meter below.

    A carrier and its CO2 must be within 0.1 %; a meter below may be off by one more step of its register, for it may
    stand just before a step at first and just after one at last.
    """
    true = {(m.device, m.flow): truth(m.device, m.first_ns, m.last_ns) for m in meters}
    energy: list[Line] = []
    carbon: list[Line] = []
    for count in carriers:
        edge = [m for m in meters if m.boundary and m.carrier == count.carrier]
        whole = sum(_SIGN[m.flow] * true[m.device, m.flow] for m in edge)
        late = sum(_late(m, true[m.device, m.flow]) for m in edge)
        energy.append(_line(count.carrier, count.unit, count.quantity, whole, late=late, step=0.0))
        bought = sum(true[m.device, m.flow] for m in edge if m.flow == "import")
        kg = 0.0 if count.factor is None else float(count.factor) * _KG[count.unit, count.factor_unit]
        stated = None if count.factor is None else count.co2_kg
        name = f"CO2 of {count.carrier}"
        carbon.append(_line(name, "kg", stated, bought * kg, late=late * kg, step=0.0))
    units = {count.carrier: count.unit for count in carriers}
    each: list[Line] = []
    for m in meters:
        flowed = true[m.device, m.flow]
        one_step = 0.0 if m.boundary else step(m.device, m.point, m.last_value)
        each.append(_line(m.device, units.get(m.carrier, ""), m.quantity, flowed, late=_late(m, flowed), step=one_step))
    return Verdict(delivery=delivery, carriers=tuple(energy), carbon=tuple(carbon), meters=tuple(each))


def _late(meter: MeterCount, flowed: float) -> float:
    """What flows in _LATE_S where `flowed` flowed between first and last reading."""
    return abs(flowed) * _LATE_S * NS / max(1, meter.last_ns - meter.first_ns)


def _line(name: str, unit: str, counted: Decimal | None, truth: float, *, late: float, step: float) -> Line:
    return Line(
        name=name,
        unit=unit,
        counted=None if counted is None else float(counted),
        truth=truth,
        allowed=max(TOLERANCE * abs(truth), late) + step + 1e-9,
    )


_WELL: Final = (
    "all is well: nothing lost, nothing twice, energy and CO2 of the plant within 0.1 %,\n"
    "each meter below within that and one step of its register"
)


def report(verdict: Verdict) -> str:
    """The verdict as a table for people."""
    counts = {
        "acquired": verdict.delivery.acquired,
        "stored": verdict.delivery.stored,
        "lost": verdict.lost + verdict.delivery.dropped,
        "duplicated": verdict.duplicated,
    }
    lines = [
        "readings   " + "   ".join(f"{name} {count:,}" for name, count in counts.items()),
        "",
        *_table(("whole plant", "counted", "truth", "off"), (*verdict.carriers, *verdict.carbon)),
        "",
        *_table(("meter", "counted", "truth", "off"), verdict.meters),
        "",
        *([] if verdict.books is None else [*_aligned(lines_of(verdict.books)), ""]),
    ]
    failures = verdict.failures
    if failures:
        return "\n".join([*lines, "NOT all is well:", *(f"  {failure}" for failure in failures)])
    return "\n".join([*lines, _WELL])


def _table(head: tuple[str, ...], lines: Sequence[Line]) -> list[str]:
    rows = [head]
    for line in lines:
        counted = "-" if line.counted is None else f"{line.counted:,.4f} {line.unit}"
        rows.append((line.name, counted, f"{line.truth:,.4f} {line.unit}", line.off + ("" if line.ok else "  <--")))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"{name:<{first}}  {value:>{second}}  {note}".rstrip() for name, value, note in rows]
