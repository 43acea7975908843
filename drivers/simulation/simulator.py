"""A plant file brought to life: plant, meters and register images, ready to be served or to be asked for the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.modbus import catalogue
from drivers.simulation.image import Image
from drivers.simulation.meter import SimulatedMeter
from drivers.simulation.mishaps import Script
from drivers.simulation.plant import Plant, build_plant
from drivers.simulation.plant_checks import load_plant_file
from drivers.simulation.plant_file import Endpoint, PlantFile
from drivers.simulation.served import Served
from drivers.simulation.servers import Servers
from wattline.clock import Clock
from wattline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Simulator:
    """Everything of one plant file; `meters` by name."""

    file: PlantFile
    plant: Plant
    meters: Mapping[str, SimulatedMeter]

    def servers(self, clock: Clock) -> Servers:
        """The plant's endpoints, in the order of the file; the script of its faults starts now."""
        started = clock.monotonic()
        return Servers(
            [self._served(endpoint, lambda: clock.monotonic() - started) for endpoint in self.file.endpoints], clock
        )

    def _served(self, endpoint: Endpoint, elapsed_s: Callable[[], float]) -> Served:
        mishaps = {
            meter.unit: [mishap for mishap in self.file.faults if mishap.meter == meter.name]
            for meter in endpoint.meters
        }
        return Served(
            endpoint.at,
            {meter.unit: Image(self.meters[meter.name]) for meter in endpoint.meters},
            {unit: Script(script, elapsed_s) for unit, script in mishaps.items() if script},
        )


def load_simulator(path: Path, now_ns: int) -> Simulator:
    """The simulator of a plant file; registers start at `now_ns` or the origin in the file. ConfigError."""
    file, document = load_plant_file(path)
    plant = build_plant(file, document, now_ns)
    meters: dict[str, SimulatedMeter] = {}
    for at, endpoint in enumerate(file.endpoints):
        for place, meter in enumerate(endpoint.meters):
            where = ("endpoints", at, "meters", place, "profile")
            try:
                profile = catalogue.load(meter.profile)
                meters[meter.name] = SimulatedMeter(
                    meter, profile, plant, voltage=file.voltage, frequency=file.frequency
                )
            except (ConfigError, ValueError) as err:
                raise document.error(where, str(err)) from err
    return Simulator(file, plant, meters)
