"""AsciiLink: Modbus ASCII on a serial port, as RTU that is written in another way.

Each RTU frame is turned into its ASCII form and back at the port, so that time-outs, late replies and the checks of a
reply are those of RTU. Source: MODBUS over Serial Line V1.02, 2.5.2: `:`, each byte of unit, PDU and LRC as two
hexadecimal digits, CR LF.
"""

from dataclasses import replace
from typing import Final

from drivers.modbus.rtu import OpenPort, RtuLink
from drivers.modbus.rtu_frame import crc16
from drivers.modbus.rtu_line import RtuLine
from drivers.modbus.serial_line import SerialLine

_START: Final = ord(":")
_END: Final = ord("\n")
_CR: Final = ord("\r")
_DIGITS: Final = b"0123456789ABCDEF"
_MOST: Final = 256  # bytes of a frame that somebody began


def lrc(data: bytes | bytearray) -> int:
    """The check byte: with it the sum of all bytes is 0 modulo 256."""
    return -sum(data) & 0xFF


def to_ascii(frame: bytes) -> bytes:
    """An RTU frame (its CRC is not looked at) in its ASCII form."""
    body = frame[:-2]
    return b":" + (body + bytes((lrc(body),))).hex().upper().encode() + b"\r\n"


class FromAscii:
    """Turns what a line brings, in whatever pieces, into RTU frames. What stands in no frame is dropped.

    The bytes of a frame come out as they come in. Its CRC follows its end: the right one if its LRC was right, a wrong
    one if not.
    """

    def __init__(self) -> None:
        self._body: bytearray | None = None  # of the frame that has begun, LRC included
        self._given = 0
        self._digit: int | None = None

    def feed(self, text: bytes) -> bytes:
        """What `text` adds."""
        out = bytearray()
        for character in text:
            if character == _START:
                self._body, self._given, self._digit = bytearray(), 0, None
            elif self._body is None or character == _CR:
                continue
            elif character == _END:
                right = len(self._body) > 1 and sum(self._body) & 0xFF == 0 and self._digit is None
                out += self._end(self._body, right=right)
            elif (digit := _DIGITS.find(character)) < 0 or len(self._body) >= _MOST:
                out += self._end(self._body, right=False)
            elif self._digit is None:
                self._digit = digit
            else:
                self._body.append(self._digit << 4 | digit)
                self._digit = None
                out += self._body[self._given : -1]  # the last is kept back: it may be the LRC
                self._given = len(self._body) - 1
        return bytes(out)

    def _end(self, body: bytearray, *, right: bool) -> bytes:
        """The CRC."""
        self._body = None
        return (crc16(bytes(body[:-1])) ^ (0 if right else 0xFFFF)).to_bytes(2, "little")


class AsciiPort:
    """A port that takes and gives RTU frames, over one that carries ASCII."""

    def __init__(self, port: OpenPort) -> None:
        self._port = port
        self._heard = FromAscii()
        self.paced = port.paced
        self.now = port.now
        self.sleep = port.sleep
        self.doze = port.doze
        self.check_still_there = port.check_still_there
        self.wake = port.wake
        self.close = port.close

    def write(self, data: bytes) -> None:
        self._port.write(to_ascii(data))

    def read(self) -> bytes:
        return self._heard.feed(self._port.read())

    def wait(self, until: float, at_least: int = 1) -> bool:
        return self._port.wait(until, 2 * at_least + 1)


class AsciiLink(RtuLink):
    """As RtuLink, with meters that speak ASCII."""

    def _open_port(self) -> OpenPort:
        return AsciiPort(super()._open_port())

    def _talk(self, port: OpenPort) -> RtuLine:
        return self._talk_on(port, ascii_time(self._line))


def ascii_time(line: SerialLine) -> SerialLine:
    """The line on which RTU would take as long as ASCII takes on this one: each byte is two characters."""
    return replace(line, baud=line.baud // 2)
