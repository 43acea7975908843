"""identify(ask, profiles) -> Match, ...: which meter models a unit may be, best first, from a few reads of each.

SunSpec's marker and the probes of a profile (its `identify:` entries) make sure: then nothing else is asked, and a
profile whose probes do not fit is out. For the others a few gauges are read as the profile says, and judged: a mains
voltage, a frequency and a power factor where the profile expects them are hard to get by chance; what is absurd counts
against it. Siblings that share those registers are told apart by reading all that each of them says there is.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from drivers.base import DeviceSilent
from drivers.commission.words import value_text
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block, plan
from drivers.modbus.profile import Medium, Point, Profile, Table
from drivers.modbus.sunspec import COMMON, locate
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.faults import Fault
from metering.quantities import Kind
from metering.sweep import Sweep, Value

LIKELY: Final = 4.0
POSSIBLE: Final = (
    0.7  # of meters for other media, which show no mains: one value that makes sense, and none that does not
)
CLOSE: Final = 0.3  # of the best score: rivals
_SURE: Final = 100.0
_REQUESTS: Final = 4  # of one profile
_RIVALS: Final = 8  # read in full to tell them apart
_WHOLE: Final = 16  # reads of one rival for that
_TIMEOUTS: Final = 10  # of one unit: a meter that keeps silent where it should refuse is not asked for ever
_SILENT: Final = frozenset({Fault.TIMEOUT, Fault.EXCEPTION_10, Fault.EXCEPTION_11})
_TELLING: Final = ("voltage", "frequency", "power_factor")
_SHOWN: Final = 3

Ask = Callable[[Block], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One model: `sure` by its probes; `score` in plausible values; `evidence` is what it read, for people."""

    profile: Profile
    score: float
    sure: bool
    evidence: str


class Memory:
    """Asks each register once, and stops asking after some reads that were not answered."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._words: dict[tuple[Table, int], bytes] = {}
        self._failed: dict[tuple[Table, int, int], DeviceSilent | Refused] = {}
        self._timeouts = 0

    async def __call__(self, block: Block) -> bytes:
        key = (block.table, block.address, block.count)
        # a register that is read alone may hold something else than in the midst of others
        alone = any(point.alone for point in block.points)
        known = [] if alone else [self._words.get((block.table, block.address + at)) for at in range(block.count)]
        if known and None not in known:
            return b"".join(word for word in known if word is not None)
        if (failed := self._failed.get(key)) is not None:
            raise failed
        if self._timeouts >= _TIMEOUTS:
            raise DeviceSilent("not asked: too many reads were not answered", Fault.BACKOFF)
        try:
            data = await self._ask(block)
        except (DeviceSilent, Refused) as err:
            self._timeouts += err.fault in _SILENT
            self._failed[key] = err
            raise
        if not alone:
            self._words.update(
                ((block.table, block.address + at), data[2 * at : 2 * at + 2]) for at in range(block.count)
            )
        return data


async def identify(
    ask: Ask, profiles: Sequence[Profile], tell: Callable[[int], None] = lambda _: None
) -> tuple[Match, ...]:
    """The models that fit, best first. `ask` reads a block of the unit; `tell` hears how many profiles are done."""
    memory = Memory(ask)
    certain = [profile for profile in profiles if profile.sunspec or profile.probes]
    others = [profile for profile in profiles if not (profile.sunspec or profile.probes)]
    matches: list[Match] = []
    for done, profile in enumerate(certain):
        tell(done)
        match = await (_marked(memory, profile) if profile.sunspec else _probed(memory, profile))
        if match is not None:
            matches.append(match)
    if not matches:
        for done, profile in enumerate(others, len(certain)):
            tell(done)
            sweep = await _sweep(memory, profile, telling_points(profile), _REQUESTS, choosy=True)
            match = None if sweep is None else judge(profile, sweep)
            if match is not None:
                matches.append(match)
        matches = await _told_apart(memory, matches)
    return tuple(sorted(matches, key=lambda match: (not match.sure, -match.score, match.profile.id)))


async def _marked(memory: Memory, profile: Profile) -> Match | None:
    """Sure when the SunSpec chain of the device holds one of the profile's models."""
    try:
        await locate(profile.sunspec, memory)
    except DeviceSilent:
        return None
    # every SunSpec device has the common model: any other says more
    score = _SURE if COMMON in profile.sunspec else _SURE + 1
    models = " or ".join(map(str, profile.sunspec))
    return Match(profile=profile, score=score, sure=True, evidence=f"SunSpec marker and model {models}")


async def _probed(memory: Memory, profile: Profile) -> Match | None:
    names = [probe.name for probe in profile.probes]
    sweep = await _sweep(memory, profile, profile.registers_of(names), _REQUESTS, choosy=False)
    if sweep is None or not all(probe.fits(sweep.values.get(probe.name)) for probe in profile.probes):
        return None
    return Match(profile=profile, score=_SURE, sure=True, evidence=", ".join(_said(profile, sweep, names)))


