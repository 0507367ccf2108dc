"""What every `RepairSink` does: one row or none, and only while the row is what the plan saw. One suite for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fixtures.databases import Database

from connectors.memory.follower import Follower, promote
from connectors.memory.leader import Leader
from connectors.memory.writing import MemoryRepairSink
from connectors.postgres.apply import PostgresRepairSink
from reconciler.ports import Applied, Outcome, RepairSink
from reconciler.repair import Action, Repair
from verifier.drift import Kind
from verifier.errors import Unsound
from verifier.look import Role
from verifier.table import Column, Family, Key, Table, TableName, Value

NAME = TableName("public", "goods")
TABLE = Table(
    NAME,
    (
        Column("shop", Family.INTEGER, "bigint", nullable=False),
        Column("sku", Family.TEXT, "text", nullable=False),
        Column("amount", Family.DECIMAL, "numeric"),
        Column("note", Family.TEXT, "text"),
        Column("twice", Family.DECIMAL, "numeric", generated=True),
    ),
    ("shop", "sku"),
)
"""The follower's description: without `secret`, which is not compared."""

HOSTILE = "a'; drop table goods; -- %s {} \\ \"\n\x1f ü\u202e"
KEY: Key = (7, HOSTILE)
Stored = dict[Key, tuple[Value, Value, Value]]
"""By key: amount, note, secret."""

_MADE = """create table goods (shop bigint, sku text, amount numeric, note text, secret text default 'own',
    twice numeric generated always as (amount * 2) stored, primary key (shop, sku))"""


@dataclass
class World:
    """A follower that may be written, holding two rows; `made` opens another sink to it, as another process would."""

    made: Callable[[], RepairSink]
    as_leader: Callable[[], RepairSink]
    """A sink that was pointed at a server that leads."""
    put: Callable[[Key, Value, Value], object]
    drop: Callable[[Key], object]
    stored: Callable[[], Stored]
    sinks: list[RepairSink] = field(default_factory=list)

    def sink(self) -> RepairSink:
        self.sinks.append(self.made())
        return self.sinks[-1]


def memory() -> World:
    leader = Leader(lambda: 0.0)
    follower = Follower(leader, Role.SUBSCRIBER)
    follower.shelves.create(TABLE)
    lock = threading.RLock()

    def put(key: Key, amount: Value, note: Value) -> None:
        row = {"shop": str(key[0]), "sku": str(key[1]), "amount": amount, "note": note, "twice": None}
        follower.put(NAME, key, {**row, "secret": "own"})

    def stored() -> Stored:
        rows = {key: values for key, (values, _) in follower.shelves.tables[NAME].rows.items()}
        return {key: (row["amount"], row["note"], row.get("secret", "own")) for key, row in rows.items()}

    def as_leader() -> RepairSink:
        standby = Follower(leader, Role.STANDBY, follower.shelves)
        promote(standby)
        return MemoryRepairSink(standby)

    return World(
        lambda: MemoryRepairSink(follower, lock=lock), as_leader, put, lambda key: follower.drop(NAME, key), stored
    )


def postgres(database: Database) -> World:
    database.sql(_MADE)
    system = database.sql("select system_identifier::text from pg_control_system()")[0][0]

    def put(key: Key, amount: Value, note: Value) -> object:
        return database.sql(
            "insert into goods (shop, sku, amount, note) values (%s, %s, %s::numeric, %s)"
            " on conflict (shop, sku) do update set amount = excluded.amount, note = excluded.note",
            (*key, amount, note),
        )

    def stored() -> Stored:
        rows = database.sql("select shop, sku, amount::text, note, secret from goods")
        return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}

    return World(
        lambda: PostgresRepairSink(database.url, leader_system="another"),
        lambda: PostgresRepairSink(database.url, leader_system=system),
        put,
        lambda key: database.sql("delete from goods where shop = %s and sku = %s", key),
        stored,
    )


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = memory() if request.param == "memory" else postgres(request.getfixturevalue("database"))
    made.put(KEY, "1.50", None)
    made.put((8, "x"), "9", "other")
    yield made
    for sink in made.sinks:
        sink.close()


def row(amount: Value, note: Value, key: Key = KEY) -> dict[str, Value]:
    return {"shop": str(key[0]), "sku": str(key[1]), "amount": amount, "note": note}


