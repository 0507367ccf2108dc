"""What every `Replica` must do, run against every engine and against the simulated world (tests/worlds)."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fixtures.walking import walk
from worlds import Capability, World, needs

from config.invariant import NonNegative
from trueup.bootstrap.invariants import invariant
from trueup.clock import SystemClock
from verifier.canonical import canonical, differing_columns
from verifier.check import Checker
from verifier.digest import EMPTY, Digest
from verifier.drift import Kind, differing
from verifier.errors import Permanent
from verifier.invariant import Finding, Standing
from verifier.keyrange import ALL, KeyRange
from verifier.look import Publishes, Role
from verifier.ports import Replica
from verifier.position import parse
from verifier.table import Family, Key, Scheme, Table, TableName
from verifier.view import Seen

COLUMNS = (("id", Family.INTEGER), ("name", Family.TEXT), ("amount", Family.DECIMAL), ("note", Family.TEXT))


def row(number: int, **values: str | None) -> dict[str, str | None]:
    return {"id": str(number), "name": f"n{number}", "amount": f"{number}.50", "note": None} | values


def filled(world: World, rows: int = 40, name: str = "items") -> tuple[Table, Table]:
    """A table of `rows` rows, applied; as the leader and as the follower describe it."""
    made = world.create(name, COLUMNS, ["id"])
    world.insert(made, [row(number) for number in range(rows)])
    world.applied()
    return world.leader.table(made), world.follower.table(made)


def test_tables_are_found_by_patterns(world: World) -> None:
    for name in ("orders", "order_items", "items"):
        world.create(name, COLUMNS, ["id"])
    for side in (world.leader, world.follower):
        schema = side.default_schema
        assert schema is not None
        known = [TableName(schema, name) for name in ("items", "order_items", "orders")]

        def found(*patterns: str, side: Replica = side, schema: str = schema) -> list[TableName]:
            """In its own schema: some servers hold others' databases, too."""
            return [name for name in side.tables(list(patterns)) if name.schema == schema]

        assert found("*") == known
        assert found("order*") == known[1:]
        assert found(f"{schema}.*", "!*_items") == [known[0], known[2]]
        assert found(f"!{schema}.items") == known[1:]
        assert found("order?") == known[2:]
        assert side.tables(["elsewhere.*"]) == []


def test_a_table_is_described(world: World) -> None:
    ours, theirs = filled(world, 0)
    assert ours.key == theirs.key == ("id",)
    assert [(c.name, c.family) for c in ours.columns] == list(COLUMNS)
    assert not ours.column("id").nullable
    assert ours.column("note").nullable


def test_no_such_table_is_permanent(world: World) -> None:
    for side in (world.leader, world.follower):
        name = TableName(side.default_schema or "", "nowhere")
        with pytest.raises(Permanent, match=re.escape(str(name))):
            side.table(name)


def test_tables_that_were_expected_are_described_as_others_are(world: World) -> None:
    """Whatever order they are asked for in; what is not there is an error of that table alone."""
    made = [filled(world, 3, f"items_{n}")[0].name for n in range(3)]
    absent = TableName(made[0].schema, "absent")
    for side in (world.leader, world.follower):
        alone = {name: (side.table(name), list(side.features(name))) for name in made}
        side.expect([made[0], absent, *made[1:]])
        for name in (made[1], made[0], made[2], made[1]):
            assert (side.table(name), list(side.features(name))) == alone[name]
        with pytest.raises(Permanent, match="absent"):
            side.table(absent)
        side.expect([])


def test_the_digest_of_nothing_is_empty(world: World) -> None:
    ours, theirs = filled(world, 0)
    assert world.leader.digest(ours, ALL).value == world.follower.digest(theirs, ALL).value == EMPTY
    assert world.leader.row_digests(ours, ALL).value == {}
    assert world.leader.boundary(ours, None, 10) is None


def test_both_sides_agree_once_applied(world: World) -> None:
    ours, theirs = filled(world)
    assert world.leader.digest(ours, ALL).value == world.follower.digest(theirs, ALL).value
    assert world.leader.digest(ours, ALL).value.rows == 40


