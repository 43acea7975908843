"""apart(work) -> its result, worked out in a forked child: what it imports never becomes memory of this process."""

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, TypeVar

from wattline.errors import ConfigError

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """The picklable result of `work`; raises ConfigError when `work` does.

    Only for a process that has one thread yet. Any other error of `work` is printed, and ends this process too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _tell(work, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    if not told:
        sys.exit(1)
    result: T | ConfigError = pickle.loads(told)  # noqa: S301 - our own child wrote it
    if isinstance(result, ConfigError):
        raise result
    return result


def _tell(work: Callable[[], object], write_end: int) -> NoReturn:
    """Write the outcome and leave without the clean-up that is the parent's to do."""
    try:
        try:
            outcome = work()
        except ConfigError as err:
            outcome = err
        told = pickle.dumps(outcome)
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(told)
    except KeyboardInterrupt:
        pass  # the parent gets it too
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