async def _told_apart(memory: Memory, matches: Sequence[Match]) -> list[Match]:
    """The matches, the scores of the best weighted with how much of what their profile describes makes sense."""
    ranked = sorted(matches, key=lambda match: (-match.score, match.profile.id))
    rivals = [match for match in ranked if match.score >= (1 - CLOSE) * ranked[0].score][:_RIVALS]
    if len(rivals) < 2:
        return ranked
    weighed: list[Match] = []
    for rival in rivals:
        points = rival.profile.standard_points
        sweep = await _sweep(memory, rival.profile, points, _WHOLE, choosy=False)
        sense = sum(_plausible(*value) >= 0 for value in sweep.values.items()) if sweep is not None else 0
        weighed.append(replace(rival, score=rival.score * sense / len(points)))
    return weighed + ranked[len(rivals) :]


async def _sweep(memory: Memory, profile: Profile, points: Sequence[Point], most: int, *, choosy: bool) -> Sweep | None:
    """The points in at most `most` reads, None when nothing came.

    `choosy` begins with the read that brings most of them, and gives up when it is refused or shows nonsense.
    """
    needed = profile.registers_of([point.name for point in points])
    blocks = list(plan(needed, profile.limits, tuple(profile.points.values())))
    blocks.sort(key=lambda block: -len(block.points))
    names = frozenset(point.name for point in points)
    decoder = SweepDecoder(blocks, names)
    replies: list[bytes | Fault] = []
    for block in blocks[:most]:
        try:
            replies.append(await memory(block))
        except (DeviceSilent, Refused) as err:
            replies.append(err.fault)
        if choosy and len(replies) == 1 and (isinstance(replies[0], Fault) or _absurd(profile, block, replies[0])):
            return None
    if all(isinstance(reply, Fault) for reply in replies):
        return None
    replies += [Fault.OVERRUN] * (len(blocks) - len(replies))
    values, faults, float32 = decoder.decode(replies)
    return Sweep(device="probe", taken_at=0, values=values, faults=faults, float32=float32)


def _absurd(profile: Profile, block: Block, reply: bytes) -> bool:
    """True when a value that needs no other register makes no sense."""
    names = [point.name for point in block.points if not point.multiply_by]
    if not names:
        return False
    values, _, _ = SweepDecoder((block,), names).decode((reply,))
    return any(_plausible(name, value) < 0 for name, value in values.items() if name in profile.points)


def telling_points(profile: Profile) -> tuple[Point, ...]:
    """The gauges that show whether the profile fits; for other media than electricity all gauges."""
    gauges = tuple(
        point
        for point in profile.standard_points
        if (
            point.quantity.name in _TELLING
            if profile.medium is Medium.ELECTRICITY
            else point.quantity.kind is Kind.GAUGE
        )
    )
    return gauges or profile.standard_points[:1]


def judge(profile: Profile, sweep: Sweep) -> Match | None:
    """The match of what was read; None when it is not that model, or nothing speaks for it. Pure."""
    judged = {name: _plausible(name, value) for name, value in sweep.values.items()}
    score = sum(judged.values()) - 0.5 * len(sweep.faults) - 3.0 * (not _balanced(sweep.values))
    least = LIKELY if profile.medium is Medium.ELECTRICITY else POSSIBLE
    if score < least or min(judged.values(), default=-1.0) < 0:
        return None
    speaking = sorted((name for name, worth in judged.items() if worth > 0), key=lambda name: -judged[name])
    return Match(profile=profile, score=score, sure=False, evidence=", ".join(_said(profile, sweep, speaking)))


def _balanced(values: Mapping[str, Value]) -> bool:
    """False when the phases' voltages differ as no mains does; one that is 0 is a phase that is not connected."""
    for phases in (("l1_n", "l2_n", "l3_n"), ("l1_l2", "l2_l3", "l3_l1")):
        volts = [abs(float(values.get(f"voltage_{phase}", 0))) for phase in phases]
        live = [volt for volt in volts if volt > 0]
        if live and max(live) > 1.5 * min(live):
            return False
    return True


def _plausible(name: str, value: Value) -> float:
    """How much a value speaks for its point; below 0 against it. 0 says nothing: a meter may be without load."""
    if isinstance(value, str):
        return 0.5
    number = abs(float(value))
    if number == 0:
        return 0.0
    for quantity, low, high, worth in _WINDOWS:
        if name.startswith(quantity):
            return worth if low <= number <= high else -2.0
    return 0.7 if 1e-3 <= number <= 1e8 else -2.0


_WINDOWS: Final = (
    ("voltage_unbalance", 0.0, 100.0, 0.1),
    ("voltage", 85.0, 60_000.0, 2.0),
    ("frequency", 45.0, 65.0, 3.0),
    ("power_factor", 0.01, 1.0, 0.7),
    ("temperature", 0.1, 250.0, 1.4),
    ("pressure", 1.0, 20_000.0, 1.4),
)


def _said(profile: Profile, sweep: Sweep, names: Sequence[str]) -> Iterable[str]:
    for name in names[:_SHOWN]:
        point = profile.points[name]
        unit = f" {point.unit}" if point.unit not in {"1", "code"} else ""
        yield f"{name} {value_text(sweep.values[name], sweep.float32.get(name))}{unit}"
