"""What the page is made of comes from the centre itself and is what VENDOR.md says it is."""

import hashlib
import re
from pathlib import Path

import pytest

import centre

ROOM = Path(centre.__file__).parent
VENDOR = ROOM / "static" / "vendor"
OWN = sorted([*(ROOM / "templates").iterdir(), *(path for path in (ROOM / "static").iterdir() if path.is_file())])


def test_the_vendored_files_are_those_that_were_published() -> None:
    listed = dict(re.findall(r"^\| (\S+\.js) .* ([0-9a-f]{64}) \|$", (VENDOR / "VENDOR.md").read_text(), re.MULTILINE))
    assert listed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert len(listed) == 2


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_refers_to_another_host_or_runs_inline(path: Path) -> None:
    text = path.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
    if path.parent.name == "templates":
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
