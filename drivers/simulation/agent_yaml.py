"""Agent settings that read every meter of a plant file: the other side of the simulator, ready to run."""

from drivers.simulation.plant_file import Endpoint, PlantFile
from wattline.units import duration_text


def agent_yaml(file: PlantFile, *, gateway: str = "simulated") -> str:
    """YAML for `wattline run`; the broker is one without password on this machine, the spool a folder beside it."""
    lines = [
        "# Reads every meter of the simulated plant: wattline run THIS_FILE",
        f"site: {file.site}",
        f"gateway: {gateway}",
        'broker: {url: "mqtt://127.0.0.1:1883"}',
        "spool: {directory: spool, seal_interval: 1s}",
        "buses:",
    ]
    for endpoint in file.endpoints:
        lines += [f"  - name: {endpoint.name}", _way(endpoint), "    devices:"]
        lines += [
            f"      - {{name: {meter.name}, unit: {meter.unit}, profile: {meter.profile},"
            f" every: {duration_text(meter.every)}}}"
            for meter in endpoint.meters
        ]
    return "\n".join(lines) + "\n"


def _way(endpoint: Endpoint) -> str:
    if endpoint.serial is None:
        return f"    tcp: {endpoint.listen}"
    return f"    serial: {{port: {endpoint.serial.link.absolute()}, line: {endpoint.serial.line}}}"
