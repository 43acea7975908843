"""The JSON schema of profiles, for editors that help while writing one.

`python -m drivers.modbus.profile_schema` writes the file, `wattline profiles schema` prints it; a profile
uses it with a first line `# yaml-language-server: $schema=schema.json`.
"""

import json
from pathlib import Path
from typing import Any, Final

from drivers.modbus.catalogue import SHIPPED
from drivers.modbus.profile_file import ProfileModel

SCHEMA_FILE: Final = SHIPPED / "schema.json"


def schema() -> dict[str, Any]:
    """The schema of one profile file, JSON Schema 2020-12, made from the model that checks it.

    A file that extends another needs only its id; keys set to null take out what it would inherit.
    """
    made = ProfileModel.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Wattline meter profile"
    properties: dict[str, Any] = made["properties"]
    properties["extends"] = {"type": "string", "description": "the id of a sibling profile; only differences follow"}
    for section in ("points", "computed", "identify", "requires", "before_reading"):
        entries = properties[section]
        entries["additionalProperties"] = {"anyOf": [entries["additionalProperties"], {"type": "null"}]}
    required = [key for key in made.pop("required") if key != "id"]
    made["required"] = ["id"]
    made["anyOf"] = [{"required": ["extends"]}, {"required": required}]
    return made


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def write(path: Path = SCHEMA_FILE) -> None:
    path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write()
