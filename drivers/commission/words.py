"""What a fault and a value are in words, for the one who stands before the meter. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from metering.faults import Fault
from metering.float32 import shortest_float32
from metering.lineprotocol import number_text
from metering.sweep import Value

_WORDS: Final[Mapping[Fault, str]] = {
    Fault.TIMEOUT: "no answer in time: check unit id, wiring (A/B swapped?), baud and parity",
    Fault.LINK_DOWN: "no connection: check address, cable and power",
    Fault.BACKOFF: "not asked: the meter was silent before",
    Fault.OVERRUN: "not asked: the bus was busy",
    Fault.EXCEPTION_1: "the meter does not know this function: try the other table (holding or input)",
    Fault.EXCEPTION_2: "the meter has no such register: other model or firmware, or an address off by one",
    Fault.EXCEPTION_3: "the meter refuses this read: too many registers at once, or not whole values",
    Fault.EXCEPTION_4: "the meter reports a failure of its own",
    Fault.EXCEPTION_5: "the meter is still working on it: ask later",
    Fault.EXCEPTION_6: "the meter is busy: ask later, or less often",
    Fault.EXCEPTION_8: "the meter reports a memory error",
    Fault.EXCEPTION_10: "the gateway has no way to this unit: check the gateway's serial port and its settings",
    Fault.EXCEPTION_11: "the gateway got no answer from this unit: check unit id, wiring, baud and parity",
    Fault.EXCEPTION_OTHER: "the meter refuses with a code of its own",
    Fault.REPLY_PROTOCOL: "what answers does not speak Modbus TCP: check the port",
    Fault.REPLY_TRANSACTION: "an answer to a question nobody asked: is another master talking through this gateway?",
    Fault.REPLY_UNIT: "another unit answered: check the gateway's unit ids",
    Fault.REPLY_FUNCTION: "the answer is to another function",
    Fault.REPLY_LENGTH: "the answer has the wrong length",
    Fault.REPLY_CHECKSUM: "the answer is garbled: check termination, shielding, baud, and that no id is used twice",
    Fault.WRONG_SETUP: "the meter is set so that its registers mean something else: see the notes of its profile",
    Fault.CLASH: "two devices answer at this id: give each one of its own",
    Fault.SENTINEL: "the meter says that it has no value here (option not fitted, or not connected)",
    Fault.NOT_FINITE: "the meter sent no number (NaN)",
    Fault.BAD_DIGITS: "what the register holds is no digits or text: wrong type or address?",
    Fault.OUT_OF_RANGE: "outside what this meter can show: wrong word order, scale or address?",
    Fault.NO_MULTIPLIER: "the ratio it is multiplied with could not be read, or is 0: set the meter's CT/PT ratio",
}


def fault_words(fault: Fault) -> str:
    """Why there is no value and what to look at."""
    return _WORDS.get(fault, fault.value.replace("_", " "))


def value_text(value: Value, factor: Decimal | None = None) -> str:
    """The value with all the digits the meter said; `factor` is that of a float32 register (Sweep.float32)."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else " " for char in value)
    if factor is None:
        return number_text(value)
    register = Decimal(shortest_float32(float(value) / float(factor)))
    return number_text((register * factor).normalize())
