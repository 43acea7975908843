"""The links beside plain TCP, against real servers of another make and against servers that answer wrongly."""

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from pymodbus import FramerType

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.ascii import AsciiLink, to_ascii
from drivers.modbus.bus import Link
from drivers.modbus.pdu import Refused
from drivers.modbus.rtu_frame import sealed
from drivers.modbus.rtu_over_tcp import RtuOverTcpLink
from drivers.modbus.serial_line import SerialLine
from drivers.modbus.tls import TlsFiles, TlsLink
from drivers.modbus.udp import UdpLink
from metering.faults import Fault
from support.certificates import authority, certificate
from support.hostile_server import Asked, frame, good, hostile_server, in_batches, words
from support.modbus_links import UNIT, ascii_line, framed_server, tls_server, udp_server
from support.pty_slave import pty_slave, registers
from wattline.events import EventLog, capture_events
from wattline.secrets import SecretRef

LOG = EventLog(bus="test")
LINE = SerialLine.parse("115200 8N1")


async def read_all(link: Link) -> None:
    """What every link must do: both functions, one register and the most, an exception, and open once more."""
    for _ in range(2):
        await link.open()
        assert await link.read(UNIT, 3, 100, 2) == words(100, 2)
        assert await link.read(UNIT, 4, 0, 125) == words(0, 125)
        assert await link.read(UNIT, 3, 0xFFFF, 1) == words(0xFFFF, 1)
        await link.close()
    with pytest.raises(LinkDown, match=r"not (open|connected)"):
        await link.read(UNIT, 3, 0, 1)


# --- real servers ---------------------------------------------------------------------------------------------


def test_rtu_over_tcp_reads_a_real_server() -> None:
    async def main() -> None:
        async with framed_server(FramerType.RTU) as port:
            await read_all(RtuOverTcpLink("127.0.0.1", port, 2.0, LOG))

    asyncio.run(main())


def test_udp_reads_a_real_server() -> None:
    async def main() -> None:
        async with udp_server() as port:
            await read_all(UdpLink("127.0.0.1", port, 2.0, LOG))

    asyncio.run(main())


def test_ascii_reads_a_real_server(tmp_path: Path) -> None:
    async def main() -> None:
        async with ascii_line(tmp_path / "tty"):
            await read_all(AsciiLink(tmp_path / "tty", LINE, LOG, turnaround_s=2.0))

    asyncio.run(main())


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "ca")
    authority(folder, "other-ca")
    certificate(folder, "ca", "meter", "IP:127.0.0.1,DNS:meter-7")
    certificate(folder, "ca", "elsewhere", "DNS:elsewhere.example")
    certificate(folder, "ca", "expired", "IP:127.0.0.1", days="-1")
    certificate(folder, "ca", "gateway", "DNS:gateway")
    certificate(folder, "ca", "gateway-expired", "DNS:gateway", days="-1")
    certificate(folder, "other-ca", "stranger", "DNS:gateway")
    return folder


def server_side(pki: Path, name: str = "meter") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / f"{name}.crt", pki / f"{name}.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def files(pki: Path, own: str | None = "gateway", ca: str = "ca", name: str | None = None) -> TlsFiles:
    return TlsFiles(
        ca=SecretRef(file=pki / f"{ca}.crt"),
        certificate=SecretRef(file=pki / f"{own}.crt") if own else None,
        key=SecretRef(file=pki / f"{own}.key") if own else None,
        name=name,
    )


def test_tls_reads_a_real_server_and_both_sides_show_a_certificate(pki: Path) -> None:
    async def main() -> None:
        async with tls_server(server_side(pki)) as port:
            await read_all(TlsLink("127.0.0.1", port, 2.0, LOG, files(pki)))
            await read_all(TlsLink("127.0.0.1", port, 2.0, LOG, files(pki, name="meter-7")))

    asyncio.run(main())


def test_tls_carries_several_requests_at_once(pki: Path) -> None:
    async def main() -> None:
        async with hostile_server(in_batches(16, 16, []), context=server_side(pki)) as server:
            link = TlsLink("127.0.0.1", server.port, 5.0, LOG, files(pki))
            await link.open()
            reads = [link.read(UNIT, 3, 10 * n, 1 + n) for n in range(16)]
            assert await asyncio.gather(*reads) == [words(10 * n, 1 + n) for n in range(16)]
            await link.close()

    asyncio.run(main())


def test_a_key_may_be_a_credential_of_the_service(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = TlsFiles(
        ca=SecretRef(credential="ca.crt"),
        certificate=SecretRef(credential="gateway.crt"),
        key=SecretRef(credential="gateway.key"),
        name=None,
    )

    async def main() -> None:
        async with tls_server(server_side(pki)) as port:
            link = TlsLink("127.0.0.1", port, 2.0, LOG, by_name)
            with pytest.raises(LinkDown, match=r"credential ca.crt: no .CREDENTIALS_DIRECTORY"):
                await link.open()
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(pki))
            await read_all(link)

    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    asyncio.run(main())


