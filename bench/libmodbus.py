"""One TCP read of 60 registers: the CPU time of our link against that of libmodbus, in the same process, in turns.

    python bench/libmodbus.py serve     a server that answers such reads, in a process of its own; prints its port

libmodbus is called by ctypes, without a C compiler; the call itself costs it less than a microsecond.
"""

import asyncio
import ctypes
import selectors
import socket
import subprocess
import sys
import time
from typing import Final

from drivers.modbus.tcp import TcpLink
from wattline.events import EventLog

_REGISTERS: Final = 60
_READS: Final = 400
_ROUNDS: Final = 9
_LIBRARY: Final = "libmodbus.so.5"


def cpu_us_per_read() -> dict[str, float]:
    """Microseconds of CPU of one read, the best round of each: `ours` and `libmodbus`."""
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        return asyncio.run(_measure(port))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


async def _measure(port: int) -> dict[str, float]:
    library = ctypes.CDLL(_LIBRARY)
    library.modbus_new_tcp.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", port))
    if library.modbus_set_slave(context, 1) or library.modbus_connect(context):
        raise SystemExit("libmodbus cannot connect")
    registers = (ctypes.c_uint16 * _REGISTERS)()
    link = TcpLink("127.0.0.1", port, 1.0, EventLog())
    await link.open()
    best = {"ours": float("inf"), "libmodbus": float("inf")}
    for _ in range(_ROUNDS):
        began = time.process_time_ns()
        for _ in range(_READS):
            await link.read(1, 3, 0, _REGISTERS)
        between = time.process_time_ns()
        for _ in range(_READS):
            if library.modbus_read_registers(context, 0, _REGISTERS, registers) != _REGISTERS:
                raise SystemExit("libmodbus reads badly")
        ended = time.process_time_ns()
        best["ours"] = min(best["ours"], (between - began) / 1000 / _READS)
        best["libmodbus"] = min(best["libmodbus"], (ended - between) / 1000 / _READS)
    await link.close()
    library.modbus_close(context)
    library.modbus_free(context)
    return best


def _serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    theirs, _ = listener.accept()
    ours, _ = listener.accept()
    length = 2 * _REGISTERS
    body = bytes([0, 0, 0, 3 + length, 1, 3, length]) + bytes(length)
    selector = selectors.DefaultSelector()
    for connection in (theirs, ours):
        selector.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            request = connection.recv(260)
            if not request:
                return
            connection.send(request[:2] + body)


if __name__ == "__main__":
    _serve()
