"""As much of JSON Schema 2020-12 as our schema uses; a keyword it does not know is an error, not a pass."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
_SAID_ELSEWHERE = frozenset({"$schema", "$defs", "title", "description", "default", "examples", "additionalProperties"})


def mistakes(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What the schema says against the value, each with its path."""
    return list(_mistakes(schema, value, schema, ""))


def _mistakes(schema: Mapping[str, Any] | bool, value: Any, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{at}: nothing may stand here"
        return
    for keyword, said in schema.items():
        if keyword == "$ref":
            yield from _mistakes(root["$defs"][said.removeprefix("#/$defs/")], value, root, at)
        elif keyword == "anyOf":
            if all(any(_mistakes(each, value, root, at)) for each in said):
                yield f"{at}: {value!r} is none of what may stand here"
        elif keyword == "properties":
            for key in value.keys() & said.keys() if isinstance(value, dict) else ():
                yield from _mistakes(said[key], value[key], root, f"{at}.{key}")
        elif keyword == "items":
            for n, item in enumerate(value if isinstance(value, list) else ()):
                yield from _mistakes(said, item, root, f"{at}[{n}]")
        elif keyword == "patternProperties":
            for key, item in value.items() if isinstance(value, dict) else ():
                for pattern, each in said.items():
                    if re.search(pattern, key):
                        yield from _mistakes(each, item, root, f"{at}.{key}")
        elif keyword not in _SAID_ELSEWHERE and not _fits(keyword, said, value):
            yield f"{at}: {value!r} does not fit {keyword} {said}"
    if isinstance(value, dict) and "additionalProperties" in schema:
        patterns = schema.get("patternProperties", {})
        for key in value.keys() - schema.get("properties", {}).keys():
            if not any(re.search(pattern, key) for pattern in patterns):
                yield from _mistakes(schema["additionalProperties"], value[key], root, f"{at}.{key}")


def _fits(keyword: str, said: Any, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match keyword:
        case "type":
            return isinstance(value, _TYPES[said]) and not (isinstance(value, bool) and said in {"integer", "number"})
        case "enum":
            return value in said
        case "const":
            return value == said
        case "required":
            return not isinstance(value, dict) or all(key in value for key in said)
        case "pattern":
            return not isinstance(value, str) or re.search(said, value) is not None
        case "minimum":
            return not number or value >= said
        case "maximum":
            return not number or value <= said
        case "exclusiveMaximum":
            return not number or value < said
        case "minLength":
            return not isinstance(value, str) or len(value) >= said
        case "maxLength":
            return not isinstance(value, str) or len(value) <= said
        case "minItems":
            return not isinstance(value, list) or len(value) >= said
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= said
        case _:
            raise AssertionError(f"{keyword}: not known here")
