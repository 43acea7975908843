"""Shared timers: who waits for one boundary wakes together, and a dead-line that is met costs nothing."""

import asyncio

from agent.wake_ups import WakeUps
from drivers.modbus.deadlines import Deadlines
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS, SystemClock


def test_all_sleepers_of_a_boundary_wake_at_it_and_a_cancelled_one_harms_nobody() -> None:
    async def main(clock: VirtualClock) -> list[int]:
        wake_ups, woken = WakeUps(clock), list[int]()

        async def sleeper() -> None:
            await wake_ups.sleep(START_NS + 3 * NS)
            woken.append(clock.now_ns() - START_NS)

        tasks = [asyncio.create_task(sleeper()) for _ in range(5)]
        await asyncio.sleep(1)
        tasks.pop().cancel()
        await asyncio.gather(*tasks)
        return woken

    assert run(main) == [3 * NS] * 4


def test_on_the_real_clock_nobody_wakes_before_the_boundary() -> None:
    async def main() -> list[int]:
        clock, early = SystemClock(), list[int]()
        wake_ups = WakeUps(clock)

        async def sleeper(due_ns: int) -> None:
            await wake_ups.sleep(due_ns)
            early.append(max(0, due_ns - clock.now_ns()))

        for _ in range(10):
            due_ns = clock.now_ns() // 100_000_000 * 100_000_000 + 100_000_000
            sleepers = [asyncio.create_task(sleeper(due_ns)) for _ in range(3)]
            await asyncio.gather(*sleepers)
        return early

    assert asyncio.run(main()) == [0] * 30


def test_a_long_sleep_is_a_nap_so_that_a_clock_that_is_set_is_noticed() -> None:
    async def main(clock: VirtualClock) -> int:
        await WakeUps(clock).sleep(START_NS + 3600 * NS)
        return clock.now_ns() - START_NS

    assert 9 * NS <= run(main) <= 10 * NS


def test_each_deadline_expires_at_its_own_time_unless_it_is_met() -> None:
    async def main(clock: VirtualClock) -> list[tuple[str, int]]:
        deadlines, expired = Deadlines(asyncio.get_running_loop()), list[tuple[str, int]]()
        for name, after_s in (("slow", 5.0), ("quick", 1.0), ("met", 2.0), ("middle", 3.0)):
            deadlines.set(name, after_s, lambda name=name: expired.append((name, clock.now_ns() - START_NS)))
        deadlines.met("met")
        await asyncio.sleep(10)
        return expired

    assert run(main) == [("quick", NS), ("middle", 3 * NS), ("slow", 5 * NS)]