def test_rows_without_a_key_are_counted_by_their_hash(world: World) -> None:
    made = world.create("events", (("kind", Family.TEXT), ("n", Family.INTEGER)), [])
    seen: list[dict[str, str | None]] = [{"kind": "a", "n": "1"}, {"kind": "b", "n": "2"}, {"kind": None, "n": None}]
    world.insert(made, [seen[0], seen[1], seen[0], seen[2], seen[0]])
    world.applied()
    ours, theirs = world.leader.table(made), world.follower.table(made)
    assert ours.key == theirs.key == ()
    left, right = world.leader.multiset(ours).value, world.follower.multiset(theirs).value
    assert sorted(left.values()) == [1, 1, 3]
    assert dict(left) == dict(right)
    assert list(left) == sorted(left)
    whole = Digest(sum(left.values()), sum(value * count for value, count in left.items()) % 2**64)
    assert world.leader.digest(ours, ALL).value == world.follower.digest(theirs, ALL).value == whole
    world.hold()
    try:
        world.insert(made, [{"kind": "a", "n": "2"}, {"kind": "b", "n": "1"}])  # as it were, two values exchanged
        more, still = world.leader.multiset(ours).value, world.follower.multiset(theirs).value
    finally:
        world.release()
    assert dict(still) == dict(right)
    assert (len(more), sorted(more.values())) == (5, [1, 1, 1, 1, 3])
    (thrice,) = (value for value, count in left.items() if count == 3)
    crossed = sum(value for value in more if value not in left)
    assert all(crossed % 2**64 != (thrice + once) % 2**64 for once, count in left.items() if count == 1)


def test_what_a_table_has_beside_its_columns_is_the_same_on_both_sides(world: World) -> None:
    ours, theirs = filled(world, 1)
    assert sorted(map(str, world.leader.features(ours.name))) == sorted(map(str, world.follower.features(theirs.name)))


def test_digests_of_rows_points_and_ranges_add_up(world: World) -> None:
    ours, theirs = filled(world)
    for side, table in ((world.leader, ours), (world.follower, theirs)):
        whole = side.digest(table, ALL).value
        packed = side.row_digests(table, ALL).value
        assert len(packed) == 40
        assert Digest.of(packed.values()) == whole
        assert side.point_digests(table, list(packed)).value == dict(packed)
        ranges = walk(world.leader, ours, 7)
        assert [side.digest(table, within).value.rows for within in ranges] == [7, 7, 7, 7, 7, 5]
        assert sum((side.digest(table, within).value for within in ranges), EMPTY) == whole


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_ranges_partition_a_composite_key_with_awkward_text(world: World, rows: int) -> None:
    words = ["", " ", "a", "A", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "%s", "\\", "日本", "\U0001f600"]
    made = world.create("pairs", (("word", Family.TEXT), ("n", Family.INTEGER), ("x", Family.TEXT)), ["word", "n"])
    keys = set(itertools.product(words, (-1, 0, 2**40)))
    world.insert(made, [{"word": word, "n": str(n), "x": "same"} for word, n in keys])
    world.applied()
    ours, theirs = world.leader.table(made), world.follower.table(made)
    found: list[Key] = []
    for within in walk(world.leader, ours, rows):
        left, right = world.leader.row_digests(ours, within).value, world.follower.row_digests(theirs, within).value
        assert dict(left) == dict(right)
        found += left
    assert len(found) == len(keys)
    assert set(found) == keys


ODD_KEYS: dict[str, tuple[Family, list[str]]] = {
    "dense": (Family.INTEGER, [str(n) for n in range(60)]),
    "negative, sparse and skewed": (
        Family.INTEGER, [str(-(2**63) + n * 999_999_937 if n < 20 else n if n < 55 else 2**62 + n) for n in range(60)],
    ),
    "not ASCII": (Family.TEXT, [f"{'éß日本語'[n % 5]}{n}" for n in range(60)]),
}  # fmt: skip


def test_odd_keys_cost_no_more_questions_than_dense_ones(world: World) -> None:
    """Boundaries are walks over the index, never arithmetic over keys."""
    for place, (family, keys) in enumerate(ODD_KEYS.values()):
        made = world.create(f"odd{place}", (("id", family), ("name", Family.TEXT)), ["id"])
        world.insert(made, [{"id": key, "name": "x"} for key in keys])
    world.applied()
    for place in range(len(ODD_KEYS)):
        for side in (world.leader, world.follower):
            table = side.table(TableName(side.default_schema or "", f"odd{place}"))
            sizes = [side.digest(table, within).value.rows for within in walk(side, table, 10)]
            assert sizes == [10] * 6, (place, side.name)


