"""JSON as text: the choice by a sample, and rows of one value in two spellings are equal."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from worlds.memory import MemoryWorld

from verifier.bracketing import BracketJudging
from verifier.compare import Comparison, comparison, using
from verifier.encoding import encode, row_hash_of
from verifier.errors import Forbidden, Permanent
from verifier.keyrange import KeyRange
from verifier.look import Look, Role, Row
from verifier.outcome import Again, Differs, Equal, Outcome
from verifier.ports import Replica
from verifier.scheme import Choice, chosen
from verifier.spelling import SMALL_ROWS, Spelling, by_spelling
from verifier.table import Column, Family, Key, Scheme, Table, TableName, Verbatim

NAME = TableName("public", "items")
COMMON = "postgresql and mariadb have no native hash in common"
BOTH = f"{COMMON}, and SQL cannot write the canonical form of doc (json on leader), doc (json on follower)"


@dataclass
class Engine:
    """A replica in memory with the hashes of an engine whose SQL can write every family but some, and texts."""

    inner: Replica
    dialect: str
    lacks: frozenset[Family] = frozenset({Family.JSON})
    verbatim: bool = True
    fails: Exception | None = None
    after: Callable[[], None] = lambda: None

    def canonical(self, column: Column) -> bool:
        return column.meets_as not in self.lacks or (self.verbatim and column.verbatim)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        if self.fails is not None:
            raise self.fails
        look = self.inner.rows(table, keys)
        value = {key: replace(row, digest=row_hash_of(table, row.values)) for key, row in look.value.items()}
        self.after()
        return replace(look, value=value)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        look = self.inner.row_digests(table, within)
        return replace(look, value={key: row.digest for key, row in self.rows(table, look.value).value.items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def text(i: int) -> str:
    return json.dumps({"n": i, "tag": "é"})


def otherwise(i: int) -> str:
    return json.dumps({"tag": "é", "n": i}, separators=(",", ":"), ensure_ascii=False)


def world(rows: int, spelled_otherwise: Callable[[int], bool] = lambda i: False, *, key: str = "id") -> MemoryWorld:
    made = MemoryWorld(Role.SUBSCRIBER)
    made.create("items", (("id", Family.INTEGER), ("doc", Family.JSON)), [key] if key else [])
    made.insert(NAME, [{"id": str(i), "doc": text(i)} for i in range(rows)])
    made.applied()
    made.hold()
    for i in filter(spelled_otherwise, range(rows)):
        made.update(NAME, {"id": str(i)}, {"doc": otherwise(i)})
    return made


def engines(made: MemoryWorld, **theirs: Any) -> tuple[Engine, Engine]:
    return Engine(made.leader, "postgresql"), Engine(made.follower, "mariadb", **theirs)


def decided(leader: Engine, follower: Engine, where: str | None = None) -> tuple[Comparison, Choice]:
    left, right = leader.inner.table(NAME), follower.inner.table(NAME)
    compared = comparison(left, right, abroad=True)
    ours: Any = leader
    theirs: Any = follower
    choice = chosen(compared, ours, theirs, native=False)
    return by_spelling(compared, choice, ours, theirs, where)


def verbatim(compared: Comparison) -> list[str]:
    ours, theirs = ([c.name for c in side.columns if c.verbatim] for side in (compared.leader, compared.follower))
    assert ours == theirs
    return ours


@pytest.mark.parametrize("every", [None, 25, 10])
def test_json_that_is_mostly_spelled_alike_is_hashed_as_text(every: int | None) -> None:
    compared, choice = decided(*engines(world(1200, lambda i: every is not None and i % every == 7)), "id > 0")
    seen = {None: 128, 25: 123, 10: 115}[every]
    told = f"{seen} of 128 equal rows of a sample spell it alike; rows that do not are compared by value"
    assert (choice.scheme, choice.why) == (Scheme.CANONICAL, f"{COMMON}; json as text (doc): {told}")
    assert (compared.leader.scheme, compared.leader.where, verbatim(compared)) == (Scheme.CANONICAL, "id > 0", ["doc"])


@pytest.mark.parametrize(
    ("rows", "spelled_otherwise", "why"),
    [
        (1200, lambda i: True, "as text it would not be cheap: 0 of 128 equal rows of a sample spell it alike"),
        (
            1200,
            lambda i: i % 4 == 3,
            "as text it would not be cheap: 96 of 128 equal rows of a sample spell it alike",
        ),
        (SMALL_ROWS, lambda i: False, "fewer than 1000 rows, which are read whole"),
        (0, lambda i: False, "fewer than 1000 rows, which are read whole"),
    ],
)
def test_otherwise_rows_are_read(rows: int, spelled_otherwise: Callable[[int], bool], why: str) -> None:
    compared, choice = decided(*engines(world(rows, spelled_otherwise)))
    assert (choice.scheme, choice.why) == (Scheme.CLIENT, f"{BOTH}; {why}")
    assert (compared.leader.scheme, compared.follower.scheme, verbatim(compared)) == (Scheme.CLIENT, Scheme.CLIENT, [])


def test_rows_that_differ_say_nothing_of_the_spelling() -> None:
    made = world(1200)
    for i in range(10):
        made.update(NAME, {"id": str(i)}, {"doc": "[]"})
    assert "118 of 118 equal rows" in decided(*engines(made))[1].why
    for i in range(1200):
        made.update(NAME, {"id": str(i)}, {"doc": "[]"})
    assert decided(*engines(made))[1].scheme is Scheme.CLIENT
    assert not Spelling(0, 0).enough


@pytest.mark.parametrize("lacks", [frozenset({Family.JSON, Family.INTEGER}), frozenset({Family.INTEGER})])
def test_what_else_sql_cannot_write_is_no_matter_of_spelling(lacks: frozenset[Family]) -> None:
    compared, choice = decided(*engines(world(1200), lacks=lacks))
    assert (choice.scheme, choice.json_alone, verbatim(compared)) == (Scheme.CLIENT, (), [])


def test_an_engine_that_cannot_hash_text_is_not_sampled() -> None:
    choice = decided(*engines(world(1200), verbatim=False))[1]
    assert (choice.scheme, choice.why) == (Scheme.CLIENT, BOTH)


@pytest.mark.parametrize("key", ["", "doc"])
def test_without_a_key_or_in_the_key_nothing_would_judge_by_value(key: str) -> None:
    choice = decided(*engines(world(1200, key=key)))[1]
    assert (choice.scheme, choice.why) == (Scheme.CLIENT, BOTH)


def test_a_sample_that_cannot_be_read_only_costs_time() -> None:
    choice = decided(*engines(world(1200), fails=Permanent("too large")))[1]
    assert (choice.scheme, choice.why) == (Scheme.CLIENT, f"{BOTH}; as text it could not be hashed: too large")
    with pytest.raises(Forbidden):
        decided(*engines(world(1200), fails=Forbidden("no")))


def test_verbatim_is_what_the_encoding_says() -> None:
    column = Column("doc", Family.JSON, "json")
    as_text = replace(column, verbatim=Verbatim.TIDY)
    one, other = ({"doc": text(1)}, {"doc": otherwise(1)})
    assert encode([column], one) == encode([column], other)
    assert encode([as_text], one) == b"0," + text(1).encode() != encode([as_text], other)
    assert encode([as_text], {"doc": None}) == b"1"


@pytest.mark.parametrize("moving", [False, True])
def test_two_spellings_are_equal_beside_a_leader_that_moves_or_not(moving: bool) -> None:
    made = world(5, lambda i: i == 1)
    made.update(NAME, {"id": "2"}, {"doc": "{}"})
    leader, follower = engines(made)

    def position() -> Any:
        raise Permanent("it follows nobody")

    follower.position = position  # type: ignore[attr-defined]
    if moving:
        follower.after = lambda: made.update(NAME, {"id": "4"}, {"doc": "0"})
    compared = using(
        comparison(leader.table(NAME), follower.table(NAME)), Scheme.CANONICAL, verbatim={"doc": Verbatim.TIDY}
    )
    ours: Any = leader
    theirs: Any = follower
    outcomes: Any = BracketJudging(ours, theirs, compared, [(0,), (1,), (2,)]).advance(0.0)
    assert not isinstance(outcomes, Again)
    found: Mapping[Key, Outcome] = outcomes
    assert (found[(0,)], found[(1,)]) == (Equal(), Equal())
    assert isinstance(found[(2,)], Differs) is not moving
    assert found[(2,)] != Equal()
