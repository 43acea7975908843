"""Energy baselines (rule F12): what a process should have used for what it did, the saving, and its running sum.

A baseline is a version with a reason; it says where its drivers lay, and a value beyond is an extrapolation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.regression import Fit, NoFit, least_squares

_PLACES: Final = 6
NO_REASON: Final = "a change of a baseline needs a reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A period (month or day) with its energy and its drivers: production, degree-days."""

    day: date
    energy: Decimal
    drivers: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRule:
    """What a model must reach to be called valid (config/management.yaml).

    `durbin_watson` is the range in which residuals in time order count as chance (2 is none at all).
    """

    least: int
    r2: Decimal
    cv_rmse: Decimal
    t_value: Decimal
    durbin_watson: tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A fitted model: `drivers` in the order of the coefficients after the intercept, and the range of each.

    `weaknesses` names what the rule asked and the fit did not reach; a valid model has none.
    """

    drivers: tuple[str, ...]
    fit: Fit
    ranges: Mapping[str, tuple[Decimal, Decimal]]
    first: date
    last: date
    weaknesses: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.weaknesses


def fit_model(observations: Iterable[Observation], drivers: Sequence[str], rule: FitRule) -> Model:
    """The model of energy by `drivers`; raises NoFit with a reason where there is none."""
    ordered = sorted(observations, key=lambda found: found.day)
    if len(ordered) < rule.least:
        raise NoFit("too_few_observations")
    if any(driver not in found.drivers for found in ordered for driver in drivers):
        raise NoFit("driver_missing")
    rows = [[found.drivers[driver] for driver in drivers] for found in ordered]
    fit = least_squares(rows, [found.energy for found in ordered])
    return Model(
        drivers=tuple(drivers),
        fit=fit,
        ranges={
            driver: (min(f.drivers[driver] for f in ordered), max(f.drivers[driver] for f in ordered))
            for driver in drivers
        },
        first=ordered[0].day,
        last=ordered[-1].day,
        weaknesses=tuple(_weaknesses(fit, drivers, rule)),
    )


def _weaknesses(fit: Fit, drivers: Sequence[str], rule: FitRule) -> Iterable[str]:
    if fit.r2 is None or fit.r2 < rule.r2:
        yield "r2"
    if fit.cv_rmse is None or fit.cv_rmse > rule.cv_rmse:
        yield "cv_rmse"
    for driver, t in zip(drivers, fit.t_values[1:] if fit.t_values else (), strict=False):
        if abs(t) < rule.t_value:
            yield f"t:{driver}"
    low, high = rule.durbin_watson
    if fit.durbin_watson is not None and not low <= fit.durbin_watson <= high:
        yield "residuals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One version of the baseline of an indicator, counting from `valid_from` on."""

    id: str
    version: int
    reason: str
    valid_from: date
    model: Model


def begin(indicator: str, model: Model, *, reason: str, valid_from: date) -> tuple[Baseline, ...]:
    """The first version; raises ValueError without a reason."""
    return revise((), model, indicator=indicator, reason=reason, valid_from=valid_from)


def revise(
    versions: tuple[Baseline, ...], model: Model, *, indicator: str, reason: str, valid_from: date
) -> tuple[Baseline, ...]:
    """`versions` and a new one after them; none is ever changed. ValueError without a reason, or for a day before."""
    if not reason.strip():
        raise ValueError(NO_REASON)
    if versions and valid_from <= versions[-1].valid_from:
        raise ValueError(f"a new version counts from later than {versions[-1].valid_from}")
    number = len(versions) + 1
    new = Baseline(
        id=f"{indicator}/{number}", version=number, reason=reason.strip(), valid_from=valid_from, model=model
    )
    return (*versions, new)


def version_on(versions: Sequence[Baseline], day: date) -> Baseline | None:
    """The version that counts on `day`."""
    return next((found for found in reversed(versions) if found.valid_from <= day), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A period against its baseline: saving = expected - actual; `cusum` = sum of (actual - expected) so far.

    `beyond` names the drivers outside the range the model knows; None and a reason where nothing can be expected.
    """

    day: date
    actual: Decimal
    expected: Decimal | None
    saving: Decimal | None
    cusum: Decimal | None
    beyond: tuple[str, ...]
    baseline: str | None
    reason: str | None


def performance(versions: Sequence[Baseline], observations: Iterable[Observation]) -> tuple[Performance, ...]:
    """Each period against the version that counts on its day; the running sum begins anew with every version."""
    found: list[Performance] = []
    total, running = Fraction(0), ""
    for period in sorted(observations, key=lambda one: one.day):
        version = version_on(versions, period.day)
        if version is None or any(driver not in period.drivers for driver in version.model.drivers):
            found.append(_unknown(period, version))
            continue
        if version.id != running:
            total, running = Fraction(0), version.id
        expected = predict(version.model, period.drivers)
        total += Fraction(period.energy) - expected
        found.append(
            Performance(
                day=period.day,
                actual=period.energy,
                expected=rounded(expected, _PLACES),
                saving=rounded(expected - Fraction(period.energy), _PLACES),
                cusum=rounded(total, _PLACES),
                beyond=_beyond(version.model, period.drivers),
                baseline=version.id,
                reason=None,
            )
        )
    return tuple(found)


def predict(model: Model, drivers: Mapping[str, Decimal]) -> Fraction:
    """What the model expects, exactly."""
    intercept, *slopes = model.fit.coefficients
    return intercept + sum(
        (slope * Fraction(drivers[driver]) for slope, driver in zip(slopes, model.drivers, strict=True)), Fraction(0)
    )


def _beyond(model: Model, drivers: Mapping[str, Decimal]) -> tuple[str, ...]:
    return tuple(d for d in model.drivers if not model.ranges[d][0] <= drivers[d] <= model.ranges[d][1])


def _unknown(period: Observation, version: Baseline | None) -> Performance:
    return Performance(
        day=period.day,
        actual=period.energy,
        expected=None,
        saving=None,
        cusum=None,
        beyond=(),
        baseline=None if version is None else version.id,
        reason="no_baseline" if version is None else "driver_missing",
    )