@contextmanager
def blocking_server(context: ssl.SSLContext) -> Generator[int]:
    """Makes one handshake; yields its port. Unlike asyncio, OpenSSL on a socket tells the other side what it refuses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secured:
                with suppress(OSError):
                    secured.do_handshake()
                with suppress(OSError):  # bytes left unread would make the close a reset
                    while os.read(secured.fileno(), 4096):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


async def why_down(link: Link) -> str:
    """The reason of the LinkDown that opening, or with TLS 1.3 the first read, brings."""
    try:
        await link.open()
        await link.read(UNIT, 3, 0, 1)
    except LinkDown as err:
        return str(err)
    finally:
        await link.close()
    raise AssertionError("it was read")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("server", "ours", "reason"),
    [
        ("expired", {}, "the server's certificate is refused: certificate has expired"),
        ("elsewhere", {}, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("meter", {"name": "meter-8"}, "Hostname mismatch, certificate is not valid for 'meter-8'"),
        (
            "meter",
            {"ca": "other-ca"},
            "the server's certificate is refused: self-signed certificate in certificate chain",
        ),
        ("meter", {"own": "gateway-expired"}, "the server says that our certificate has expired"),
        ("meter", {"own": "stranger"}, "the server does not trust the authority of our certificate"),
        ("meter", {"own": None}, "a certificate of ours"),
    ],
)
def test_a_certificate_that_does_not_fit_is_a_link_down_with_its_cause(
    pki: Path, server: str, ours: dict[str, str], reason: str, newest: ssl.TLSVersion
) -> None:
    async def main() -> None:
        context = server_side(pki, server)
        context.maximum_version = newest
        with blocking_server(context) as port:
            assert reason in await why_down(TlsLink("127.0.0.1", port, 2.0, LOG, files(pki, **ours)))

    asyncio.run(main())


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_hangs_up_instead_of_telling_why_is_told_with_a_guess(pki: Path, newest: ssl.TLSVersion) -> None:
    async def main() -> None:
        context = server_side(pki)
        context.maximum_version = newest
        async with tls_server(context) as port:  # an asyncio server sends no alert
            reason = await why_down(TlsLink("127.0.0.1", port, 2.0, LOG, files(pki, "stranger")))
        assert "the server may want a certificate of ours, or not accept it" in reason

    asyncio.run(main())


def test_a_server_without_tls_and_files_that_cannot_be_used_are_named(pki: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.crt").write_text("no certificate")
    (tmp_path / "bad.key").write_text("no key")

    async def main() -> None:
        async with framed_server(FramerType.SOCKET) as port:

            def link(files: TlsFiles) -> TlsLink:
                link = TlsLink("127.0.0.1", port, 0.2, LOG, files)
                link.least_open_s = 0.2
                return link

            assert "no answer in 0.2 s" in await why_down(link(files(pki)))
            assert "bad.crt" in await why_down(link(files(tmp_path, own=None, ca="bad")))
            assert "gone.crt: No such file" in await why_down(link(files(tmp_path, own=None, ca="gone")))
            mixed = TlsFiles(
                ca=SecretRef(file=pki / "ca.crt"),
                certificate=SecretRef(file=pki / "gateway.crt"),
                key=SecretRef(file=pki / "stranger.key"),
                name=None,
            )
            assert "stranger.key" in await why_down(link(mixed))

    asyncio.run(main())


def test_a_server_that_answers_in_clear_text_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            none = TlsFiles(ca=None, certificate=None, key=None, name=None)
            assert "does not speak TLS" in await why_down(TlsLink("127.0.0.1", port, 2.0, LOG, none))

    asyncio.run(main())


# --- UDP that answers wrongly ---------------------------------------------------------------------------------


class _Server(asyncio.DatagramProtocol):
    def __init__(self, replies: Callable[[Asked], list[bytes]]) -> None:
        self.replies = replies
        self.seen: list[Asked] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        asked = Asked(*(struct.unpack(">HHHBBHH", data)[n] for n in (0, 3, 4, 5, 6)))
        self.seen.append(asked)
        for reply in self.replies(asked):
            self.transport.sendto(reply, addr)


@asynccontextmanager
async def udp_link(replies: Callable[[Asked], list[bytes]], timeout_s: float = 2.0) -> AsyncIterator[UdpLink]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(replies), local_addr=("127.0.0.1", 0))
    link = UdpLink("127.0.0.1", transport.get_extra_info("sockname")[1], timeout_s, LOG)
    await link.open()
    try:
        yield link
    finally:
        await link.close()
        transport.close()


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (lambda asked: frame(asked.transaction, asked.unit + 1, b"\x03\x02\0\1"), Fault.REPLY_UNIT),
        (lambda asked: frame(asked.transaction, asked.unit, b"\x04\x02\0\1"), Fault.REPLY_FUNCTION),
        (lambda asked: frame(asked.transaction, asked.unit, b"\x03\x04\0\1\0\2"), Fault.REPLY_LENGTH),
        (lambda asked: frame(asked.transaction + 1, asked.unit, b"\x03\x02\0\1"), Fault.REPLY_TRANSACTION),
        (lambda asked: frame(asked.transaction, asked.unit, b"\x03\x02\0\1", protocol=1), Fault.REPLY_PROTOCOL),
        (lambda asked: good(asked) + b"\0", Fault.REPLY_PROTOCOL),
        (lambda asked: good(asked)[:-1], Fault.REPLY_PROTOCOL),
        (lambda asked: b"hello", Fault.REPLY_LENGTH),
        (lambda asked: frame(asked.transaction, asked.unit, b"\x83\x06"), Fault.EXCEPTION_6),
    ],
)
def test_a_wrong_datagram_has_its_fault_and_the_next_read_works(reply: Callable[[Asked], bytes], fault: Fault) -> None:
    async def main() -> None:
        async with udp_link(lambda asked: [reply(asked) if asked.address == 100 else good(asked)]) as link:
            with pytest.raises((DeviceSilent, Refused)) as caught:
                await link.read(UNIT, 3, 100, 1)
            assert caught.value.fault is fault
            assert await link.read(UNIT, 3, 7, 2) == words(7, 2)

    asyncio.run(main())


def test_late_and_doubled_datagrams_are_never_values_and_nothing_is_sent_twice() -> None:
    held: list[bytes] = []

    def replies(asked: Asked) -> list[bytes]:
        if asked.address >= 100:
            held.append(good(asked))
            return []
        return [*held, good(asked), good(asked)]

    async def main() -> None:
        async with udp_link(replies, timeout_s=0.05) as link:
            for address in (100, 200):
                with pytest.raises(DeviceSilent) as caught:
                    await link.read(1, 3, address, 2)
                assert caught.value.fault is Fault.TIMEOUT
            link.timeout_s = 5.0
            for address in range(10, 20):
                assert await link.read(1, 3, address, 2) == words(address, 2)
        assert len(held) == 2

    asyncio.run(main())


def test_a_udp_port_where_nobody_listens_is_a_link_down() -> None:
    async def main() -> None:
        async with udp_link(lambda _: []) as link:
            port = link._port
        link = UdpLink("127.0.0.1", port, 5.0, LOG)
        await link.open()
        with pytest.raises(LinkDown, match="nobody listens there"):
            await link.read(1, 3, 0, 1)
        with pytest.raises(LinkDown, match="nobody listens there"):
            await link.read(1, 3, 0, 1)
        await link.close()

    asyncio.run(main())


# --- RTU over TCP that answers wrongly ------------------------------------------------------------------------

Converter = Callable[[bytes, Callable[[bytes], None]], Awaitable[None]]


@asynccontextmanager
async def converter(answer: Converter, timeout_s: float = 1.0) -> AsyncIterator[RtuOverTcpLink]:
    """A link to a converter that treats each 8-byte request as `answer` says; `send` goes to its latest connection."""
    latest: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        latest.append(writer)
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            while True:
                request = await reader.readexactly(8)
                await answer(request, latest[-1].write)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = RtuOverTcpLink("127.0.0.1", server.sockets[0].getsockname()[1], timeout_s, LOG)
    await link.open()
    try:
        yield link
    finally:
        await link.close()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (lambda request: registers(bytes((9,)) + request[1:]), Fault.REPLY_UNIT),
        (lambda request: registers(request[:1] + b"\x04" + request[2:]), Fault.REPLY_FUNCTION),
        (lambda request: registers(request)[:-1] + b"\x55", Fault.REPLY_CHECKSUM),
        (lambda request: registers(request)[:6], Fault.REPLY_LENGTH),
        (lambda request: sealed(request[:2] + b"\x02\0\1"), Fault.REPLY_LENGTH),
        (lambda request: sealed(request[:1] + b"\x83\x06"), Fault.EXCEPTION_6),
        (lambda request: request, Fault.TIMEOUT),
        (lambda request: b"", Fault.TIMEOUT),
    ],
)
def test_a_wrong_reply_of_a_converter_has_its_fault_and_the_next_read_works(
    reply: Callable[[bytes], bytes], fault: Fault
) -> None:
    async def answer(request: bytes, send: Callable[[bytes], None]) -> None:
        send(reply(request) if request[2:4] == b"\0\x64" and request[5] == 2 else registers(request))

    async def main() -> None:
        async with converter(answer, timeout_s=0.6) as link:
            link.allow(7, 5.0)
            assert await link.read(7, 3, 7, 2) == words(7, 2)
            with pytest.raises((DeviceSilent, Refused)) as caught:
                await link.read(UNIT, 3, 100, 2)
            assert caught.value.fault is fault
            assert await link.read(7, 3, 7, 2) == words(7, 2)

    asyncio.run(main())


def test_a_late_reply_through_a_converter_is_never_a_value_even_on_a_new_connection() -> None:
    """The converter sends the late reply to whoever is connected: a new connection alone is no guard."""
    held: list[bytes] = []

    async def answer(request: bytes, send: Callable[[bytes], None]) -> None:
        if request[2:4] == b"\0\x64":
            held.append(registers(request, fill=1000))
            return
        send(b"".join(held) + registers(request))
        held.clear()

    async def main() -> None:
        async with converter(answer, timeout_s=0.2) as link:
            for reopened in (False, True):
                with pytest.raises(DeviceSilent) as caught:
                    await link.read(UNIT, 3, 100, 2)
                assert caught.value.fault is Fault.TIMEOUT
                if reopened:
                    await link.open()
                link.allow(UNIT, 5.0)
                assert await link.read(UNIT, 3, 7, 2) == words(7, 2)
                link._slow.clear()

    asyncio.run(main())


def test_a_converter_that_is_gone_is_a_link_down() -> None:
    async def answer(request: bytes, send: Callable[[bytes], None]) -> None:
        if request[2:4] == b"\0\x64":
            raise ConnectionError
        if request[2:4] != b"\0\xc8":
            send(registers(request))

    async def main() -> None:
        async with converter(answer, timeout_s=0.1) as link:
            link.allow(UNIT, 5.0)
            with pytest.raises(LinkDown, match="closed the connection"):
                await link.read(UNIT, 3, 100, 1)
            await link.open()
            assert await link.read(UNIT, 3, 7, 1) == words(7, 1)
            for _ in range(2):
                with pytest.raises(DeviceSilent):
                    await link.read(9, 3, 200, 1)
            with pytest.raises(LinkDown, match="not a byte in answer to 3 requests"):
                await link.read(9, 3, 200, 1)
        with pytest.raises(LinkDown, match=r"connect to 127.0.0.1"):
            await link.open()

    asyncio.run(main())


# --- ASCII that answers wrongly -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (lambda right: right.replace(b"\r\n", b"0\r\n"), Fault.REPLY_CHECKSUM),
        (lambda right: right[:-4] + b"00\r\n", Fault.REPLY_CHECKSUM),
        (lambda right: right[:9], Fault.REPLY_LENGTH),
        (lambda right: right[1:], Fault.TIMEOUT),
        (lambda right: b"", Fault.TIMEOUT),
    ],
)
def test_a_wrong_ascii_reply_has_its_fault_and_the_next_read_works(
    tmp_path: Path, reply: Callable[[bytes], bytes], fault: Fault
) -> None:
    def answer(request: bytes, write: Callable[[bytes], None]) -> None:
        rtu = sealed(bytes.fromhex(request[1:13].decode()))
        assert to_ascii(rtu) == request
        right = to_ascii(registers(rtu))
        # our own echo comes first, as from a two-wire adapter
        write(request + (reply(right) if rtu[0] == 9 else b"noise" + right))

    async def main() -> None:
        with pty_slave(tmp_path / "tty", answer, request_length=17):
            link = AsciiLink(tmp_path / "tty", LINE, LOG, turnaround_s=0.3)
            link.allow(UNIT, 5.0)
            await link.open()
            with pytest.raises(DeviceSilent) as caught:
                await link.read(9, 3, 100, 2)
            assert caught.value.fault is fault
            assert await link.read(UNIT, 3, 7, 2) == words(7, 2)
            await link.close()

    asyncio.run(main())


def test_the_bytes_of_a_wrong_reply_are_in_the_debug_log() -> None:
    async def answer(request: bytes, send: Callable[[bytes], None]) -> None:
        send(registers(request)[:-1] + b"\x55")

    async def main() -> None:
        async with udp_link(lambda asked: [b"hello"]) as link:
            with pytest.raises(DeviceSilent):
                await link.read(1, 3, 0, 1)
        async with converter(answer, timeout_s=0.2) as rtu:
            with pytest.raises(DeviceSilent):
                await rtu.read(1, 3, 0, 1)

    with capture_events() as events:
        asyncio.run(main())
    received = [event["frame"] for event in events if event["event"] == "frame.received"]
    assert received[0] == b"hello".hex(" ")
    assert received[1].startswith("01 03 02 00 00")
