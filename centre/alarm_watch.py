"""Alarms at work: once a minute the signs of every plant go through the state machine; the books keep the state.

What a person does to an alarm is audited; what a value does stands in the alarm's own history.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from centre.accounting.alarms import Acknowledged, Alarm, AlarmRule, Assigned, Change, Event, State, step
from centre.accounting.zones import local_day
from centre.books import alarms
from centre.books.alarms import AlarmRow
from centre.books.file import Books, Writing
from centre.errors import FigureError, UnknownSite
from centre.indicators import Sign
from centre.management import Management
from centre.plant import Plant
from centre.records import Rules
from centre.store.base import StoreError
from centre.web_i18n import Words
from wattline.clock import NS, Clock
from wattline.events import EventLog

_FIRST_S: Final = 15.0  # readings and their accounting come first


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """An alarm as it is shown; `value` and `basis` as seen at `seen_at`, None since the start of the centre."""

    id: str
    indicator: str
    site: str
    node: str | None
    carrier: str | None
    device: str | None
    budget: str | None
    state: State
    number: int
    owner: str | None
    raised_at: int | None
    ended_at: int | None
    limit: Decimal
    value: Decimal | None
    basis: str | None
    seen_at: int | None
    title: Mapping[str, str]
    text: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class AlarmWatch:
    """Runs beside ingest; methods raise FigureError or StoreError."""

    management: Management
    books: Books
    clock: Clock
    plants: Mapping[str, Plant]
    rules: Mapping[str, Rules]
    words: Mapping[str, Words]
    every_s: float = 60.0
    log: EventLog = field(default_factory=EventLog)
    _failed: bool = False
    _seen: dict[str, Sign] = field(default_factory=dict[str, Sign])

    async def run(self) -> None:
        """Look, and look again, until cancelled."""
        await self.clock.sleep_until(self.clock.now_ns() + int(_FIRST_S * NS))
        while True:
            try:
                await self.cycle()
            except StoreError as err:
                if not self._failed:
                    self.log.error("alarms.failed", error=str(err))  # noqa: TRY400 - an event, not a traceback
                self._failed = True
            else:
                self._failed = False
            await self.clock.sleep_until(self.clock.now_ns() + int(self.every_s * NS))

    async def cycle(self) -> tuple[Change, ...]:
        """One look at every plant; returns what changed. Raises StoreError."""
        changes: list[Change] = []
        for plant in self.plants.values():
            changes += await self._look(plant)
        return tuple(changes)

    async def _look(self, plant: Plant) -> list[Change]:
        rules = self._rules(plant)
        signs = [sign for sign in await self.management.signs(plant) if sign.indicator in rules]
        known = {row.id: row for row in await self.books.read(lambda of: alarms.alarms(of, plant.site))}
        outdated: list[tuple[AlarmRow, tuple[Change, ...]]] = []
        changes: list[Change] = []
        for sign in signs:
            self._seen[sign.id] = sign
            row = known.get(sign.id) or _row(sign)
            after, happened = step(_rule(rules[sign.indicator], sign.id), row.alarm, sign.measured)
            changes += happened
            # `last` alone is not worth a write: the value is looked at again
            if happened or replace(after, last=row.alarm.last) != row.alarm:
                outdated.append((replace(row, alarm=after), happened))
        if outdated:
            await self.books.keep(lambda to: alarms.put_all(to, outdated))
        for change in changes:
            value = "" if change.value is None else f"{change.value:f}"
            self.log.warning(f"alarm.{change.what}", alarm=change.alarm, value=value, basis=change.detail)
        return changes

    async def alarms(self, site: str) -> tuple[AlarmView, ...]:
        """All that were ever raised, those that wait for somebody first."""
        plant = self._plant(site)
        rows = await self.books.read(lambda of: [(row, alarms.history(of, row.id)) for row in alarms.alarms(of, site)])
        views = [self._view(plant, row, history) for row, history in rows if row.alarm.number]
        order = [State.ACTIVE, State.GONE, State.ACKNOWLEDGED, State.NORMAL]
        return tuple(sorted(views, key=lambda view: (order.index(view.state), -(view.raised_at or 0), view.id)))

    async def signs(self, site: str) -> tuple[Sign, ...]:
        """What is watched, as last seen."""
        self._plant(site)
        return tuple(sign for sign in self._seen.values() if sign.site == site)

    async def history(self, id_: str) -> tuple[Change, ...]:
        """What happened to an alarm, the newest first."""
        row, found = await self.books.read(lambda of: (alarms.alarm(of, id_), alarms.history(of, id_)))
        if row is None:
            raise _unknown(id_)
        return found

    async def acknowledge(self, id_: str, *, author: str, reason: str) -> AlarmView:
        """Somebody has seen it; the reason is what he says to it."""
        at = self.clock.now_ns()
        return await self._done(id_, author, reason, Acknowledged(at=at, by=author.strip(), note=reason.strip()))

    async def assign(self, id_: str, owner: str, *, author: str, reason: str) -> AlarmView:
        """Somebody gives it to an owner."""
        if not owner.strip() or len(owner) > 120 or not owner.isprintable():
            raise FigureError("bad_parameter", "owner: 1 to 120 printable characters", 400)
        event = Assigned(at=self.clock.now_ns(), by=author.strip(), owner=owner.strip())
        return await self._done(id_, author, reason, event)

    async def _done(self, id_: str, author: str, reason: str, event: Event) -> AlarmView:
        def work(to: Writing) -> AlarmRow:
            row = alarms.alarm(to, id_)
            if row is None or row.site not in self.plants:
                raise _unknown(id_)
            rule = self._rules(self.plants[row.site]).get(row.indicator)
            if rule is None:
                raise _unknown(id_)
            after, happened = step(_rule(rule, id_), row.alarm, event)
            if not happened:
                raise FigureError("nothing_to_do", f"{id_} is {row.alarm.state}: that changes nothing", 409)
            changed = replace(row, alarm=after)
            alarms.put(to, changed, happened)
            to.note(f"alarm:{id_}", row.alarm, after)
            return changed

        row = await self.books.change(author, reason, work)
        history = await self.books.read(lambda of: alarms.history(of, id_))
        return self._view(self.plants[row.site], row, history)

    def _rules(self, plant: Plant) -> Mapping[str, AlarmRule]:
        """By indicator, those of today."""
        return self.rules[plant.site].management(local_day(self.clock.now_ns(), plant.zone)).alarms

    def _plant(self, site: str) -> Plant:
        if site not in self.plants:
            raise UnknownSite(site)
        return self.plants[site]

    def _view(self, plant: Plant, row: AlarmRow, history: tuple[Change, ...]) -> AlarmView:
        raised = next((change for change in history if change.what in {"raised", "reopened"}), None)
        sign = self._seen.get(row.id)
        value = None if sign is None else sign.measured.value
        rule = self._rules(plant).get(row.indicator)
        limit = Decimal(0) if rule is None else rule.limit
        shown = value if value is not None else None if raised is None else raised.value
        return AlarmView(
            id=row.id,
            indicator=row.indicator,
            site=row.site,
            node=row.node,
            carrier=row.carrier,
            device=row.device,
            budget=row.budget,
            state=row.alarm.state,
            number=row.alarm.number,
            owner=row.alarm.owner,
            raised_at=None if raised is None else raised.at,
            ended_at=row.alarm.ended_at,
            limit=limit,
            value=value,
            basis=None if sign is None else sign.measured.basis,
            seen_at=None if sign is None else sign.measured.at,
            title={lang: words(f"alarm.{row.indicator}.title") for lang, words in self.words.items()},
            text={lang: _text(words, plant, row, shown, limit) for lang, words in self.words.items()},
        )


def _text(words: Words, plant: Plant, row: AlarmRow, value: Decimal | None, limit: Decimal) -> str:
    node = next((found for found in plant.tree.walk() if found.id == row.node), plant.tree)
    return words(
        f"alarm.{row.indicator}.text",
        place=words.named(node.name),
        carrier="" if row.carrier is None else words(f"carrier.{row.carrier}"),
        device=row.device or "",
        budget=row.budget or "",
        value="-" if value is None else f"{value:.1f}",
        limit=f"{limit:f}",
    )


def _row(sign: Sign) -> AlarmRow:
    return AlarmRow(
        id=sign.id,
        indicator=sign.indicator,
        site=sign.site,
        node=sign.node,
        carrier=None if sign.carrier is None else sign.carrier.value,
        device=sign.device,
        budget=sign.budget,
        alarm=Alarm(),
    )


def _rule(rule: AlarmRule, id_: str) -> AlarmRule:
    """The rule of an indicator as that of one alarm."""
    return replace(rule, id=id_)


def _unknown(id_: str) -> FigureError:
    return FigureError("unknown_alarm", f"there is no alarm {id_[:120]!r}", 404)
