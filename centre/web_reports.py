"""The reports of a month and of its year, as the page of the books links to them."""

from dataclasses import dataclass

from centre.period import Period
from centre.report.reports import REPORTS, YEARLY
from centre.report.writers import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLinks:
    """A report by its name in the API; `periods`: the month, None where there is one of a year only, and the year."""

    name: str
    title: str
    periods: tuple[str | None, str]


def report_links(month: Period, words: Words) -> tuple[ReportLinks, ...]:
    """Every report there is."""
    return tuple(
        ReportLinks(name=name, title=words(name), periods=(None if name in YEARLY else month.label, f"{month.year}"))
        for name in REPORTS
    )
