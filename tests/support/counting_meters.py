"""A Modbus TCP gateway whose meters count the requests they answer: each reply is a value that no other reply has.

In all register pairs of unit u stands, as a float32, the number of replies u has given. So a test knows from outside
what was read: a value in the store that was never told, twice, or missing between others shows at once.
"""

import socketserver
import struct
import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Self


class CountingMeters:
    """A context manager: entered, it answers read requests on `port`."""

    def __init__(self) -> None:
        self.told: defaultdict[int, int] = defaultdict(int)
        self.told_at: defaultdict[int, list[float]] = defaultdict(list)
        """Monotonic seconds of each unit's replies, in order."""
        meters = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(request := self.rfile.read(12)) == 12:
                    transaction, _, _, unit, function, _, count = struct.unpack(">HHHBBHH", request)
                    meters.told_at[unit].append(time.monotonic())
                    meters.told[unit] += 1
                    registers = struct.pack(">f", float(meters.told[unit])) * (count // 2)
                    pdu = bytes([unit, function, 2 * count]) + registers
                    self.wfile.write(struct.pack(">HHH", transaction, 0, len(pdu)) + pdu)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that was killed is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
