"""Settings of one YAML file and the environment: `WATTLINE_BROKER__URL` overrides `url` under `broker`.

Every mistake is a line of a ConfigError that names file and line, or the variable; rejected input is never repeated.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, findings, load_file

PREFIX: Final = "WATTLINE_"
_BETWEEN: Final = "__"

S = TypeVar("S", bound="FileSettings")


class FileSettings(BaseSettings):
    """Base of a program's settings; made by `load_settings` only."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_BETWEEN,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no file is read that nobody named
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        return (_Environment(settings_cls, env_settings), init_settings)


class _Environment(PydanticBaseSettingsSource):
    """The environment's part, with a secret given there marked as one: in a file it is refused."""

    def __init__(self, settings_cls: type[BaseSettings], source: EnvSettingsSource) -> None:
        super().__init__(settings_cls)
        self._source = source

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        values = self._source()
        broker = _mapping(values.get("broker"))
        if broker is not None and isinstance(broker.get("password"), str):
            broker["password"] = SecretStr(broker["password"])
        return values


def _mapping(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def load_settings(model: type[S], path: Path) -> tuple[S, Document]:
    """The settings of `path` under the environment, and the document for messages of later checks.

    Raises ConfigError.
    """
    document = load_file(path)
    data = _mapping(document.data)
    if data is None:
        raise document.error((), "must be keys with values, such as `site: NAME`")
    known = model.model_fields.keys()
    # before the constructor sees them: it has parameters of its own that start with an underscore
    unknown = [key for key in data if key not in known]
    if unknown:
        raise ConfigError("\n".join(str(document.error((key,), _unknown(key, known))) for key in unknown))
    _check_variables(known)
    try:
        return model(**data), document
    except SettingsError as err:
        raise ConfigError(f"environment: {err}") from None
    except ValidationError as err:
        raise ConfigError("\n".join(_placed(err, document))) from None


def _unknown(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"is not a key that is known here; {f'did you mean {near[0]}?' if near else 'check its spelling'}"


def _check_variables(known: Iterable[str]) -> None:
    """Refuse a variable that is nearly one of ours; one that is far from all may belong to another program."""
    tops = {name.upper() for name in known}
    for variable in os.environ:
        top = variable.upper().removeprefix(PREFIX).split(_BETWEEN)[0]
        if variable.upper().startswith(PREFIX) and top not in tops and get_close_matches(top, tops, n=1, cutoff=0.8):
            raise ConfigError(f"environment variable {variable}: {_unknown(top, tops)}")


def _placed(err: ValidationError, document: Document) -> list[str]:
    placed: dict[tuple[int, str], None] = {}
    for path, text in findings(err, document):
        variable = _variable(path)
        if variable is None:
            line = document.line(path)
            placed[line, f"{document.source}:{line}: {text}"] = None
        else:
            placed[0, f"environment variable {variable}: {text}"] = None
    return [text for _, text in sorted(placed)]


def _variable(path: KeyPath) -> str | None:
    """The variable of the environment that gave the value at `path`, or None when the file did."""
    given = {variable.upper(): variable for variable in os.environ}
    for length in range(len(path), 0, -1):
        name = PREFIX + _BETWEEN.join(str(part) for part in path[:length]).upper()
        if name in given:
            return given[name]
    return None
