"""Energy against its baseline: what each model is worth, and every month's saving with the running sum (CUSUM)."""

from collections.abc import Iterator, Sequence

from centre.accounting.baseline import Baseline, Performance
from centre.accounting.terms import rounded
from centre.baseline_study import Seen, Study, Version
from centre.report.document import Cell, Document, Table, Word, document, short
from centre.statement import Statement


def baselines(made: Statement, found: Sequence[Study]) -> Document:
    """The report `baselines`."""
    models = ("indicator", "node", "carrier", "version", "made_because", "from", "to", "valid_from", "periods", "r2",
              "cv_rmse", "durbin_watson", "valid", "weaknesses", "reason")  # fmt: skip
    lines = ("indicator", "version", "driver", "coefficient", "t_value", "range_low", "range_high")
    months = ("indicator", "period", "actual", "expected", "saving", "cusum", "unit", "drivers", "beyond", "version",
              "reason")  # fmt: skip
    fitted = tuple(_model(one, version) for one in found for version in one.versions)
    done = tuple(_month(one, *month) for one in found for month in one.months)
    tables = (
        Table(key="models", columns=models, rows=fitted),
        Table(key="coefficients", columns=lines, rows=tuple(row for one in found for row in _coefficients(one))),
        Table(key="performance", columns=months, rows=done),
    )
    return document("baselines", made, tables, () if found else ("note_no_baseline",))


def _model(one: Study, version: Version) -> tuple[Cell, ...]:
    model = None if version.baseline is None else version.baseline.model
    fit = None if model is None else model.fit
    return (
        one.of.id, one.of.node, Word(f"carrier_{one.of.carrier}"), _number(version.baseline), version.fitted.reason,
        str(version.fitted.first), str(version.fitted.last), version.fitted.valid_from.isoformat(),
        None if fit is None else str(fit.n), None if fit is None else fit.r2, None if fit is None else fit.cv_rmse,
        None if fit is None else fit.durbin_watson, None if model is None else Word("is" if model.valid else "is_not"),
        None if model is None else ", ".join(model.weaknesses), version.reason,
    )  # fmt: skip


def _coefficients(one: Study) -> Iterator[tuple[Cell, ...]]:
    for version in one.versions:
        if version.baseline is None:
            continue
        model = version.baseline.model
        names: list[Cell] = [Word("base_load"), *model.drivers]
        ranges = [(None, None), *(model.ranges[name] for name in model.drivers)]
        t_values = model.fit.t_values or (None,) * len(names)
        for name, (low, high), value, t in zip(names, ranges, model.fit.coefficients, t_values, strict=True):
            yield (one.of.id, _number(version.baseline), name, short(rounded(value)), t, low, high)


def _month(one: Study, seen: Seen, done: Performance | None, reason: str | None) -> tuple[Cell, ...]:
    drivers = "; ".join(
        f"{name} = {'-' if part.value is None else short(part.value)} {part.unit}".rstrip()
        for name, part in seen.drivers.items()
    )
    amounts = (None, None, None) if done is None else (done.expected, done.saving, done.cusum)
    version = None if done is None or done.baseline is None else done.baseline.rpartition("/")[2]
    return (
        one.of.id, seen.month.label, None if seen.energy.value is None else short(seen.energy.value),
        *(None if amount is None else short(amount) for amount in amounts), seen.energy.unit, drivers,
        None if done is None else ", ".join(done.beyond), version, reason,
    )  # fmt: skip


def _number(found: Baseline | None) -> str:
    return "" if found is None else str(found.version)
