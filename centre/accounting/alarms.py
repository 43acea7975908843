"""Alarms as a pure state machine: hysteresis, delay, acknowledgement, owner, re-opening; a line of history a change.

A value that is not known raises nothing and ends nothing. Times are UTC ns and never go back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Which side of its limit a value must not be on."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """Raised when a value was beyond `limit` for `delay_ns`; over when it was back behind `clear` for `clear_delay_ns`.

    A value that is not known neither starts nor stops a delay. Raised again within `reopen_ns` of being over, the same
    alarm is opened again, with its owner.
    """

    id: str
    side: Side
    limit: Decimal
    clear: Decimal
    delay_ns: int = 0
    clear_delay_ns: int = 0
    reopen_ns: int = 0
    owner: str | None = None

    def __post_init__(self) -> None:
        if (self.clear > self.limit) if self.side is Side.ABOVE else (self.clear < self.limit):
            raise ValueError("clear lies on the good side of limit")
        if min(self.delay_ns, self.clear_delay_ns, self.reopen_ns) < 0:
            raise ValueError("a delay is not below 0")

    def bad(self, value: Decimal) -> bool:
        return value > self.limit if self.side is Side.ABOVE else value < self.limit

    def good(self, value: Decimal) -> bool:
        return value <= self.clear if self.side is Side.ABOVE else value >= self.clear


class State(StrEnum):
    """NORMAL: nothing to see. ACTIVE: nobody saw it yet. ACKNOWLEDGED: somebody did, and it lasts.
    GONE: over before anybody saw it; it stays in the list until somebody does."""

    NORMAL = "normal"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    GONE = "gone"


class What(StrEnum):
    """The changes a history holds."""

    RAISED = "raised"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value of the rule's indicator at `at`; None when it is not known. `basis` names where it came from."""

    at: int
    value: Decimal | None
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """`by` has seen the alarm."""

    at: int
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """`by` gives the alarm to `owner`."""

    at: int
    by: str
    owner: str


Event = Measured | Acknowledged | Assigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A line of history; `by` is "" for what a value did, `detail` an owner or a note."""

    at: int
    alarm: str
    number: int
    what: What
    state: State
    by: str
    value: Decimal | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Where an alarm stands. `number` counts its openings; `since` is the first bad (or good) value of a delay.

    `last` is the time of the newest event; an older one changes nothing, so delivery may repeat.
    """

    state: State = State.NORMAL
    number: int = 0
    owner: str | None = None
    since: int | None = None
    ended_at: int | None = None
    last: int = -1


def step(rule: AlarmRule, alarm: Alarm, event: Event) -> tuple[Alarm, tuple[Change, ...]]:
    """The alarm after `event`, and the lines it adds to the history: one for each change, none without one."""
    if isinstance(event, Measured):
        return (alarm, ()) if event.at <= alarm.last else _measured(rule, replace(alarm, last=event.at), event)
    if isinstance(event, Acknowledged):
        return _acknowledged(rule, alarm, event)
    if event.owner == alarm.owner:
        return alarm, ()
    after = replace(alarm, owner=event.owner)
    return after, (_change(rule, after, event.at, What.ASSIGNED, by=event.by, detail=event.owner),)


def run(rule: AlarmRule, events: Iterable[Event], alarm: Alarm | None = None) -> tuple[Alarm, tuple[Change, ...]]:
    """All `events` in order."""
    now, history = alarm or Alarm(), list[Change]()
    for event in events:
        now, changes = step(rule, now, event)
        history += changes
    return now, tuple(history)


def _measured(rule: AlarmRule, alarm: Alarm, event: Measured) -> tuple[Alarm, tuple[Change, ...]]:
    on = alarm.state in {State.ACTIVE, State.ACKNOWLEDGED}
    if event.value is None:
        return alarm, ()
    turning = rule.good(event.value) if on else rule.bad(event.value)
    if not turning:
        return replace(alarm, since=None), ()
    since = event.at if alarm.since is None else alarm.since
    if event.at - since < (rule.clear_delay_ns if on else rule.delay_ns):
        return replace(alarm, since=since), ()
    return _ended(rule, alarm, event) if on else _raised(rule, alarm, event)


def _raised(rule: AlarmRule, alarm: Alarm, event: Measured) -> tuple[Alarm, tuple[Change, ...]]:
    again = alarm.ended_at is not None and (alarm.state is State.GONE or event.at - alarm.ended_at <= rule.reopen_ns)
    after = replace(
        alarm,
        state=State.ACTIVE,
        number=alarm.number if again else alarm.number + 1,
        owner=alarm.owner if again else rule.owner,
        since=None,
        ended_at=None,
    )
    what = What.REOPENED if again else What.RAISED
    return after, (_change(rule, after, event.at, what, value=event.value, detail=event.basis),)


def _ended(rule: AlarmRule, alarm: Alarm, event: Measured) -> tuple[Alarm, tuple[Change, ...]]:
    state = State.NORMAL if alarm.state is State.ACKNOWLEDGED else State.GONE
    after = replace(alarm, state=state, since=None, ended_at=event.at)
    return after, (_change(rule, after, event.at, What.ENDED, value=event.value, detail=event.basis),)


def _acknowledged(rule: AlarmRule, alarm: Alarm, event: Acknowledged) -> tuple[Alarm, tuple[Change, ...]]:
    after_state = {State.ACTIVE: State.ACKNOWLEDGED, State.GONE: State.NORMAL}.get(alarm.state)
    if after_state is None:
        return alarm, ()
    after = replace(alarm, state=after_state, owner=alarm.owner or event.by)
    return after, (_change(rule, after, event.at, What.ACKNOWLEDGED, by=event.by, detail=event.note),)


def _change(
    rule: AlarmRule,
    after: Alarm,
    at: int,
    what: What,
    *,
    by: str = "",
    value: Decimal | None = None,
    detail: str = "",
) -> Change:
    return Change(
        at=at, alarm=rule.id, number=after.number, what=what, state=after.state, by=by, value=value, detail=detail
    )
