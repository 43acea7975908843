"""Secrets by reference: a file of settings says where a secret is, never what it is.

    password: {credential: mqtt-password}   # $CREDENTIALS_DIRECTORY/mqtt-password, systemd's LoadCredential=
    password: {file: /run/secrets/mqtt}     # any file that only the service may read

The environment may give the secret itself (WATTLINE_BROKER__PASSWORD). Nothing here shows it in a repr or a message.
"""

import os
from pathlib import Path
from typing import Final

from wattline.errors import ConfigError

_MAX_BYTES: Final = 64 * 1024


class SecretRef:
    """Where one secret is; read anew at each `reveal`, so that a rotated one is used at the next connection."""

    __slots__ = ("_credential", "_file", "_given")

    def __init__(self, *, credential: str | None = None, file: Path | None = None, given: str | None = None) -> None:
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
            return self._given
        path = self.path()
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

    def file(self) -> Path | None:
        """The file it stands in, None when the environment gives the secret itself; raises ConfigError as `path`."""
        return None if self._given is not None else self.path()

    def path(self) -> Path:
        """The file it stands in, for those who take only files; raises ConfigError when there is none."""
        if self._credential is None:
            if self._file is None:
                raise ConfigError("a secret that the environment gives stands in no file")
            return self._file
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ConfigError(
                f"credential {self._credential}: no $CREDENTIALS_DIRECTORY: the service's unit needs"
                f" LoadCredential={self._credential}:PATH; to try by hand, set CREDENTIALS_DIRECTORY to a folder"
            )
        return Path(folder) / self._credential
