"""The programs behind scripts/ and bench/ start as their shell scripts start them: by file, with only their own folder to import from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = re.compile(r'python" "\$here/([\w/]+\.py)"')
PROGRAMS = sorted(
    {
        program
        for folder in ("scripts", "bench")
        for script in (ROOT / folder).iterdir()
        if script.is_file() and os.access(script, os.X_OK)
        for program in PROGRAM.findall(script.read_text())
    }
)


def test_programs_are_found() -> None:
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_explains_itself(program: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / program), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
