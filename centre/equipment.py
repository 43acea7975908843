"""The equipment ledger's entries: what the plate of a machine says, by date. The door of `equipment:` of an entity."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field

from centre.accounting.equipment import Equipment
from centre.accounting.file_types import Day, Positive, Share, Text
from centre.accounting.management_file import Reference, reference_form
from centre.accounting.utilities import GasReference
from centre.carriers import Carrier
from wattline.strict_yaml import Strict

_OFF: Final = Decimal("0.02")
_IDLE: Final = Decimal("0.25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The meter of what a machine makes; `stated`: the conditions a meter of compressed air counts at."""

    device: str
    carrier: Carrier
    stated: GasReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquipmentEntry:
    """A machine in [since, until). `grade` is of the GB standard of its kind (1 the best), `made` its year of make.

    `eliminated`: its model stands in a catalogue of what has to be phased out. Below `off_share` of its rating it is
    off, below `idle_share` idle.
    """

    rated_kw: Decimal
    efficiency_class: str | None = None
    grade: int | None = None
    made: int | None = None
    eliminated: bool = False
    key: bool = False
    off_share: Decimal = _OFF
    idle_share: Decimal = _IDLE
    output: Output | None = None
    since: date | None = None
    until: date | None = None

    def machine(self, id_: str) -> Equipment:
        """As the rules take it."""
        return Equipment(
            id=id_,
            rated_kw=self.rated_kw,
            efficiency_class=self.efficiency_class or "",
            key=self.key,
            off_share=self.off_share,
            idle_share=self.idle_share,
        )


class OutputForm(Strict):
    device: str
    carrier: Carrier
    stated: Reference | None = None


class EquipmentForm(Strict):
    """One entry as it is written."""

    rated_kw: Positive
    efficiency_class: Text | None = None
    grade: Annotated[int, Field(ge=1, le=5)] | None = None
    made: Annotated[int, Field(ge=1900, le=2200)] | None = None
    eliminated: bool = False
    key: bool = False
    off_share: Share = _OFF
    idle_share: Share = _IDLE
    output: OutputForm | None = None
    since: Day | None = None
    until: Day | None = None


def entry_of(form: EquipmentForm) -> EquipmentEntry:
    """The entry of a form, unchecked."""
    values: dict[str, Any] = dict(form)
    given = form.output
    values["output"] = None if given is None else Output(
        device=given.device,
        carrier=given.carrier,
        stated=None if given.stated is None else given.stated.conditions,
    )  # fmt: skip
    return EquipmentEntry(**values)


def entry_form(entry: EquipmentEntry) -> dict[str, Any]:
    """The entry as a file holds it, without what is as ever."""
    plain = EquipmentEntry(rated_kw=entry.rated_kw)
    kept = {name: getattr(entry, name) for name in EquipmentForm.model_fields}
    return {"rated_kw": entry.rated_kw} | {
        name: _output_form(value) if isinstance(value, Output) else value
        for name, value in kept.items()
        if value != getattr(plain, name)
    }


def _output_form(output: Output) -> dict[str, Any]:
    found: dict[str, Any] = {"device": output.device, "carrier": output.carrier.value}
    if output.stated is not None:
        found["stated"] = reference_form(output.stated)
    return found


def entry_mistakes(entry: EquipmentEntry) -> list[tuple[str, str]]:
    """Key and message of what is wrong with an entry by itself."""
    found: list[tuple[str, str]] = []
    if entry.off_share > entry.idle_share:
        found.append(("off_share", "must not be more than idle_share"))
    output = entry.output
    if output is not None and output.stated is not None and output.carrier is not Carrier.COMPRESSED_AIR:
        found.append(("output", "`stated` is of compressed air"))
    return found