NAMES = ("select", "MiXed größe", "it's")


def test_reserved_mixed_and_odd_names_are_read_as_they_are(world: World) -> None:
    for place, name in enumerate(NAMES):
        column = NAMES[place - 1]
        columns = (("id", Family.INTEGER), (column, Family.TEXT), ("order", Family.TEXT))
        made = world.create(name, columns, ["id", column])
        world.insert(made, [{"id": str(n), column: f"v{n % 2}", "order": None} for n in range(6)])
    world.applied()
    for side in (world.leader, world.follower):
        for place, name in enumerate(NAMES):
            column = NAMES[place - 1]
            assert [one.name for one in side.tables([f"{side.default_schema}.{name}"])] == [name]
            table = side.table(TableName(side.default_schema or "", name))
            assert table.key == ("id", column)
            within = walk(side, table, 4)
            assert sum(side.digest(table, one).value.rows for one in within) == 6
            found = side.rows(table, [(3, "v1")]).value[3, "v1"]
            assert found.values[column] == "v1"
            assert found.values["order"] is None


def test_a_boundary_needs_no_row_at_its_start(world: World) -> None:
    ours, _ = filled(world, 10)
    assert world.leader.boundary(ours, None, 4) == (4,)
    world.delete(ours.name, {"id": "4"})
    assert world.leader.boundary(ours, (4,), 2) == (7,)
    assert world.leader.boundary(ours, (4,), 4) == (9,)
    assert world.leader.boundary(ours, (4,), 5) is None


def test_one_changed_value_is_one_differing_key(world: World) -> None:
    ours, theirs = filled(world)
    world.hold()
    try:
        world.update(ours.name, {"id": "7"}, {"note": ""})
        world.delete(ours.name, {"id": "8"})
        world.insert(ours.name, [row(100)])
        left, right = world.leader.row_digests(ours, ALL).value, world.follower.row_digests(theirs, ALL).value
    finally:
        world.release()
    expected = {((7,), Kind.MISMATCHED), ((8,), Kind.EXTRA), ((100,), Kind.MISSING)}
    assert set(differing(left, right)) == expected


def test_values_exchanged_between_rows_show_in_the_digest(world: World) -> None:
    ours, theirs = filled(world)
    world.hold()
    try:
        world.update(ours.name, {"id": "3"}, {"amount": "4.50"})
        world.update(ours.name, {"id": "4"}, {"amount": "3.50"})
        assert world.leader.digest(ours, ALL).value != world.follower.digest(theirs, ALL).value
        left, right = world.leader.row_digests(ours, ALL).value, world.follower.row_digests(theirs, ALL).value
    finally:
        world.release()
    assert set(differing(left, right)) == {((3,), Kind.MISMATCHED), ((4,), Kind.MISMATCHED)}


def test_rows_are_returned_under_the_keys_that_were_asked(world: World) -> None:
    ours, theirs = filled(world)
    for side, table in ((world.leader, ours), (world.follower, theirs)):
        found = side.rows(table, [(3,), (999,), (4,)]).value
        assert set(found) == {(3,), (4,)}
        assert differing_columns(table, found[(3,)].values, row(3)) == {}
        assert {key: r.digest for key, r in found.items()} == side.point_digests(table, [(3,), (4,)]).value
        assert side.rows(table, []).value == {}
        assert side.rows(table, [(999,)]).value == {}


def test_a_row_version_lasts_as_long_as_the_row_is_untouched(world: World) -> None:
    ours, _ = filled(world)
    before = world.leader.rows(ours, [(1,), (2,), (3,)]).value
    world.update(ours.name, {"id": "2"}, {"note": None})  # the same values, another version
    world.delete(ours.name, {"id": "3"})
    world.insert(ours.name, [row(3)])
    after = world.leader.rows(ours, [(1,), (2,), (3,)]).value
    assert [after[key].digest == before[key].digest for key in before] == [True, True, True]
    if before[(1,)].version is not None:
        assert [after[key].version == before[key].version for key in before] == [True, False, False]


