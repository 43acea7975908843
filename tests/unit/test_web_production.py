"""What the page shows of production: only of its plant and month, the newest first, and how much is not shown."""

from zoneinfo import ZoneInfo

from centre.accounting.calendar import Month
from centre.dead_letters import Letter
from centre.manual_forms import Entry
from centre.web_production import production_view

ZONE = ZoneInfo("Asia/Shanghai")


def entry(number: int) -> Entry:
    values = {"node": "line-1", "product": "gear", "batch": f"B{number}", "produced": "1", "unit": "t",
              "begin": "0", "end": str(number * 10**9)}  # fmt: skip
    return Entry(form="production", site="works", period="2026-10", key=(), values=values, place=1, number=number)


def test_the_newest_batches_are_shown_and_the_others_counted() -> None:
    view = production_view(
        "works", Month(2026, 10), ZONE, entries=[entry(number) for number in range(1, 54)], batches=(), letters=()
    )
    assert [row.batch for row in view.made[:2]] == ["B53", "B52"]
    assert (len(view.made), view.more) == (50, 3)
    assert view.made[0].figure == "line-1:footprint/gear/batch/B53"


def test_refused_messages_are_shown_to_the_plant_whose_topic_they_came_on() -> None:
    letters = [
        Letter(at="20261001T000000", topic=topic, reason="no", payload="")
        for topic in ("wattline/v1/works/mes/production", "wattline/v1/other/mes/production", "else")
    ]
    view = production_view("works", Month(2026, 10), ZONE, entries=(), batches=(), letters=letters)
    assert [letter.topic for letter in view.refused] == ["wattline/v1/works/mes/production"]
