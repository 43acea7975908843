"""Faults: why a value is absent, or not to be trusted. Absent is never NaN, 0 or an old value under a new time."""

from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """The reasons; the text travels to the store and never changes its meaning."""

    TIMEOUT = "timeout"  # no reply in time
    LINK_DOWN = "link_down"  # no connection, or the port is gone
    BACKOFF = "backoff"  # not asked: the device was silent and its next probe is not due
    OVERRUN = "overrun"  # not asked: the bus was still busy with earlier reads
    EXCEPTION_1 = "exception_1"  # illegal function
    EXCEPTION_2 = "exception_2"  # illegal address
    EXCEPTION_3 = "exception_3"  # illegal value
    EXCEPTION_4 = "exception_4"  # device failure
    EXCEPTION_5 = "exception_5"  # acknowledged, still working
    EXCEPTION_6 = "exception_6"  # busy
    EXCEPTION_8 = "exception_8"  # memory parity
    EXCEPTION_10 = "exception_10"  # gateway: path unavailable
    EXCEPTION_11 = "exception_11"  # gateway: target did not respond
    EXCEPTION_OTHER = "exception_other"  # a code the standard does not name
    REPLY_PROTOCOL = "reply_protocol"  # not Modbus: wrong protocol id or absurd length
    REPLY_TRANSACTION = "reply_transaction"  # a transaction id we did not ask with
    REPLY_UNIT = "reply_unit"  # another unit answered
    REPLY_FUNCTION = "reply_function"  # another function answered
    REPLY_LENGTH = "reply_length"  # fewer or more bytes than asked for
    REPLY_CHECKSUM = "reply_checksum"  # CRC or LRC wrong
    WRONG_SETUP = "wrong_setup"  # the meter is set so that its registers mean something else
    CLASH = "clash"  # two devices answered: both have this unit id
    SENTINEL = "sentinel"  # the meter's own "no data"
    NOT_FINITE = "not_finite"  # NaN or infinity in a float register
    BAD_DIGITS = "bad_digits"  # not BCD, or not text
    OUT_OF_RANGE = "out_of_range"  # outside what the profile says the meter can show
    NO_MULTIPLIER = "no_multiplier"  # the register that scales this value could not be read
    SUSPECT = "suspect"  # the value is there, and stands beside this, but nothing here can have it


ALL_POINTS: Final = "all_points"
"""Key in `Sweep.faults` that stands for every point of the device."""


def exception_fault(code: int) -> Fault:
    """The fault for a Modbus exception code (1 byte)."""
    try:
        return Fault(f"exception_{code}")
    except ValueError:
        return Fault.EXCEPTION_OTHER
