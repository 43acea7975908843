"""What a simulated power cut leaves of a disk."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from violence.power_log import BLOCK, SECTOR, Replay, flush_record, records_of, write_record

writes = st.tuples(st.integers(0, 7), st.integers(1, 24), st.integers(1, 255)).map(
    lambda drawn: write_record(drawn[0] * BLOCK // 2, bytes([drawn[2]]) * (drawn[1] * SECTOR))
)


@given(log=st.lists(writes | st.just(flush_record()), min_size=1), share=st.floats(0, 1), seed=st.integers(0, 1 << 32))
def test_a_cut_leaves_what_was_flushed_and_of_the_rest_only_whole_sectors_that_were_written(
    log: list[bytes], share: float, seed: int
) -> None:
    size = 16 * BLOCK
    end = round(share * len(b"".join(log)))
    records = [record for record in records_of(b"".join(log)) if record.end <= end]
    image, _ = Replay(bytes(size), records_of(b"".join(log))).cut(end, Random(seed))
    flushed = max((n for n, record in enumerate(records) if not record.data), default=-1)
    may_be = [{bytes(SECTOR)} for _ in range(size // SECTOR)]
    for n, record in enumerate(records):
        for at in range(0, len(record.data), SECTOR):
            sector = record.data[at : at + SECTOR]
            place = (record.offset + at) // SECTOR
            may_be[place] = {sector} if n < flushed else may_be[place] | {sector}
    assert len(image) == size
    assert all(bytes(image[n * SECTOR : (n + 1) * SECTOR]) in may_be[n] for n in range(size // SECTOR))


def test_a_record_that_is_cut_off_does_not_count() -> None:
    log = write_record(0, b"whole") + flush_record() + write_record(4096, b"torn")
    assert [record.data for record in records_of(log[:-1])] == [b"whole", b""]
    assert [record.end for record in records_of(log)] == [17, 29, 45]
