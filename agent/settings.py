"""The agent's settings: one YAML file plus the environment, checked to the last name before anything is opened."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent.bus_settings import BusSettings, Name, bus_mistakes, some
from agent.plan import GatewayPlan, SpoolPlan
from wattline.broker_settings import BrokerSettings
from wattline.errors import ConfigError
from wattline.settings_file import FileSettings, load_settings
from wattline.strict_yaml import Strict
from wattline.units import Duration, Size

_DAY: Final = Decimal(86400)
_MIB: Final = 1024 * 1024


class SpoolSettings(Strict):
    """Where readings wait on disk until the store has them."""

    directory: Path
    budget: Annotated[Size, Field(ge=8 * _MIB)] = 512 * _MIB
    """Most bytes the spool may take on disk."""
    commit_interval: Annotated[Duration, Field(ge=Decimal(1), le=Decimal(600))] = Decimal(30)
    """At most this much may be lost in a power cut; shorter writes more to the flash."""
    seal_interval: Annotated[Duration, Field(ge=Decimal("0.5"), le=Decimal(600))] = Decimal(5)
    """How often what was read is sealed in a parcel and sent."""
    history: Annotated[Duration, Field(le=Decimal(90) * _DAY)] = Decimal(0)
    """How long readings stay when the store has them, so that it can ask for them again; if the budget has room."""
    history_of: Literal["all", "outages"] = "all"
    """Which of them: all (each is written to the flash then), or those that waited on disk anyway."""
    side_directory: Path | None = None
    """Folder in RAM (tmpfs) for what is not on disk yet: then a killed agent loses only the poll under way."""

    @model_validator(mode="after")
    def _in_ram(self) -> Self:
        if self.side_directory is not None and self.side_directory.is_relative_to(self.directory):
            raise ValueError("side_directory is a folder in RAM, such as /run/wattline, not one in directory")
        return self


class AgentSettings(FileSettings):
    """The whole file."""

    site: Name
    gateway: Name
    broker: BrokerSettings
    spool: SpoolSettings
    commit: Literal["store", "puback"] = "store"
    """What lets a parcel leave the spool: the centre's word that it is stored, or the broker's acknowledgement."""
    profiles: Path | None = None
    """Folder with the plant's own device profiles, relative to this file; one of them goes before a shipped one."""
    buses: Annotated[tuple[BusSettings, ...], AfterValidator(some)]

    def plan(self) -> GatewayPlan:
        """The settings as the agent knows them, with every profile loaded; raises ConfigError."""
        return GatewayPlan(
            site=self.site,
            gateway=self.gateway,
            broker=self.broker.access(f"wattline-{self.site}-{self.gateway}"),
            spool=SpoolPlan(
                directory=self.spool.directory,
                budget=self.spool.budget,
                commit_interval_s=float(self.spool.commit_interval),
                seal_interval_s=float(self.spool.seal_interval),
                side_directory=self.spool.side_directory,
                history_s=float(self.spool.history),
                history_of=self.spool.history_of,
            ),
            release=self.commit,
            buses=tuple(bus.plan(self.profiles) for bus in self.buses),
        )


def load(path: Path) -> AgentSettings:
    """Load and cross-check a file; raises ConfigError with a line for every mistake."""
    settings, document = load_settings(AgentSettings, path)
    if settings.profiles is not None:
        folder = path.parent / settings.profiles
        if not folder.is_dir():
            raise document.error(("profiles",), f"there is no folder {folder}")
        settings = settings.model_copy(update={"profiles": folder})
    mistakes = dict.fromkeys(bus_mistakes(settings.buses, settings.profiles, document))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return settings