def test_a_leaders_look_covers_what_it_saw(world: World) -> None:
    needs(world, Capability.LEADER_POSITION)
    ours, _ = filled(world)
    before = world.leader.position()
    world.insert(ours.name, [row(50)])
    look = world.leader.point_digests(ours, [(50,)])
    assert set(look.value) == {(50,)}
    assert look.low == look.high
    assert look.low.covers(before)
    assert not before.covers(look.low)


def test_an_idle_follower_reaches_its_leaders_position(world: World) -> None:
    needs(world, Capability.FOLLOWER_POSITION)
    ours, theirs = filled(world)
    position = world.leader.position()
    deadline = time.monotonic() + 60
    while not world.follower.position().covers(position):
        assert time.monotonic() < deadline, "an idle follower must get there"
        time.sleep(0.02)
    look = world.follower.digest(theirs, ALL)
    assert look.low.covers(position)
    assert look.high.covers(look.low)
    assert look.value == world.leader.digest(ours, ALL).value


def test_a_held_follower_does_not_claim_what_it_lacks(world: World) -> None:
    needs(world, Capability.FOLLOWER_POSITION)
    ours, theirs = filled(world)
    world.hold()
    try:
        world.insert(ours.name, [row(77)])
        position = world.leader.position()
        for _ in range(10):
            look = world.follower.point_digests(theirs, [(77,)])
            assert look.value == {}
            assert not look.low.covers(position)
            assert not world.follower.position().covers(position)
    finally:
        world.release()
    world.applied()
    deadline = time.monotonic() + 60
    while not world.follower.position().covers(position):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert set(world.follower.point_digests(theirs, [(77,)]).value) == {(77,)}


def test_a_follower_of_nobody_claims_nothing(world: World) -> None:
    if Capability.FOLLOWER_POSITION not in world.lacks:
        return
    _, theirs = filled(world)
    with pytest.raises(Permanent, match="at rest"):
        world.follower.position()
    look = world.follower.digest(theirs, ALL)
    for position in (look.low, look.high):
        assert not position.covers(position)
        assert parse(position.text()) == position
    assert not look.view.ended_below(world.follower.mark())


def test_the_mark_waits_for_whoever_had_begun(world: World) -> None:
    needs(world, Capability.TRANSACTION_IDS)
    ours, _ = filled(world)
    with world.transaction() as older:
        older.insert(ours.name, row(60))
        mark = world.leader.mark()
        world.insert(ours.name, [row(61)])
        held = world.leader.point_digests(ours, [(60,), (61,)])
        assert set(held.value) == {(61,)}
        assert not held.view.ended_below(mark)
    after = world.leader.point_digests(ours, [(60,), (61,)])
    assert set(after.value) == {(60,), (61,)}
    assert after.view.ended_below(mark)


def test_the_mark_is_above_every_id_in_use(world: World) -> None:
    """Ids in progress may lie above everything that a snapshot knows of."""
    needs(world, Capability.TRANSACTION_IDS)
    ours, _ = filled(world)
    with world.transaction() as first, world.transaction() as second:
        first.insert(ours.name, row(60))
        second.insert(ours.name, row(61))
        mark = world.leader.mark()
        assert not world.leader.digest(ours, ALL).view.ended_below(mark)
        assert not world.leader.digest(ours, ALL).view.ended_below(mark - 1)
    assert world.leader.digest(ours, ALL).view.ended_below(mark)


def test_a_leaders_view_knows_what_it_saw(world: World) -> None:
    needs(world, Capability.TRANSACTION_IDS)
    ours, _ = filled(world)
    mark = world.leader.mark()
    early = world.leader.digest(ours, ALL)
    world.insert(ours.name, [row(60)])
    late = world.leader.digest(ours, ALL)
    assert early.view.saw(mark) is Seen.NO
    assert late.view.saw(mark) is Seen.YES


def test_roles_and_identities(world: World) -> None:
    ours, theirs = world.leader.identity(), world.follower.identity()
    assert ours.role is Role.LEADER
    assert theirs.role in (Role.STANDBY, Role.SUBSCRIBER)
    assert world.leader.identity() == ours
    assert (ours.system == theirs.system) is (theirs.role is Role.STANDBY)
    expected = Publishes.AFTER_SHOWING if theirs.role is Role.STANDBY else Publishes.BEFORE_SHOWING
    assert world.follower.publishes in (expected, Publishes.TOGETHER)
    if theirs.role is Role.STANDBY:
        assert world.follower.mark() == 0


