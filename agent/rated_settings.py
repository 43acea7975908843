"""What a connection is rated for, as people write it: `rated: {power: 250 kW, current: 400 A, voltage: 230 V}`."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator

from agent.plan import Rated
from wattline.strict_yaml import Strict

_UNITS: Final = {
    "W": {"W": Decimal(1), "kW": Decimal(1000), "MW": Decimal(10**6)},
    "A": {"A": Decimal(1), "kA": Decimal(1000)},
    "V": {"V": Decimal(1), "kV": Decimal(1000)},
}


def _amount(unit: str, example: str) -> BeforeValidator:
    factors = _UNITS[unit]

    def parse(text: object) -> Decimal:
        number, _, symbol = str(text).partition(" ")
        if not isinstance(text, str) or symbol not in factors or not number.replace(".", "", 1).isdecimal():
            raise ValueError(f"must be a number with its unit ({', '.join(factors)}), such as {example}")
        amount = Decimal(number) * factors[symbol]
        if not amount:
            raise ValueError("must be more than 0")
        return amount

    return BeforeValidator(parse)


class RatedSettings(Strict):
    """Of the connection (fuse, transformer), not of the machine behind it; beyond 1.2 times it a value is suspect."""

    power: Annotated[Decimal, _amount("W", "250 kW")] | None = None
    current: Annotated[Decimal, _amount("A", "400 A")] | None = None
    voltage: Annotated[Decimal, _amount("V", "230 V")] | None = None
    """From a line to neutral."""

    def plan(self) -> Rated:
        """As the running agent knows it."""
        return Rated(power_w=self.power, current_a=self.current, voltage_v=self.voltage)
