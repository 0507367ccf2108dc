"""Positions that move, stand and go back, and what lies between them in transactions."""

from __future__ import annotations

import pytest

from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.moves import Moves, transactions_between
from verifier.position import Lsn, Position
from verifier.skew import Skew

DOMAINS, SET = DomainGtids.parse, GtidSet.parse


@pytest.mark.parametrize(
    ("leader", "follower", "count"),
    [
        (SET("a:1-10"), SET("a:1-10"), 0),
        (SET("a:1-10"), SET(""), 10),
        (SET("a:1-10:20-29"), SET("a:3-5:8:21-40"), 2 + 2 + 2 + 1),
        (SET("a:1-10,b:1-3"), SET("b:2,c:1-99"), 12),
        (DOMAINS("0-1-100,7-2-5"), DOMAINS("0-1-90"), 15),
        (DOMAINS("0-1-100"), DOMAINS("0-9-120,3-3-3"), 0),
        (Logged(DOMAINS("0-1-100"), Binlog("b.1", 4)), DOMAINS("0-1-99"), 1),
        (Lsn(5), Lsn(1), None),
        (SET("a:1"), DOMAINS("0-1-1"), None),
    ],
)
def test_transactions_between(leader: Position, follower: Position, count: int | None) -> None:
    assert transactions_between(leader, follower) == count


def test_a_set_that_lost_some_went_back_although_it_gained_others() -> None:
    moves = Moves()
    moves.at(SET("a:1-10"), 1.0)
    assert moves.rewound == ""
    moves.at(SET("a:1-8,b:1"), 2.0)
    assert moves.rewound == "its position went back from gtids:a:1-10 to gtids:a:1-8,b:1"
    moves.at(SET("a:1-11,b:1"), 3.0)
    assert (moves.rewound, moves.since) == ("", 3.0)
    moves.at(SET("a:1-11,b:1"), 4.0)
    assert moves.since == 3.0


def test_a_clock_is_called_wrong_only_if_it_surely_is() -> None:
    skew = Skew()
    assert skew.ahead == 0.0
    skew.note(10.0, 9.0, 11.0)
    assert skew.ahead == 0.0
    skew.note(25.0, 20.0, 22.0)  # at least three ahead, which the first bound excludes: the clock was set
    assert skew.ahead == 3.0
    skew.note(104.5, 100.0, 101.0)
    assert skew.ahead == 3.5
    behind = Skew()
    behind.note(1.0, 8.0, 9.0)
    assert behind.ahead == -7.0
