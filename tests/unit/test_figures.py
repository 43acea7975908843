"""Figures of a bus: use, round trips, faults by kind; and which faults of points are news."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from agent.figures import TOLD_BUSES, BusFigures, figures, status_counters
from agent.health import BusCounters
from agent.news import QUIET_S, FaultNews
from drivers.round_trips import WINDOW, RoundTrips
from metering.faults import ALL_POINTS, Fault


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=3 * WINDOW), st.integers(1, 100))
def test_a_percentile_is_that_of_the_newest_window(times: list[int], percent: int) -> None:
    trips = RoundTrips()
    for each in times:
        trips.add(each)
    newest = sorted(times[-WINDOW:])
    told = trips.percentile(percent)
    assert told is not None
    assert sum(each <= told for each in newest) * 100 >= percent * len(newest)
    assert sum(each < told for each in newest) * 100 < percent * len(newest)


def test_before_the_first_answer_there_is_no_round_trip() -> None:
    assert RoundTrips().percentile(50) is None
    told = figures(BusCounters(), 0.0, 10.0, RoundTrips())
    assert told.fields() == {"use_percent": 0.0}
    assert told.counters("substation") == {"bus.substation.use_percent": 0}


def test_figures_are_of_the_time_since_they_were_last_told() -> None:
    trips = RoundTrips()
    for ms in range(1, 101):
        trips.add(ms / 1000)
    counters = BusCounters(busy_s=75.0, faults=Counter({Fault.TIMEOUT: 3}))
    told = figures(counters, 50.0, 100.0, trips)
    assert told.fields() == {"use_percent": 25.0, "rtt_p50_ms": 50.0, "rtt_p99_ms": 99.0, "fault_timeout": 3}
    assert told.counters("b") == {"bus.b.use_percent": 25, "bus.b.rtt_p50_us": 50_000, "bus.b.rtt_p99_us": 99_000}
    assert figures(counters, 0.0, 1.0, trips).use == 1.0
    assert figures(counters, 75.0, 0.0, trips).use == 0.0


def test_the_status_sums_the_faults_and_tells_of_the_busiest_buses_only() -> None:
    buses = {
        f"bus-{n}": BusFigures(use=n / 100, round_trips=RoundTrips(), faults={Fault.TIMEOUT: 1})
        for n in range(TOLD_BUSES + 9)
    }
    told = status_counters(buses)
    assert told.pop("faults.timeout") == TOLD_BUSES + 9
    assert told.keys() == {f"bus.bus-{n}.use_percent" for n in range(9, TOLD_BUSES + 9)}


def test_a_fault_is_news_the_second_time_and_that_all_is_fine_once() -> None:
    news = FaultNews()
    bad = {"a": Fault.SENTINEL, "b": Fault.SENTINEL}
    assert news.swept({"c"}, bad, 0) == ({}, False)
    assert news.swept({"c"}, bad, 1) == ({Fault.SENTINEL: ["a", "b"]}, False)
    assert news.swept({"c"}, bad, 2) == ({}, False)
    assert news.swept({"a", "c"}, {"b": Fault.SENTINEL}, 3) == ({}, False)
    assert news.faulty
    assert news.swept({"a", "b", "c"}, {}, 4) == ({}, True)
    assert not news.faulty
    assert news.swept({"a", "b", "c"}, {}, 5) == ({}, False)


def test_a_fault_that_comes_and_goes_is_news_seldom() -> None:
    news = FaultNews()
    told = 0
    for second in range(int(3 * QUIET_S)):
        swept, _ = news.swept((), {"a": Fault.SENTINEL}, second) if second % 4 < 2 else news.swept({"a"}, {}, second)
        told += len(swept)
    assert told == 3


def test_a_value_that_is_not_believed_is_news_though_it_came() -> None:
    news = FaultNews()
    news.swept({"a"}, {"a": Fault.SUSPECT}, 0)
    assert news.swept({"a"}, {"a": Fault.SUSPECT}, 1) == ({Fault.SUSPECT: ["a"]}, False)


def test_a_device_that_gives_nothing_is_not_told_point_by_point() -> None:
    news = FaultNews()
    for second in range(3):
        assert news.swept((), {ALL_POINTS: Fault.TIMEOUT}, second) == ({}, False)
