"""How old a row is, told by 32 bits: never older than it is, whatever the true id. The SQL agrees."""

from __future__ import annotations

import pytest
from fixtures.servers import Servers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.postgres.ages import older
from verifier.errors import Misconfigured
from verifier.gtid import Binlog, DomainGtids, Logged
from verifier.position import NOWHERE, Lsn, Position, Tick
from verifier.recorded import Counted, Recorded, surely_older

_LAST = "((select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))::text::bigint - 1)"
ids = st.integers(min_value=3, max_value=(1 << 35))
near = st.integers(min_value=-5, max_value=5)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, int]:
    """The true id that wrote a row, the last id of the server, and a floor that was noted in between or before."""
    last = draw(ids)
    written = draw(st.one_of(st.integers(3, last), near.map(lambda n: max(3, min(last, last - (1 << 32) + n)))))
    floor = draw(st.one_of(st.integers(3, last + 1), near.map(lambda n: max(3, min(last + 1, written + n)))))
    return written, last, floor


@given(histories())
@example((700, (1 << 32) + 700, 701))
@example(((1 << 32) + 700, (1 << 32) + 700, 701))
@settings(max_examples=2_000)
def test_never_older_than_it_is(history: tuple[int, int, int]) -> None:
    written, last, floor = history
    bits = written & 0xFFFFFFFF
    if bits < 3:
        return  # the server skips these ids
    if surely_older(bits, last=last, floor=floor):
        assert written < floor


@given(st.integers(3, 1 << 35), st.integers(0, (1 << 31) - 1), st.integers(0, (1 << 31) - 1))
@settings(max_examples=1_000)
def test_within_half_the_circle_it_is_exact(last: int, back: int, floor_back: int) -> None:
    written, floor = last - back, last + 1 - floor_back
    if written < 3 or floor < 3 or written & 0xFFFFFFFF < 3:
        return
    assert surely_older(written & 0xFFFFFFFF, last=last, floor=floor) is (written < floor)


@pytest.mark.postgres
def test_the_sql_is_the_reference(postgres_server: Servers) -> None:
    """On the server's own arithmetic, with the ids that matter around every border."""
    borders = [3, 4, 700, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 3, (1 << 33) + 5]
    near_borders = sorted({b + n for b in borders for n in (-1, 0, 1) if b + n >= 3})
    lasts = [one for one in near_borders if one > 3]
    floors = near_borders
    bits = sorted({b & 0xFFFFFFFF for b in near_borders} | {0, 1, 2})
    cases = [(x, last, floor) for x in bits for last in lasts for floor in floors if floor <= last + 1]
    values = ", ".join(f"({n}, {x}::bigint, {last}::bigint)" for n, (x, last, _) in enumerate(cases))
    conditions = {floor: older(floor, "w.xid").replace(_LAST, "w.last") for floor in floors}
    assert all("pg_snapshot_xmax" not in sql for sql in conditions.values())
    said: dict[int, bool] = {}
    cluster = postgres_server(15)
    for floor, condition in conditions.items():
        for n, answer in cluster.sql(f"select n, {condition} from (values {values}) as w(n, xid, last)"):
            if cases[n][2] == floor:
                said[n] = answer
    assert len(said) == len(cases)
    wrong = [case for n, case in enumerate(cases) if said[n] is not surely_older(case[0], last=case[1], floor=case[2])]
    assert wrong == []


@given(
    st.builds(
        Recorded,
        system=st.one_of(st.integers(0, 1 << 63).map(str), st.text(min_size=1)),
        timeline=st.integers(1, 1 << 31),
        position=st.integers(0, (1 << 64) - 1).map(Lsn),
        mark=st.one_of(
            st.integers(0, 1 << 63),
            st.integers(0, 1 << 40).map(Lsn),
            st.integers(4, 1 << 40).map(lambda n: Logged(DomainGtids.parse(f"0-1-{n},7-2-9"), Binlog("bin.000001", n))),
        ),
        floor=st.one_of(st.none(), st.integers(0, 1 << 63)),
        quiet=st.booleans(),
    )
)
def test_a_recorded_moment_is_one_word_and_reads_back(recorded: Recorded) -> None:
    assert Recorded.read(recorded.text()) == recorded
    assert len(recorded.text().split()) == 1


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_hundred_per_cent_means_all(backup: int, lacking: int) -> None:
    counted = Counted(backup, proven=max(0, backup - lacking))
    assert (counted.percent == 100) is (lacking == 0)


@given(st.sampled_from([Tick(7), NOWHERE]))
def test_what_means_nothing_to_another_process_is_refused(position: Position) -> None:
    recorded = Recorded("s", 1, position, position, None, True)
    with pytest.raises(Misconfigured, match="not a recorded position"):
        Recorded.read(recorded.text())
