"""The selected part of the plant as the template shows it: key figures, and energy and CO2 per carrier, all as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.plant import Node, Plant
from centre.views import CarrierFigure, Energy, Load
from centre.web_curve import metered, peak, span
from centre.web_format import NOTHING, Shown, local, percent, plain, show
from centre.web_i18n import Words

_IN_TOTAL: Final = frozenset({1, 2})
"""Scope 1 and 2; scope 3 (water) is shown in its line and stays outside the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A key figure: a label, the value, and a line below it that says how it came about or why it is absent."""

    label: str
    value: Shown
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorView:
    """The factor a CO2 figure rests on; `details` are (word, text) pairs for whoever asks where it comes from."""

    text: str
    confirmed: bool
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierView:
    """One line of the table. `share` is the part of the day's CO2, 0 to 100, for the bar; None without one."""

    id: str
    name: str
    quantity: Shown
    quantity_notes: tuple[str, ...]
    co2: Shown
    co2_notes: tuple[str, ...]
    share: float | None
    share_text: str
    complete: str
    whole: bool
    complete_notes: tuple[str, ...]
    factor: FactorView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """The selected node: its name and path, the figures beside the live power, the table."""

    node: str
    name: str
    path: tuple[tuple[str, str], ...]
    electricity: Figure
    co2: Figure
    peak: Figure
    carriers: tuple[CarrierView, ...]


def panel_view(plant: Plant, node: Node, energy: Energy, load: Load, words: Words) -> PanelView:
    """Everything of the panel but the live values."""
    figures = energy.nodes.get(node.id, ())
    total = _total([figure for figure in figures if figure.scope in _IN_TOTAL])
    return PanelView(
        node=node.id,
        name=words.named(node.name),
        path=tuple((above.id, words.named(above.name)) for above in _path(plant.tree, node)),
        electricity=_electricity(figures, energy, plant, words),
        co2=_co2(figures, total, words),
        peak=_peak(plant, node, load, words),
        carriers=tuple(_carrier(figure, total, words) for figure in figures),
    )


def _path(tree: Node, node: Node) -> tuple[Node, ...]:
    """The nodes above `node`, from the top."""
    if tree.id == node.id:
        return ()
    below = next(child for child in tree.children if any(part.id == node.id for part in child.walk()))
    return (tree, *_path(below, node))


def _total(figures: Sequence[CarrierFigure]) -> Decimal | None:
    known = [figure.co2_kg for figure in figures if figure.co2_kg is not None]
    return sum(known, Decimal(0)) if known else None


def _electricity(figures: Sequence[CarrierFigure], energy: Energy, plant: Plant, words: Words) -> Figure:
    label = words("kpi.energy")
    found = next((figure for figure in figures if figure.carrier == "electricity"), None)
    if found is None:
        return Figure(label=label, value=NOTHING, note=words("tree.none"))
    value = show(found.quantity, found.unit)
    if found.quantity is None:
        return Figure(label=label, value=value, note=_reason(found.reason, words))
    until = "" if energy.until_ns is None else words("kpi.until", at=f"{local(energy.until_ns, plant.zone):%H:%M}")
    return Figure(label=label, value=value, note=until)


def _co2(figures: Sequence[CarrierFigure], total: Decimal | None, words: Words) -> Figure:
    counted = [figure for figure in figures if figure.scope in _IN_TOTAL]
    absent = tuple(words(f"carrier.{figure.carrier}") for figure in counted if figure.co2_kg is None)
    if total is None:
        reason = next((figure.co2_reason or figure.reason for figure in counted), None)
        note = _reason(reason, words) if counted else words("kpi.co2_none")
    else:
        note = words("kpi.co2_without", carriers=words.listed(absent)) if absent else words("kpi.co2_note")
    return Figure(label=words("kpi.co2"), value=show(total, "kg"), note=note)


