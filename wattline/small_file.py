"""replace_file(path, text): a small file put in place at once and whole, durable on return."""

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Blocks for the disk; raises OSError, and the old file stays."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
