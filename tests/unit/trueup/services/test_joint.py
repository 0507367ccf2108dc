"""The leader is read once for all followers whose rounds begin together."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from trueup.services.joint import JointLeader, JointLooks
from verifier.errors import Unreachable
from verifier.look import Look
from verifier.position import Lsn
from verifier.table import Column, Family, Key, Table, TableName

T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text")), ("id",))
SNAPSHOT: Any = None
NARROW = Table(T, TABLE.columns[:1], ("id",))


class Asked:
    """A leader of a hundred rows that remembers what it was asked, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.calls: list[frozenset[Key]] = []
        self.failures = failures

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        self.calls.append(frozenset(keys))
        if self.failures:
            self.failures -= 1
            raise Unreachable("nobody answers")
        found = {key: hash(key) for key in keys if int(str(key[0])) < 100}
        return Look(found, Lsn(len(self.calls)), Lsn(len(self.calls)), SNAPSHOT)


def keys(*numbers: int) -> list[Key]:
    return [(number,) for number in numbers]


def together(leader: Any, wanted: Mapping[str, list[Key]], *, meet: float = 60.0) -> dict[str, JointLeader]:
    """Both begin round 1 on threads of their own."""
    joint = JointLooks(leader, len(wanted), meet_seconds=meet)
    found: dict[str, JointLeader] = {}

    def begin(name: str) -> None:
        found[name] = joint.begin(name, 1, {T: wanted[name]})

    threads = [threading.Thread(target=begin, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_it_is_asked_once_for_the_keys_of_all_and_each_gets_its_own() -> None:
    leader = Asked()
    found = together(leader, {"a": keys(1, 2, 200), "b": keys(2, 3)})
    ours = found["a"].point_digests(TABLE, keys(1, 2, 200))
    theirs = found["b"].point_digests(TABLE, keys(2, 3))
    assert leader.calls == [frozenset(keys(1, 2, 3, 200))]
    assert (ours.value.keys(), theirs.value.keys()) == (set(keys(1, 2)), set(keys(2, 3))), "200 is no row"
    assert ours.low == theirs.low == Lsn(1), "one look, with what it saw"


def test_what_nobody_told_of_and_other_columns_are_asked_for_apart() -> None:
    leader = Asked()
    found = together(leader, {"a": keys(1), "b": keys(2)})
    assert found["a"].point_digests(TABLE, keys(1)).value.keys() == set(keys(1))
    assert found["a"].point_digests(TABLE, keys(1, 7)).low == Lsn(2)
    assert found["b"].point_digests(NARROW, keys(2)).low == Lsn(3)
    assert leader.calls == [frozenset(keys(1, 2)), frozenset(keys(1, 7)), frozenset(keys(2))]


def test_who_comes_late_or_alone_asks_by_itself() -> None:
    leader: Any = Asked()
    joint = JointLooks(leader, 2, meet_seconds=0.0)
    early = joint.begin("a", 1, {T: keys(1)})
    later = joint.begin("b", 2, {T: keys(1)})
    behind = joint.begin("a", 1, {T: keys(1)})
    for one in (early, later, behind):
        one.point_digests(TABLE, keys(1))
    assert len(leader.calls) == 3, "an answer serves its own round alone"
    assert later.point_digests(TABLE, keys(1)).low == Lsn(2)


def test_an_error_is_the_asker_s_alone() -> None:
    leader = Asked(failures=1)
    found = together(leader, {"a": keys(1), "b": keys(2)})
    with pytest.raises(Unreachable):
        found["a"].point_digests(TABLE, keys(1))
    assert found["b"].point_digests(TABLE, keys(2)).value.keys() == set(keys(2))
    assert found["a"].point_digests(TABLE, keys(1)).value.keys() == set(keys(1))
    assert leader.calls == [frozenset(keys(1, 2))] * 2