def _peak(plant: Plant, node: Node, load: Load, words: Words) -> Figure:
    label = words("kpi.peak")
    highest = peak(load.nodes.get(node.id, ()))
    if highest is None:
        return Figure(label=label, value=NOTHING, note=words("kpi.peak_none" if metered(node) else "tree.none"))
    start, end = span(highest, load.step_s, plant)
    return Figure(label=label, value=show(highest.kw, "kW"), note=words("kpi.peak_at", start=start, end=end))


def _carrier(figure: CarrierFigure, total: Decimal | None, words: Words) -> CarrierView:
    share = _share(figure, total)
    return CarrierView(
        id=figure.carrier,
        name=words(f"carrier.{figure.carrier}"),
        quantity=show(figure.quantity, figure.unit),
        quantity_notes=_quantity_notes(figure, words),
        co2=show(figure.co2_kg, "kg"),
        co2_notes=_co2_notes(figure, words),
        share=None if share is None else float(share * 100),
        share_text="" if share is None else words("energy.share", percent=percent(share)),
        complete=percent(figure.completeness),
        whole=figure.completeness is not None and figure.completeness >= 1 and not figure.missing,
        complete_notes=_complete_notes(figure, words),
        factor=_factor(figure, words),
    )


def _share(figure: CarrierFigure, total: Decimal | None) -> Decimal | None:
    if figure.co2_kg is None or not total or figure.scope not in _IN_TOTAL:
        return None
    return min(max(figure.co2_kg / total, Decimal(0)), Decimal(1))


def _quantity_notes(figure: CarrierFigure, words: Words) -> tuple[str, ...]:
    if figure.quantity is None:
        return (_reason(figure.reason, words),)
    notes: list[str] = []
    if figure.generation is not None:
        notes.append(words("energy.generation", amount=show(figure.generation, figure.unit)))
    if figure.export is not None:
        notes.append(words("energy.export", amount=show(figure.export, figure.unit)))
    return tuple(notes)


def _co2_notes(figure: CarrierFigure, words: Words) -> tuple[str, ...]:
    if figure.co2_kg is None:
        return (_reason(figure.co2_reason or figure.reason, words),)
    return () if figure.scope in _IN_TOTAL else (words("energy.not_total"),)


def _complete_notes(figure: CarrierFigure, words: Words) -> tuple[str, ...]:
    notes = [
        words(f"energy.{word}", percent=percent(figure.shares[flag]))
        for flag, word in (("E", "estimated"), ("Q", "suspect"))
        if figure.shares.get(flag)
    ]
    if figure.missing:
        notes.append(words("energy.missing", devices=words.listed(figure.missing, 2)))
    return tuple(notes)


def _factor(figure: CarrierFigure, words: Words) -> FactorView | None:
    row = figure.factor
    if row is None:
        return None
    valid = "" if row.valid_from is None else words("factor.from_on", start=row.valid_from)
    if row.valid_from is not None and row.valid_to is not None:
        valid = words("factor.from_to", start=row.valid_from, end=row.valid_to)
    applied = "" if figure.import_ is None else words("factor.applied_to", amount=show(figure.import_, figure.unit))
    details = [
        ("applied", applied),
        ("source", row.source),
        ("region", row.region),
        ("valid", valid),
        ("policy", words.get(f"policy.{row.policy}", row.policy)),
        ("id", row.id),
    ]
    return FactorView(
        text=f"{plain(row.value)} {_typeset(row.value_unit)}",
        confirmed=row.confirmed,
        details=tuple((words(f"factor.{key}"), str(text)) for key, text in details if text),
    )


def _typeset(unit: str) -> str:
    """`tCO2/1e4m3` of the table as `tCO₂/10⁴ m³`."""
    return unit.replace("CO2", "CO₂").replace("1e4m3", "10⁴ m3").replace("m3", "m³")


def _reason(reason: str | None, words: Words) -> str:
    """A reason of the figures in the reader's words; one that the catalogue does not know is shown as it is."""
    return "" if reason is None else words.get(f"reason.{reason}", reason)
