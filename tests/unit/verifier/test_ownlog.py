"""What a follower's own log tells of a row that differs. All small histories: tests/simulation."""

from __future__ import annotations

import pytest

from verifier.cause import Chain, Step
from verifier.change import Operation
from verifier.drift import DriftCause
from verifier.ownlog import Image, OwnLog, read
from verifier.position import Lsn
from verifier.replay import ABSENT, UNKNOWN, Applying, State
from verifier.table import Column, Family, Table, TableName
from verifier.trace import Recalled, Traced, images_of

INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE
NEW, PAID, SENT, BENT = ({"id": "1", "status": status} for status in ("new", "paid", "sent", "bent"))
TWO = Chain(UNKNOWN, (Step(UPDATE, PAID), Step(UPDATE, SENT)), State(SENT))
GONE = Chain(ABSENT, (Step(INSERT, NEW), Step(DELETE)), ABSENT)
FIRST, SECOND, LATE = Image(State(PAID), 1), Image(State(SENT), 2), Image(State(PAID), 2)


@pytest.mark.parametrize(
    ("chain", "images", "cause", "step"),
    [
        (TWO, [FIRST], DriftCause.LOST, 2),
        (TWO, [FIRST, SECOND, LATE], DriftCause.DOUBLED, 1),
        (TWO, [SECOND, LATE], DriftCause.REORDERED, 1),
        (TWO, [SECOND, Image(State(PAID))], DriftCause.REORDERED, 1),  # with a transaction of another row
        (TWO, [SECOND, FIRST], DriftCause.REORDERED, 1),  # with its own, which came late
        (TWO, [FIRST, SECOND, Image(State(PAID), foreign=True)], DriftCause.ROGUE, None),
        (TWO, [FIRST, Image(State(BENT), 2)], DriftCause.ALTERED, 2),
        (TWO, [FIRST, Image(State(PAID), 2)], DriftCause.LOST, 2),  # it came, and left the row as it was
        (GONE, [Image(State(NEW), 1)], DriftCause.LOST, 2),
        (GONE, [Image(State(NEW), 1), Image(ABSENT, 2), Image(State(NEW), 2)], DriftCause.DOUBLED, 1),
    ],
)
def test_the_last_image_and_what_stands_before_it(
    chain: Chain, images: list[Image], cause: DriftCause, step: int | None
) -> None:
    found = read(chain, images[-1].after, OwnLog(tuple(images)))
    assert found is not None
    assert (found.cause, found.step, found.possible) == (cause, step, frozenset())


def test_nothing_written_is_a_change_lost_if_it_would_have_written() -> None:
    found = read(TWO, State(NEW), OwnLog(()))
    assert found is not None
    assert (found.cause, found.step) == (DriftCause.LOST, 1)
    assert read(TWO, ABSENT, OwnLog(())) is None  # who took the row away did so before the log began


def test_what_may_have_come_before_the_log_began_is_not_told_apart() -> None:
    found = read(TWO, State(PAID), OwnLog((SECOND, LATE), before=1))
    assert found is not None
    assert (found.cause, found.possible) == (DriftCause.UNKNOWN, {DriftCause.DOUBLED, DriftCause.REORDERED})


@pytest.mark.parametrize(
    ("shown", "log"),
    [
        (State(NEW), OwnLog((FIRST,))),  # not read far enough
        (State(BENT), OwnLog((FIRST, Image(State(BENT), 2)), ways=frozenset({Applying.ADDING}))),
        (State(BENT), OwnLog((Image(State(BENT), 0),))),  # older than what is known of the leader
    ],
)
def test_a_log_that_does_not_tell_it(shown: State, log: OwnLog) -> None:
    assert read(TWO, shown, log) is None


def test_images_are_lined_up_by_the_leaders_commits() -> None:
    columns = (Column("id", Family.INTEGER, "bigint", False), Column("status", Family.TEXT, "text"))
    table = Table(TableName("public", "orders"), columns, ("id",))
    leaders = Recalled((Traced(Lsn(20), UPDATE, PAID), Traced(Lsn(30), UPDATE, SENT)), Lsn(10))
    own = Recalled(
        (
            Traced(Lsn(7), UPDATE, NEW, origin="lsn:0/9"),
            Traced(Lsn(8), UPDATE, {"id": "1"}, origin="lsn:0/14"),
            Traced(Lsn(9), DELETE, origin="lsn:0/19"),
            Traced(Lsn(9), UPDATE, BENT),
        )
    )
    assert images_of(table, own, leaders) == (
        Image(State(NEW), 0),
        Image(State({"id": "1"}, whole=False), 1),
        Image(ABSENT, None),
        Image(State(BENT), None, foreign=True),
    )
