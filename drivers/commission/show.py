"""Runs a look at a meter: one picture or one after the other, or plain registers; returns the exit status."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from drivers.base import LinkDown
from drivers.commission.block_text import block_json, block_lines
from drivers.commission.guess import Guess, guess
from drivers.commission.picture_text import picture_json, picture_lines
from drivers.commission.plain_registers import Registers, read_registers
from drivers.commission.ports import hint
from drivers.commission.screen import Screen
from drivers.commission.sweeping import LiveReader, Picture, pictures
from drivers.commission.target import Range
from drivers.modbus.bus import Link, ModbusBus, ModbusDevice
from metering.faults import Fault
from wattline.clock import Clock

ALL_READ = 0
SOMETHING_ABSENT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to show: `watch_s` is None for once, `raw` adds the registers, `guess_after_s` the pause before the second
    read of a guess (None: no guess)."""

    watch_s: float | None = None
    json: bool = False
    raw: bool = False
    guess_after_s: float | None = None


def show_device(bus: ModbusBus, device: ModbusDevice, clock: Clock, look: Look, screen: Screen) -> int:
    """0 when every point has a value, 1 when one has not; of the last picture when it is watched until Ctrl-C."""
    last = [SOMETHING_ABSENT]

    async def run() -> None:
        reader = LiveReader(bus, device, clock)
        async with aclosing(pictures(reader, bus, clock, look.watch_s or 1.0)) as stream:
            async for picture in stream:
                last[0] = ALL_READ if picture.complete else SOMETHING_ABSENT
                _show(picture, look, screen)
                if look.watch_s is None:
                    return

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        if look.watch_s is None:
            raise
    return last[0]


def _show(picture: Picture, look: Look, screen: Screen) -> None:
    if look.json:
        indent = 2 if look.watch_s is None else None  # watched: one object a line
        screen.write(json.dumps(picture_json(picture), indent=indent, ensure_ascii=False))
        return
    lines = picture_lines(picture, screen, raw=look.raw)
    screen.redraw(lines if look.watch_s is None else [*lines, screen.paint("Ctrl-C ends it", "2")])


def show_registers(link: Link, unit: int, wanted: Range, *, clock: Clock, look: Look, screen: Screen) -> int:
    """0 when every register was given, 1 when one was not."""
    last = [SOMETHING_ABSENT]

    async def run() -> None:
        while True:
            started = clock.now_ns()
            found, guesses = await _read(link, unit, wanted, clock=clock, look=look, screen=screen)
            last[0] = SOMETHING_ABSENT if found.absent or found.error else ALL_READ
            if look.json:
                told = block_json(wanted, unit, found, guesses)
                screen.write(json.dumps(told, indent=2 if look.watch_s is None else None, ensure_ascii=False))
            else:
                lines = block_lines(wanted, found, guesses, screen)
                screen.redraw([*lines, *([found.error] if found.error else [])])
            if look.watch_s is None:
                return
            await clock.sleep_until(started + round(look.watch_s * 1e9))

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        if look.watch_s is None:
            raise
    return last[0]


async def _read(
    link: Link, unit: int, wanted: Range, *, clock: Clock, look: Look, screen: Screen
) -> tuple[Registers, Sequence[Guess] | None]:
    """The registers, and with a guess a second time after its pause."""
    try:
        await link.open()
        found = await read_registers(link, unit, wanted)
        if look.guess_after_s is None:
            return found, None
        if not found.words:
            return found, ()
        if not look.json:
            screen.redraw([f"reading again in {look.guess_after_s:g} s, to see what counts"])
        await clock.sleep_until(clock.now_ns() + round(look.guess_after_s * 1e9))
        later = await read_registers(link, unit, wanted)
        return found, guess(found.words, later.words)
    except LinkDown as err:
        absent = dict.fromkeys(range(wanted.address, wanted.address + wanted.count), Fault.LINK_DOWN)
        return Registers(absent=absent, error=hint(err)), None
    finally:
        await link.close()
