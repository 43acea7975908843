"""What the kernel knows of a TCP connection that says nothing: is the other side's computer still there? Linux only."""

import socket
from typing import Final

_RETRANSMITS_AT: Final = 2  # in struct tcp_info (linux/tcp.h): times the oldest unacknowledged byte was sent again


def unheard(connected: socket.socket | None) -> bool:
    """True when what was sent had to be sent again and is still not acknowledged.

    A gateway whose meter is silent acknowledges; one that lost its power or its cable does not.
    """
    if connected is None:
        return False
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RETRANSMITS_AT + 1)
    except OSError:
        return False  # closed by now
    return info[_RETRANSMITS_AT] > 0
