"""What cannot be read or stored, kept in a bounded folder with the reason, so that nothing vanishes without a trace."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from metering.lineprotocol import check_name
from metering.topics import parse_topic

MAX_FILES: Final = 500
MAX_BYTES: Final = 64 * 1024 * 1024
_SHOWN: Final = 500
_COMING: Final = "coming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message: when it came first (UTC, such as 20261121T203129), its topic, why it is here, its beginning."""

    at: str
    topic: str
    reason: str
    payload: str


class DeadLetters:
    """A folder; the oldest message goes when there are more than MAX_FILES or more than MAX_BYTES of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.forgotten = 0
        """Messages that had to go for newer ones."""

    def put(self, topic: str, payload: bytes, reason: str, at: int) -> Path:
        """Keep one message as NAME.payload beside NAME.txt, which tells topic and reason; durable; raises OSError.

        The same message put twice is kept once.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        day = datetime.fromtimestamp(at // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%S")
        digest = hashlib.sha256(payload).hexdigest()[:16]
        known = next(self._folder.glob(f"*-{digest}.payload"), None)
        if known is not None:
            return known
        path = self._folder / f"{day}-{_sender(topic)}-{digest}.payload"
        _write(path.with_suffix(".txt"), f"topic: {topic}\nreason: {reason}\n".encode())
        coming = self._folder / _COMING  # what is cut off in the midst of it is no letter, and is not known by its name
        _write(coming, payload)
        coming.replace(path)
        self._sync()
        self._trim()
        return path

    def newest(self, limit: int = 50) -> tuple[Letter, ...]:
        """The newest first, of those that are whole; raises OSError."""
        found: list[Letter] = []
        for path in sorted(self._folder.glob("*.payload"), reverse=True)[:limit]:
            with suppress(FileNotFoundError):  # it had to go for a newer one in this moment
                told = path.with_suffix(".txt").read_text(encoding="utf-8")
                topic, _, reason = told.removeprefix("topic: ").removesuffix("\n").partition("\nreason: ")
                with path.open("rb") as file:
                    payload = file.read(_SHOWN).decode(errors="replace")
                found.append(Letter(at=path.name.partition("-")[0], topic=topic, reason=reason, payload=payload))
        return tuple(found)

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _trim(self) -> None:
        kept = sorted(self._folder.glob("*.payload"))
        sizes = [path.stat().st_size for path in kept]
        while len(kept) > MAX_FILES or (sum(sizes) > MAX_BYTES and len(kept) > 1):
            self.forgotten += 1
            oldest = kept.pop(0)
            sizes.pop(0)
            oldest.unlink(missing_ok=True)
            oldest.with_suffix(".txt").unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sender(topic: str) -> str:
    """SITE-GATEWAY of a topic, or `unknown`: a foreign topic must not choose a path."""
    try:
        topics, _ = parse_topic(topic)
        return f"{check_name(topics.site)}-{check_name(topics.gateway)}"
    except ValueError:
        return "unknown"
