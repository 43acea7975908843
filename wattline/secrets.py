"""Secrets by reference: a file of settings says where a secret is, never what it is.

    password: {credential: mqtt-password}   # $CREDENTIALS_DIRECTORY/mqtt-password, systemd's LoadCredential=
    password: {file: /run/secrets/mqtt}     # any file that only the service may read

The environment may give the secret itself (WATTLINE_BROKER__PASSWORD). Nothing here shows it in a repr or a message.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import PlainValidator, SecretStr

from wattline.strict_yaml import ConfigError

_MAX_BYTES: Final = 64 * 1024
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_HOW: Final = "write {credential: NAME} or {file: PATH}, or give it in the environment"


class SecretRef:
    """Where one secret is; read anew at each `reveal`, so that a rotated one is used at the next connection."""

    __slots__ = ("_credential", "_file", "_given")

    def __init__(
        self, *, credential: str | None = None, file: Path | None = None, given: SecretStr | None = None
    ) -> None:
        self._credential = credential
        self._file = file
        self._given = given

    def __repr__(self) -> str:
        if self._credential is not None:
            return f"<secret in credential {self._credential}>"
        return f"<secret in {self._file}>" if self._file is not None else "<secret given by the environment>"

    def reveal(self) -> str:
        """The secret, without a line end after it; raises ConfigError naming the place when it cannot be read."""
        if self._given is not None:
            return self._given.get_secret_value()
        path = self._path()
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError as err:
            raise ConfigError(f"{path}: the secret cannot be read: {err.strerror}") from err
        if len(raw) > _MAX_BYTES:
            raise ConfigError(f"{path}: is too large for a secret")
        try:
            text = raw.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            # the codec's error quotes the bytes: it must not travel along
            raise ConfigError(f"{path}: the secret is not UTF-8 text") from None
        if not text:
            raise ConfigError(f"{path}: the secret is empty")
        return text

    def _path(self) -> Path:
        if self._credential is None:
            assert self._file is not None
            return self._file
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ConfigError(
                f"credential {self._credential}: no $CREDENTIALS_DIRECTORY: the service's unit needs"
                f" LoadCredential={self._credential}:PATH; to try by hand, set CREDENTIALS_DIRECTORY to a folder"
            )
        return Path(folder) / self._credential


def _reference(value: object) -> SecretRef:
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, SecretStr):
        return SecretRef(given=value)
    given: Any = value
    if not isinstance(value, dict) or len(given) != 1:
        raise ValueError(f"a secret does not stand in this file: {_HOW}")
    ((kind, where),) = given.items()
    if not isinstance(where, str) or not where:
        raise ValueError(_HOW)
    if kind == "credential" and _CREDENTIAL.fullmatch(where) and where not in {".", ".."}:
        return SecretRef(credential=where)
    if kind == "file":
        return SecretRef(file=Path(where))
    raise ValueError(_HOW)


Secret = Annotated[SecretRef, PlainValidator(_reference)]
"""The type of a secret in a settings model."""
