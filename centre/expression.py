"""Formulas of virtual meters: `max(0, [incomer] + [pv-roof] - [incomer:export])`, parsed without eval, units checked.

Grammar: numbers, references in brackets, + - * /, parentheses, unary minus, and the functions max, min and abs.
A number has no unit; a bare 0 goes with any.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

MAX_LENGTH: Final = 1000
_MAX_DEPTH: Final = 32
_MAX_OPERATIONS: Final = 100
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d{1,18}(?:\.\d{1,18})?)|\[(?P<reference>[^\[\]\s]{1,200})\]|(?P<name>[a-z]+)|(?P<sign>[-+*/(),]))"
)

Unit = tuple[tuple[str, int], ...]
"""Powers of base units: (("kWh", 1),); nothing is a plain number."""

ONE: Final[Unit] = ()
_ZERO: Final = Fraction(0)


class ExpressionError(ValueError):
    """A formula that cannot be read, or that adds what cannot be added; the message says where."""


class Undefined(ArithmeticError):
    """The formula has no value for these numbers; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number as written."""

    value: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a meter or another virtual meter counted in the same interval."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`operator` is one of + - * / max min abs neg."""

    operator: str
    arguments: tuple["Expression", ...]


Expression = Number | Reference | Operation


def parse(text: str) -> Expression:
    """The formula; raises ExpressionError."""
    return _Parser(text).whole()


def references(expression: Expression) -> frozenset[str]:
    """The names it refers to."""
    return frozenset(_references(expression))


def _references(expression: Expression) -> Iterator[str]:
    match expression:
        case Reference():
            yield expression.name
        case Operation():
            for argument in expression.arguments:
                yield from _references(argument)
        case Number():
            pass


class _Parser:
    """Recursive descent with one token of view, at most _MAX_DEPTH deep."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"is longer than {MAX_LENGTH} characters")
        self._text = text
        self._at = 0
        self._depth = 0
        self._operations = 0
        self._kind, self._token = "", ""
        self._next()

    def whole(self) -> Expression:
        found = self._sum()
        if self._kind != "end":
            raise self._unexpected()
        return found

    def _next(self) -> None:
        rest = self._text[self._at :]
        if not rest.strip():
            self._kind, self._token = "end", "the end"
            return
        found = _TOKEN.match(rest)
        if found is None or found.lastgroup is None:
            raise ExpressionError(f"cannot be read at character {self._at + 1}: {rest.strip()[:20]!r}")
        self._at += found.end()
        self._kind, self._token = found.lastgroup, found[found.lastgroup]

    def _unexpected(self) -> ExpressionError:
        return ExpressionError(f"does not expect {self._token!r} up to character {self._at}")

    def _take(self, sign: str) -> None:
        if (self._kind, self._token) != ("sign", sign):
            raise self._unexpected()
        self._next()

    def _is(self, signs: str) -> bool:
        return self._kind == "sign" and self._token in signs

    def _chain(self, part: Callable[[], Expression], signs: str) -> Expression:
        found = part()
        while self._is(signs):
            self._operations += 1
            if self._operations > _MAX_OPERATIONS:
                raise ExpressionError(f"has more than {_MAX_OPERATIONS} operations")
            sign = self._token
            self._next()
            found = Operation(operator=sign, arguments=(found, part()))
        return found

    def _sum(self) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError(f"is nested deeper than {_MAX_DEPTH}")
        found = self._chain(self._product, "+-")
        self._depth -= 1
        return found

    def _product(self) -> Expression:
        return self._chain(self._part, "*/")

    def _part(self) -> Expression:
        kind, text = self._kind, self._token
        if kind not in {"number", "reference", "name"} and not self._is("-("):
            raise self._unexpected()
        self._next()
        if kind == "number":
            return Number(value=Fraction(text))
        if kind == "reference":
            return Reference(name=text)
        if kind == "name":
            return self._call(text)
        if text == "-":
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise ExpressionError(f"is nested deeper than {_MAX_DEPTH}")
            found: Expression = Operation(operator="neg", arguments=(self._part(),))
            self._depth -= 1
            return found
        found = self._sum()
        self._take(")")
        return found

    def _call(self, name: str) -> Expression:
        if name not in {"max", "min", "abs"}:
            raise ExpressionError(f"knows no function {name}; there are max, min and abs; a meter stands in [brackets]")
        self._take("(")
        arguments = [self._sum()]
        while self._is(","):
            self._next()
            arguments.append(self._sum())
        self._take(")")
        if name == "abs" and len(arguments) != 1:
            raise ExpressionError("abs takes one argument")
        return Operation(operator=name, arguments=tuple(arguments))


def unit_of(expression: Expression, units: Mapping[str, str]) -> Unit:
    """The unit of the result, of the units of what is referred to; raises ExpressionError."""
    match expression:
        case Number():
            return ONE
        case Reference():
            if expression.name not in units:
                raise ExpressionError(f"[{expression.name}] is no meter here")
            return ((units[expression.name], 1),)
        case Operation():
            return _unit(expression, units)


def _unit(operation: Operation, units: Mapping[str, str]) -> Unit:
    found = [unit_of(argument, units) for argument in operation.arguments]
    if operation.operator in "*/":
        sign = 1 if operation.operator == "*" else -1
        powers = dict(found[0])
        for unit, power in found[1]:
            powers[unit] = powers.get(unit, 0) + sign * power
        return tuple(sorted((unit, power) for unit, power in powers.items() if power))
    told = {
        unit: None for argument, unit in zip(operation.arguments, found, strict=True) if argument != Number(value=_ZERO)
    }
    if len(told) > 1:
        both = " and ".join(shown(unit) for unit in told)
        raise ExpressionError(f"{both} do not go together in {operation.operator}")
    return next(iter(told), ONE)


def shown(unit: Unit) -> str:
    """A unit for people."""
    return " ".join(name if power == 1 else f"{name}^{power}" for name, power in unit) or "a plain number"


def value_of(expression: Expression, values: Mapping[str, Fraction]) -> Fraction:
    """The exact result; raises Undefined."""
    match expression:
        case Number():
            return expression.value
        case Reference():
            return values[expression.name]
        case Operation():
            return _value(expression.operator, [value_of(argument, values) for argument in expression.arguments])


def _value(operator: str, found: list[Fraction]) -> Fraction:
    if operator == "/" and not found[1]:
        raise Undefined("division_by_zero")
    return _OPERATORS[operator](found)


_OPERATORS: Final[Mapping[str, Callable[[list[Fraction]], Fraction]]] = MappingProxyType(
    {
        "+": lambda found: found[0] + found[1],
        "-": lambda found: found[0] - found[1],
        "*": lambda found: found[0] * found[1],
        "/": lambda found: found[0] / found[1],
        "neg": lambda found: -found[0],
        "abs": lambda found: abs(found[0]),
        "max": max,
        "min": min,
    }
)