def repair(expected: Mapping[str, Value] | None, wanted: Mapping[str, Value] | None, key: Key = KEY) -> Repair:
    kinds = {Action.INSERT: Kind.MISSING, Action.DELETE: Kind.EXTRA, Action.UPDATE: Kind.MISMATCHED}
    action = Action.INSERT if expected is None else Action.DELETE if wanted is None else Action.UPDATE
    return Repair("r" * 32, "d" * 32, "g", "one", NAME, key, kinds[action], action, wanted, expected, 1.0)


OTHERS = {(8, "x"): ("9", "other", "own")}
UPDATE = repair(row("1.50", None), row("2.25", HOSTILE))
DELETE = repair(row("1.50", None), None)
INSERT = repair(None, row(None, "", key=(9, HOSTILE)), key=(9, HOSTILE))
KEPT: Stored = {KEY: ("1.50", None, "own"), **OTHERS}
EVERY = pytest.mark.parametrize(
    ("one", "after"),
    [
        pytest.param(UPDATE, {KEY: ("2.25", HOSTILE, "own"), **OTHERS}, id="update"),
        pytest.param(DELETE, OTHERS, id="delete"),
        pytest.param(INSERT, {(9, HOSTILE): (None, "", "own"), **KEPT}, id="insert"),
    ],
)


@EVERY
def test_it_is_written_once_and_what_is_not_compared_stays(world: World, one: Repair, after: Stored) -> None:
    sink = world.sink()
    assert sink.apply(TABLE, one).outcome is Outcome.APPLIED
    assert world.stored() == after
    assert sink.apply(TABLE, one) == Applied(Outcome.STALE), "applied twice is harmless"
    assert world.stored() == after


@EVERY
def test_one_of_many_at_once_writes(world: World, one: Repair, after: Stored) -> None:
    told: list[Any] = []
    ready = threading.Barrier(4)

    def write(sink: RepairSink) -> None:
        try:
            ready.wait(30)
            told.append(sink.apply(TABLE, one).outcome.value)
        except BaseException as error:
            told.append(repr(error))

    threads = [threading.Thread(target=write, args=(world.sink(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["applied", "stale", "stale", "stale"]
    assert world.stored() == after


@pytest.mark.parametrize(
    ("amount", "note"),
    [("1.51", None), ("1.50", ""), (None, None), ("1.50", "null"), ("2.25", HOSTILE)],
)
def test_a_row_that_is_no_longer_what_was_seen_is_left_alone(world: World, amount: Value, note: Value) -> None:
    """NULL is not '', nor the text of it; nor is a row overwritten that is the wanted one already."""
    world.put(KEY, amount, note)
    before = world.stored()
    sink = world.sink()
    for one in (UPDATE, DELETE):
        assert sink.apply(TABLE, one) == Applied(Outcome.STALE)
    assert world.stored() == before


def test_a_row_that_is_gone_or_came_is_left_alone(world: World) -> None:
    world.drop(KEY)
    world.put(INSERT.key, "5", "came by itself")
    before = world.stored()
    sink = world.sink()
    for one in (UPDATE, DELETE, INSERT):
        assert sink.apply(TABLE, one) == Applied(Outcome.STALE)
    assert world.stored() == before


@EVERY
def test_a_server_that_leads_is_never_written(world: World, one: Repair, after: Stored) -> None:
    sink = world.as_leader()
    world.sinks.append(sink)
    with pytest.raises(Unsound, match="leader"):
        sink.apply(TABLE, one)
    assert world.stored() == KEPT


def test_an_update_that_changes_nothing_is_a_fault_of_ours(world: World) -> None:
    with pytest.raises(Unsound, match="changes no column"):
        world.sink().apply(TABLE, replace(UPDATE, wanted=row("1.5", None)))
    assert world.stored() == KEPT


@EVERY
def test_the_statement_is_for_people_and_writes_nothing(world: World, one: Repair, after: Stored) -> None:
    shown = world.sink().statement(TABLE, one)
    assert shown.startswith(one.action.value)
    assert "goods" in shown
    assert world.stored() == KEPT


def test_a_closed_sink_can_be_closed_again(world: World) -> None:
    sink = world.sink()
    sink.apply(TABLE, UPDATE)
    sink.close()
