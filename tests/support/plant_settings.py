"""The demo's settings with more keys for its plant."""

from pathlib import Path

from wattline.resources import config_dir


def settings_with(folder: Path, keys: str) -> Path:
    """The path of a centre.yaml in `folder`, with `keys` (YAML, indented by four) among those of the plant."""
    demo = config_dir() / "demo"
    text = (demo / "centre.yaml").read_text()
    assert text.count("\n    alarms:") == 1
    (folder / "entities.yaml").write_text((demo / "entities.yaml").read_text())
    (folder / "centre.yaml").write_text(text.replace("\n    alarms:", keys.rstrip() + "\n    alarms:"))
    return folder / "centre.yaml"
