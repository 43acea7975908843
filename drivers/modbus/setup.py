"""What must be set in a meter before its registers mean what the profile says: looked at once in each connection.

A setting that is not as it must be makes every value of the meter a fault; it is written only where the profile says
how and the operator of this device allows it, and only when it differs.
"""

from collections.abc import Awaitable, Callable

from drivers.base import DeviceSilent
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block, plan
from drivers.modbus.profile import Profile, Setting, WordOrder
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.faults import Fault
from wattline.events import EventLog

Ask = Callable[[Block], Awaitable[bytes]]
Write = Callable[[int, bytes], Awaitable[None]]
"""Address on the wire of the first holding register, and the bytes of all."""


async def settle(profile: Profile, ask: Ask, write: Write | None, log: EventLog) -> None:
    """Return when all settings of the profile are as they must be; `write` is None where nothing may be written.

    Raises DeviceSilent with Fault.WRONG_SETUP, or what `ask` and `write` raise. A refusal comes as DeviceSilent, so
    that it is never taken for one of the block that was to be read.
    """
    for setting in profile.settings:
        try:
            await _settle(profile, setting, ask, write, log)
        except Refused as err:
            raise DeviceSilent(f"{setting.name}, which must be {setting.value}: {err}", err.fault) from err


async def _settle(profile: Profile, setting: Setting, ask: Ask, write: Write | None, log: EventLog) -> None:
    found = await _read(profile, setting, ask)
    if found == setting.value:
        return
    if setting.write and write is not None:
        await write(profile.points[setting.name].address, _registers(profile, setting))
        log.warning("device.setting_written", point=setting.name, before=found, value=setting.value)
        found = await _read(profile, setting, ask)
    if found != setting.value:
        raise DeviceSilent(f"{setting.name} reads {found}, and must be {setting.value}", Fault.WRONG_SETUP)


async def _read(profile: Profile, setting: Setting, ask: Ask) -> object:
    (block,) = plan((profile.points[setting.name],), profile.limits)
    values, faults, _ = SweepDecoder((block,), (setting.name,)).decode((await ask(block),))
    return values.get(setting.name, faults.get(setting.name))


def _registers(profile: Profile, setting: Setting) -> bytes:
    """The setting as its registers hold it."""
    point = profile.points[setting.name]
    size = point.type.registers
    words = [(setting.value >> 16 * place & 0xFFFF).to_bytes(2, "big") for place in range(size)]
    return b"".join(words if point.word_order is WordOrder.LITTLE else words[::-1])
