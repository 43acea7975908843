"""A trace as people read it: the factor rows it rests on, and its steps as a tree that unfolds. Pure."""

from dataclasses import dataclass
from typing import Final

from centre.trace import Part, Rule, Step, Trace, check
from centre.web_format import ABSENT, plain
from centre.web_i18n import Words

_TIMES: Final = "amount x "
_BETWEEN: Final = "between two readings, x "
_HIDDEN: Final = "quarter:"
_OPEN_TO: Final = 4
_MOST: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """`sign`: counted as it is (""), deducted, divided by, or shown beside. `again`: its parts stand further up."""

    id: str
    kind: str
    value: str
    unit: str
    words: str
    notes: tuple[str, ...]
    sign: str
    open: bool
    again: bool
    unverified: bool
    parts: tuple["StepView", ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorView:
    """A row of the factor table, or a price; `confirmed` None: the trace does not tell."""

    id: str
    value: str
    what: str
    published: str
    confirmed: bool | None
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """`mistakes`: steps that do not follow from their parts; none when the figure adds up."""

    root: StepView
    factors: tuple[FactorView, ...]
    mistakes: tuple[tuple[str, str], ...]
    steps: int


def why_view(trace: Trace, prices_confirmed: bool | None, words: Words) -> WhyView:
    """The trace in the reader's language; `prices_confirmed`: whether the tariff was compared with its source."""
    factors = [step for step in trace.steps.values() if step.rule is Rule.FACTOR and step.value is not None]
    return WhyView(
        root=_Tree(trace, words).view(trace.root, "", 0),
        factors=tuple(_factor(step, prices_confirmed) for step in factors),
        mistakes=tuple(
            (mistake.id, words("why.mistake", says=mistake.says, computed=mistake.computed)) for mistake in check(trace)
        ),
        steps=len(trace.steps),
    )


def _factor(step: Step, prices_confirmed: bool | None) -> FactorView:
    row = step.factor
    price = step.id.startswith("price:")
    return FactorView(
        id=step.id.partition(":")[2],
        value=ABSENT if step.value is None else f"{plain(step.value)}\u202f{step.unit}",
        what=step.words,
        published=ABSENT if row is None or row.published_on is None else row.published_on.isoformat(),
        confirmed=prices_confirmed if price else None if row is None else row.confirmed,
        why=step.why or "",
        source="" if row is None else row.source,
    )


class _Tree:
    """Walks down once; what was entered before is shown without its parts, and never more than _MOST steps."""

    def __init__(self, trace: Trace, words: Words) -> None:
        self._trace = trace
        self._words = words
        self._seen: set[str] = set()

    def view(self, id_: str, sign: str, depth: int) -> StepView:
        step = self._trace.steps[id_]
        again = id_ in self._seen
        self._seen.add(id_)
        below = () if again else (*step.parts, *step.proof)
        shown = [part for part in below if not part.id.startswith(_HIDDEN)]
        room = len(self._seen) < _MOST
        return StepView(
            id=step.id,
            kind=self._kind(step),
            value=ABSENT if step.value is None else plain(step.value),
            unit=step.unit,
            words=self._told(step),
            notes=tuple(self._notes(step)),
            sign=sign,
            open=depth < _OPEN_TO,
            again=again and bool(step.parts or step.proof),
            unverified=step.factor is not None and not step.factor.confirmed,
            parts=tuple(self.view(part.id, self._sign(step, part), depth + 1) for part in shown) if room else (),
            hidden=len(below) - (len(shown) if room else 0),
        )

    def _sign(self, above: Step, part: Part) -> str:
        below = "\u00f7" if above.rule is Rule.FRACTION else "\u2212"
        return {1: "", -1: below, 0: self._words("why.beside")}[part.sign]

    def _kind(self, step: Step) -> str:
        kind = step.id.partition(":")[0]
        return self._words.get(f"why.kind.{kind}", self._words(f"why.rule.{step.rule}"))

    def _told(self, step: Step) -> str:
        """The formula in the reader's language, where the catalogue has it."""
        kind = step.id.partition(":")[0]
        known = self._words.get(f"why.words.{step.words}", step.words)
        if known == step.words and known.startswith(_TIMES):
            return self._words("why.times", factors=known.removeprefix(_TIMES))
        if known.startswith(_BETWEEN):
            return self._words("why.between", factor=known.removeprefix(_BETWEEN))
        return self._words.get(f"why.of.{kind}", known) if step.rule is Rule.SUM else known

    def _notes(self, step: Step) -> list[str]:
        notes = [] if step.value is not None or step.reason is None else [step.reason]
        return notes + ([step.why] if step.why else [])
