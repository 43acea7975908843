"""checked_host(text): a name or an IPv4 address that can be looked up, else ValueError. Pure.

What is no name to the resolver raises there what nobody expects of a connection; and 10.0.0 or 010.0.0.1 would be
addresses, but of somebody else.
"""

import ipaddress
import re
from typing import Final

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST: Final = 253
_FIGURES: Final = re.compile(r"[0-9.]+")


def checked_host(text: str) -> str:
    """The text itself; raises ValueError."""
    if _FIGURES.fullmatch(text):
        try:
            ipaddress.IPv4Address(text)
        except ValueError as err:
            raise ValueError(f"{text} is no address: four numbers from 0 to 255, such as 10.0.0.20") from err
    elif not _NAME.fullmatch(text) or len(text) > _LONGEST:
        raise ValueError("must be a host name or an address")
    return text