def test_questions_may_be_asked_by_several_threads(world: World) -> None:
    ours, theirs = filled(world)
    expected = world.leader.digest(ours, ALL).value
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(side.digest, table, ALL)
            for side, table in ((world.leader, ours), (world.follower, theirs)) * 12
        ]
        assert {call.result().value for call in asked} == {expected}


def test_a_users_question_is_answered_within_bounds(world: World) -> None:
    if not world.speaks_sql:
        return
    filled(world)
    for side in (world.leader, world.follower):
        answer = side.ask("select id, note, id = 3 as it from items order by id;", rows_max=2, seconds_max=5).value
        assert answer.columns == ("id", "note", "it")
        assert [(one, note, canonical(Family.BOOLEAN, it)) for one, note, it in answer.rows] == [
            ("0", None, "false"), ("1", None, "false"),
        ]  # fmt: skip
        assert answer.truncated
        none = side.ask("select 1 from items where false -- none", rows_max=2, seconds_max=5).value
        assert (none.rows, none.truncated) == ((), False)
        with pytest.raises(Permanent):
            side.ask("select nothing from items", rows_max=2, seconds_max=5)


def test_negative_rows_are_found_by_their_key_and_no_others(world: World) -> None:
    """`non_negative`, whose SQL trueup writes itself in each engine's own dialect."""
    if not world.speaks_sql:
        return
    names = ("the id", "On Hand", "re-served")
    columns = ((names[0], Family.INTEGER), (names[1], Family.INTEGER), (names[2], Family.DECIMAL))
    made = world.create("odd stock", (*columns, ("select", Family.TEXT)), ["the id"])
    stock = [("1", "0", "0.00"), ("2", "-1", None), ("3", None, None), ("4", "7", "-0.01"), ("5", "-2", "-3.00")]
    world.insert(made, [{**dict(zip(names, one, strict=True)), "select": "-1"} for one in stock])
    world.applied()
    for side in (world.leader, world.follower):
        found = negative(side, made, names[1:])
        assert (found.standing, found.violations, found.more) == (Standing.VIOLATED, 3, False)
        shown = sorted(tuple(canonical(c[1], one[c[0]]) for c in columns) for one in found.sample)
        assert shown == [
            tuple(canonical(c[1], value) for c, value in zip(columns, stock[n], strict=True)) for n in (1, 3, 4)
        ]
        assert negative(side, made, ["the id"]).standing is Standing.HOLDS
        typo = negative(side, made, ["on_hand", "On Hand"])
        assert typo.standing is Standing.UNVERIFIED
        assert typo.reason


def negative(side: Replica, table: TableName, columns: Sequence[str]) -> Finding:
    settings = NonNegative(
        name="stock",
        kind="non_negative",
        endpoint=side.name,
        table=str(table),
        columns=tuple(columns),
        key=("the id",),
    )
    endpoints = {side.name: side}
    return Checker(invariant(settings, endpoints), endpoints, side.name, SystemClock()).check()


def test_what_would_run_is_told_without_running_it(world: World) -> None:
    ours, theirs = filled(world)
    for side, table in ((world.leader, ours), (world.follower, theirs)):
        told = side.explain(table, KeyRange((7,), (9,)))
        assert table.name.name in told.sql
        assert told.parameters == ("7", "9")
        assert told.plan
        assert side.explain(table, ALL).parameters == ()
        assert side.explain(replace(table, key=()), ALL).plan, "a table without a key is explained, too"
        read = side.explain(replace(table, scheme=Scheme.CLIENT), KeyRange((7,), (9,)))
        assert side.dialect == "memory" or all(column.stored in read.sql for column in table.columns)
    with pytest.raises(Permanent):
        world.leader.explain(replace(ours, name=ours.name._replace(name="gone")), ALL)


def test_what_runs_on_the_server_is_counted_without_ourselves(world: World) -> None:
    world.create("items", COLUMNS, ["id"])
    assert world.follower.running() >= 0
    with ThreadPoolExecutor(4) as pool:
        told = [future.result() for future in [pool.submit(world.leader.running) for _ in range(8)]]
    assert max(told) <= 1, "trueup counts itself"
