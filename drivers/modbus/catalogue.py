"""The device profiles there are: shipped ones, and those in a folder of the plant."""

import difflib
from functools import cache, partial
from pathlib import Path
from typing import Final

from drivers.modbus.profile import Profile
from drivers.modbus.profile_file import load_profile
from wattline.errors import ConfigError

SHIPPED: Final = Path(__file__).parent / "profiles"


def names(extra_dir: Path | None = None) -> tuple[str, ...]:
    """The ids of all profiles, sorted."""
    folders = [SHIPPED] if extra_dir is None else [SHIPPED, extra_dir]
    return tuple(sorted({path.stem for folder in folders for path in folder.glob("*.yaml")}))


def find(profile_id: str, extra_dir: Path | None = None) -> Path:
    """The file of a profile; one in `extra_dir` goes before a shipped one. ConfigError names what is near a typo."""
    if profile_id in names(extra_dir):
        own = extra_dir / f"{profile_id}.yaml" if extra_dir is not None else None
        return own if own is not None and own.is_file() else SHIPPED / f"{profile_id}.yaml"
    near = difflib.get_close_matches(profile_id, names(extra_dir), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names(extra_dir))}"
    raise ConfigError(f"no profile {profile_id!r}: {hint}")


@cache
def load(profile_id: str, extra_dir: Path | None = None) -> Profile:
    """The profile of this id; ConfigError when there is none or its file is wrong."""
    return load_profile(find(profile_id, extra_dir), partial(base_of, extra_dir))


def base_of(extra_dir: Path | None, profile_id: str, by: Path) -> Path:
    """The file that the profile in `by` extends. A plant's own file may extend the shipped one of the same name."""
    path = find(profile_id, extra_dir)
    shipped = SHIPPED / path.name
    return shipped if path == by and shipped.is_file() else path
