"""The reports there are: name -> document, from what the statement service knows."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centre.accounting.benchmark import BenchmarkRow, load_benchmarks
from centre.accounting.factor_choice import ReportDates
from centre.baseline_study import studies
from centre.budget_use import budgets_used
from centre.entities import Entity
from centre.errors import BadQuestion, FigureError
from centre.period import Period
from centre.product_figures import batches_of, sharing_of
from centre.production import Production
from centre.progress import standings
from centre.report.audit import audit
from centre.report.baselines import baselines
from centre.report.budgets import budgets, outturns
from centre.report.cost_centres import cost_centre_table
from centre.report.demands import demand_tables
from centre.report.document import Document
from centre.report.equipment import equipment
from centre.report.footprint import batch_footprints, footprint_book, footprints
from centre.report.inventory import inventory
from centre.report.monthly import monthly
from centre.report.pollutants import pollutants
from centre.report.progress import progress
from centre.report.unit_product import unit_product
from centre.report.upload import Codes, load_codes, upload
from centre.report.writers import WRITERS, Words, load_words
from centre.statement import NOTHING, Statement
from centre.statement_ledgers import emitted_in, machines_in
from centre.statements import Basis, Statements
from wattline.resources import config_dir

LEDGERS: Final = ("pollutants", "equipment")
"""Those that no factor has a part in."""

YEARLY: Final = ("progress", "baselines", "budgets")
"""Those of a year: where it stands, and where it will end."""

REPORTS: Final = ("statement", "inventory", "audit", "unit-product", "upload", "footprint", *YEARLY, *LEDGERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Makes reports of the plants; `levels` and `codes` are those of config/."""

    statements: Statements
    levels: Sequence[BenchmarkRow]
    codes: Codes
    words: Mapping[str, Words]

    async def document(
        self, report: str, site: str, period: Period, *, dates: ReportDates | None = None,
        production: Sequence[Production] | None = None, batch: str | None = None,
    ) -> Document:  # fmt: skip
        """A report as data; raises FigureError or StoreError.

        `production`, where given, stands for what the books tell of the period; `batch` asks for the footprint of one.
        """
        if batch is not None and report != "footprint":
            raise FigureError("no_report_of_a_batch", "of a batch there is the report footprint", 400)
        if report not in REPORTS:
            raise FigureError("unknown_report", f"there is no report {report[:64]!r}: {', '.join(REPORTS)}", 404)
        if report in YEARLY and period.month is not None:
            raise BadQuestion(f"the report {report} is one of a year, such as {period.year}")
        service = self.statements
        basis = await service.basis(site, period)
        made = await service.of_basis(basis, dates or await service.dates_of(site, period))
        if report in {"statement", *LEDGERS}:
            return await self._with_ledgers(report, basis, made)
        if report in YEARLY:
            return await self._of_year(report, basis, made)
        if report in {"inventory", "audit", "upload"}:
            return await self._of_statement(report, basis, made)
        book = footprint_book(made, basis.plant, service.rules[site])
        if batch is not None:
            return batch_footprints(made, await batches_of(service, basis, batch), book)
        sharing = await sharing_of(service, basis, made, production)
        return unit_product(sharing, self.levels) if report == "unit-product" else footprints(sharing, book)

    async def _known_now(self, basis: Basis, dates: ReportDates) -> Statement | None:
        """The same statement as if it were first made on the day it is run."""
        if dates.made_on >= dates.run_on:
            return None
        return await self.statements.of_basis(basis, ReportDates(made_on=dates.run_on, run_on=dates.run_on))

    async def _with_ledgers(self, report: str, basis: Basis, made: Statement) -> Document:
        if report == "equipment":
            return equipment(made, await machines_in(self.statements, basis, made))
        emitted = await emitted_in(self.statements, basis)
        if report == "pollutants":
            return pollutants(made, emitted)
        centres = cost_centre_table(made, basis.plant.tree, await self._entities(made.site))
        demands = await asyncio.to_thread(demand_tables, basis, self.statements.rules[made.site].terms, made.bills)
        return monthly(made, emitted, (*demands, *centres))

    async def _of_statement(self, report: str, basis: Basis, made: Statement) -> Document:
        if report == "inventory":
            return inventory(made, await self._known_now(basis, made.dates))
        if report == "upload":
            return upload(made, self.codes)
        return audit(made, basis.records, await self._entities(made.site))

    async def _entities(self, site: str) -> Sequence[Entity]:
        books = self.statements.books
        return () if books is None else (await books.entities()).of(site)

    async def _of_year(self, report: str, basis: Basis, made: Statement) -> Document:
        service, site, period = self.statements, basis.plant.site, basis.period
        terms = service.rules[site].terms
        if report == "baselines":
            return baselines(made, await studies(service, site, period))
        least = service.rules[site].management(period.last).budget_least_known
        if report == "budgets":
            return budgets(made, outturns(await budgets_used(service, site, period.year)))
        told = NOTHING if service.books is None else await service.books.told(site, period)
        return progress(made, standings(made, basis.plant.tree, told, terms.goals, least))

    def written(self, found: Document, form: str, lang: str) -> tuple[str, bytes]:
        """(media type, bytes); raises FigureError for a format or language that there is not."""
        if form not in WRITERS:
            raise FigureError("unknown_format", f"a report comes as {', '.join(WRITERS)}", 400)
        if lang not in self.words:
            raise FigureError("unknown_language", f"a report comes in {', '.join(self.words)}", 400)
        media, write = WRITERS[form]
        return media, write(found, self.words[lang])


def reports(statements: Statements) -> Reports:
    """With the tables of config/; raises ConfigError."""
    return Reports(
        statements=statements,
        levels=load_benchmarks(config_dir() / "benchmarks.csv"),
        codes=load_codes(config_dir() / "key-user-codes.yaml"),
        words=load_words(),
    )
