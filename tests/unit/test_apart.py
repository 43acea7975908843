"""Work done in a forked child: its result or its ConfigError comes back, and what it imported does not."""

import subprocess
import sys

import pytest

from agent.apart import apart
from wattline.errors import ConfigError


def test_the_result_comes_back() -> None:
    assert apart(lambda: {"meters": [1, 2, 3] * 100_000}) == {"meters": [1, 2, 3] * 100_000}


def test_a_config_error_is_raised_here() -> None:
    def work() -> None:
        raise ConfigError("agent.yaml:3: site: is missing")

    with pytest.raises(ConfigError, match=r"agent\.yaml:3: site: is missing"):
        apart(work)


@pytest.mark.parametrize("work", ["lambda: 1 // 0", "lambda: (lambda: 0)", "lambda: os._exit(3)"])
def test_a_child_that_brings_nothing_ends_the_process(work: str) -> None:
    code = f"import os\nfrom agent.apart import apart\nprint(apart({work}))\nprint('went on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")


def test_what_the_child_imports_stays_with_it() -> None:
    code = (
        "import sys\nfrom agent.apart import apart\n"
        "def work():\n    import colorsys\n    return 'colorsys' in sys.modules\n"
        "print(apart(work), 'colorsys' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "True False\n"
