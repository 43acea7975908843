"""The vocabulary of point names."""

import pytest

from metering.quantities import Kind, quantity_of


@pytest.mark.parametrize(
    ("point", "quantity", "unit", "kind"),
    [
        ("voltage_l1_n", "voltage", "V", Kind.GAUGE),
        ("voltage_l1_l2", "voltage", "V", Kind.GAUGE),
        ("voltage_avg_ll", "voltage", "V", Kind.GAUGE),
        ("power_active_total", "power_active", "W", Kind.GAUGE),
        ("energy_active_import_total", "energy_active", "kWh", Kind.COUNTER),
        ("energy_active_import_total_t1", "energy_active", "kWh", Kind.COUNTER),
        ("energy_reactive_q1_total", "energy_reactive", "kvarh", Kind.COUNTER),
        ("volume_base_total", "volume_base", "m3", Kind.COUNTER),
        ("temperature_supply", "temperature_supply", "degC", Kind.GAUGE),
        ("cfg_baud_rate", "cfg", "code", Kind.STATE),
    ],
)
def test_a_point_name_says_what_is_measured(point: str, quantity: str, unit: str, kind: Kind) -> None:
    found = quantity_of(point)
    assert found is not None
    assert (found.name, found.unit, found.kind) == (quantity, unit, kind)


@pytest.mark.parametrize(
    "point", ["", "volt", "voltage_", "voltage_l4", "energy_active_imports_total", "Voltage_l1", "power active"]
)
def test_a_name_outside_the_vocabulary_is_not_guessed(point: str) -> None:
    assert quantity_of(point) is None
