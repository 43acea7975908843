"""Where the files that are no code are: example configuration and factor tables."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def config_dir() -> Path:
    """The folder of shipped configuration: inside the installed package, or beside it in a source tree."""
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parent / "config"
