"""The alarms of a month as people read them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from centre.alarm_watch import AlarmView
from centre.statement import Statement
from centre.web_format import moment
from centre.web_i18n import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """`state` is that of centre.accounting.alarms; `dot` the sign beside it."""

    id: str
    title: str
    text: str
    state: str
    word: str
    dot: str
    owner: str
    since: str


def alarm_rows(alarms: Iterable[AlarmView], made: Statement, zone: ZoneInfo, words: Words) -> tuple[AlarmRow, ...]:
    """The alarms that were there in the month; times in `zone`."""
    dots = {"active": "faulty", "gone": "silent", "acknowledged": "never", "normal": "ok"}
    return tuple(
        AlarmRow(
            id=alarm.id,
            title=words.named(alarm.title),
            text=words.named(alarm.text),
            state=alarm.state.value,
            word=words(f"books.alarm_state.{alarm.state}"),
            dot=dots[alarm.state.value],
            owner=alarm.owner or words("books.no_owner"),
            since=moment(alarm.raised_at, zone),
        )
        for alarm in alarms
        if alarm.raised_at is not None
        and alarm.raised_at < made.end_ns
        and (alarm.ended_at is None or alarm.ended_at >= made.start_ns or alarm.state.value == "gone")
    )
