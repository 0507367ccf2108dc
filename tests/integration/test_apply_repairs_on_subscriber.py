"""Repairs on a real logical subscriber: planned from proven drift, written as compare-and-set, never twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from fixtures.databases import TrioDatabase
from fixtures.planning import together
from sqlalchemy.engine import make_url

from connectors.journal.opening import Journal, open_journal
from connectors.postgres.apply import PostgresRepairSink, WriteLimits
from connectors.postgres.replica import Options, PostgresReplica
from reconciler.applying import Step, Taken, Target, apply_approved, within
from reconciler.casebook import Casebook
from reconciler.events import Announcer
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import Applied, Outcome
from reconciler.repair import Action, RefusalReason, Repair, State
from reconciler.repairing import Planned, Sighting, approve, planned_parts, verify_applied
from verifier.compare import comparison
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.errors import Permanent, Temporary, Unsound
from verifier.identity import drift_id
from verifier.look import Role
from verifier.table import Key, TableName

pytestmark = pytest.mark.postgres

SCHEMA = """
create type mood as enum ('sad', 'happy');
create table parent (id int primary key, name text);
create table things (
    id bigint generated always as identity primary key, "Odd ""Name" text, amount numeric(12,2), raw bytea, doc json,
    docb jsonb, at timestamptz, ratio float8, feeling mood, tags text[], pair point,
    twice numeric generated always as (amount * 2) stored, parent int references parent(id)
);
create table pairs (a int, b text, v text unique, primary key (a, b));
"""
ROW = """insert into things ("Odd ""Name", amount, raw, doc, docb, at, ratio, feeling, tags, pair) values
    (E'it''s a \\\\ back\\nslash %s ; drop', 10.50, '\\x00ff5c27', '{"b": 1,  "a":null}', '{"b":1}',
     '2026-01-02 03:04:05.123456+02', 0.1, 'happy', '{"x,y",NULL}', '(1,2.5)')"""
APPLY = RepairPolicy(mode=Mode.APPROVE, dry_run=False)


class WallClock:
    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class Bench:
    """A leader, a subscriber, a journal and what stands between them."""

    trio: TrioDatabase
    leader: PostgresReplica
    follower: PostgresReplica
    sink: PostgresRepairSink
    journal: Journal
    casebook: Casebook

    def drift(self, table: str, key: Key, certainty: Certainty = Certainty.PROVEN) -> Drift:
        """The drift of that key, as the two sides differ now."""
        name = TableName("public", table)
        both = self.casebook.comparison(name)
        left = self.leader.rows(both.leader, [key]).value.get(key)
        right = self.follower.rows(both.follower, [key]).value.get(key)
        kind = Kind.MISSING if right is None else Kind.EXTRA if left is None else Kind.MISMATCHED
        columns = {
            c.name: Difference(left.values[c.name] if left else None, right.values[c.name] if right else None)
            for c in both.leader.columns
            if kind is not Kind.MISMATCHED or (left and right and left.values[c.name] != right.values[c.name])
        }
        identity = drift_id("g", "sub", name, key)
        return Drift(identity, "g", "sub", name, key, kind, columns, Evidence(certainty, Method.BRACKETED), time.time())

    def plan(self, *drifts: Drift, policy: RepairPolicy = APPLY) -> Planned:
        return together(
            planned_parts(
                self.casebook,
                drifts,
                leader=self.leader,
                follower=self.follower,
                policy=policy,
                actor="test",
                now=time.time(),
            )
        )

    def approved(self, *keys: tuple[str, Key]) -> list[Repair]:
        planned = self.plan(*(self.drift(*key) for key in keys))
        assert planned.refusals == ()
        approve(self.casebook, [r.id for r in planned.repairs], actor="anna", now=time.time())
        return list(planned.repairs)

    def apply(self, policy: RepairPolicy = APPLY, sink: PostgresRepairSink | None = None) -> list[Taken]:
        sink = sink or self.sink
        target = Target(self.leader, self.follower, sink, sink.references())
        return apply_approved(
            self.casebook,
            target,
            self.journal.drifts,
            policy,
            actor="test",
            now=time.time(),
            reached=within(WallClock(), 10),
        )

    def steps(self, taken: Sequence[Taken]) -> list[tuple[Action, Step]]:
        return [(each.repair.action, each.step) for each in taken]

    def state(self, repair: Repair) -> State:
        record = self.journal.repairs.find(repair.id)
        assert record is not None
        return record.state

    def on_subscriber(self, statement: str) -> list[tuple[object, ...]]:
        return self.trio.subscriber.sql(statement)

    def rows(self, table: str) -> tuple[object, object]:
        statement = f"select r::text from {table} r order by 1"
        return self.trio.leader.sql(statement), self.on_subscriber(statement)


@pytest.fixture
def bench(trio_database: TrioDatabase, tmp_path: Path) -> Iterator[Bench]:
    trio_database.subscribe(SCHEMA)
    trio_database.leader.sql(ROW)
    trio_database.leader.sql("insert into parent values (1, 'one'), (2, 'two')")
    trio_database.leader.sql("insert into pairs values (1, 'x', 'v1'), (2, 'y', 'v2')")
    trio_database.caught_up()
    leader = PostgresReplica("lead", trio_database.leader.url, Options(role=Role.LEADER))
    follower = PostgresReplica("sub", trio_database.subscriber.url, Options(role=Role.SUBSCRIBER))
    system = leader.identity().system
    sink = PostgresRepairSink(trio_database.subscriber.url, leader_system=system)
    journal = open_journal(tmp_path / "journal.db", "g")
    names = [TableName("public", name) for name in ("things", "pairs", "parent")]
    tables = {name: comparison(leader.table(name), follower.table(name)) for name in names}
    yield Bench(
        trio_database, leader, follower, sink, journal, Casebook(journal.repairs, Announcer("test", "g"), tables)
    )
    for each in (leader, follower, sink, journal):
        each.close()


def test_every_kind_is_repaired_and_verified_only_by_a_later_look(bench: Bench) -> None:
    bench.trio.leader.sql(ROW)
    bench.trio.caught_up()
    bench.on_subscriber("delete from things where id = 1")
    bench.on_subscriber("update things set amount = 99, doc = '{}', tags = null where id = 2")
    bench.on_subscriber("insert into pairs values (9, 'rogue', 'v9')")
    repairs = bench.approved(("things", (1,)), ("things", (2,)), ("pairs", (9, "rogue")))

    taken = bench.apply()

    assert bench.steps(taken) == [
        (Action.DELETE, Step.APPLIED),
        (Action.UPDATE, Step.APPLIED),
        (Action.INSERT, Step.APPLIED),
    ]
    for table in ("things", "pairs"):
        leader, follower = bench.rows(table)
        assert leader == follower
    assert [bench.state(r) for r in repairs] == [State.APPLIED] * 3
    assert bench.apply() == []

    now = time.time()
    early = Sighting("sub", TableName("public", "things"), since={(1,): 0.0, (2,): 0.0}, equal={(1,), (2,)}, drifted=())
    assert verify_applied(bench.casebook, early, actor="look", now=now) == []
    later = replace(early, since=dict.fromkeys([(1,), (2,)], now + 1), equal={(1,)}, drifted={(2,)})
    verify_applied(bench.casebook, later, actor="look", now=now + 2)
    assert [bench.state(r) for r in repairs] == [State.VERIFIED, State.FAILED, State.APPLIED]
    assert bench.journal.repairs.audit_broken_at() is None
    actions = [entry.action for entry in bench.journal.repairs.audit()]
    assert actions == [*["planned"] * 3, *["approved"] * 3, *["applying", "applied"] * 3, "verified", "failed"]


def test_an_update_writes_the_differing_columns_alone_and_shows_what_it_runs(bench: Bench) -> None:
    bench.on_subscriber("update things set amount = 1 where id = 1")
    (repair,) = bench.approved(("things", (1,)))
    (taken,) = bench.apply(replace(APPLY, dry_run=True))

    assert taken.step is Step.PREVIEW
    assert taken.statement.startswith('update "public"."things" set "amount" = \'10.50\' where "id" = \'1\' and ')
    assert bench.state(repair) is State.APPROVED
    assert bench.on_subscriber("select amount::text from things") == [("1.00",)]
    # What is shown is what runs: by hand it mends the row once, and finds nothing to do the second time.
    with psycopg.connect(bench.trio.subscriber.dsn, autocommit=True) as hand:
        hand.execute("set timezone to 'UTC'")
        assert [hand.execute(taken.statement.encode()).rowcount for _ in range(2)] == [1, 0]
    leader, follower = bench.rows("things")
    assert leader == follower


def test_insert_shown_for_people_survives_quotes_backslashes_and_newlines(bench: Bench) -> None:
    bench.on_subscriber("delete from things")
    bench.approved(("things", (1,)))
    (taken,) = bench.apply(replace(APPLY, dry_run=True))
    with psycopg.connect(bench.trio.subscriber.dsn, autocommit=True) as hand:
        assert hand.execute(taken.statement.encode()).rowcount == 1
    leader, follower = bench.rows("things")
    assert leader == follower


@pytest.mark.parametrize(
    ("damage", "meddle"),
    [
        ("update pairs set v = 'bad' where a = 1", "update pairs set v = 'other' where a = 1"),
        ("update pairs set v = 'bad' where a = 1", "delete from pairs where a = 1"),
        ("delete from pairs where a = 1", "insert into pairs values (1, 'x', 'local')"),
    ],
)
def test_a_row_that_moved_on_the_follower_is_never_overwritten(bench: Bench, damage: str, meddle: str) -> None:
    bench.on_subscriber(damage)
    (repair,) = bench.approved(("pairs", (1, "x")))
    bench.on_subscriber(meddle)
    before = bench.on_subscriber("select * from pairs order by a")
    table = bench.casebook.comparison(repair.table).follower

    assert bench.sink.apply(table, repair) == Applied(Outcome.STALE)
    (taken,) = bench.apply()

    assert (taken.step, taken.note) == (Step.SUPERSEDED, "the follower's row changed since it was planned")
    assert bench.on_subscriber("select * from pairs order by a") == before


def test_a_row_that_moved_on_the_leader_supersedes_the_plan(bench: Bench) -> None:
    bench.on_subscriber("delete from pairs where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    bench.trio.leader.sql("update pairs set v = 'newer' where a = 1")
    (taken,) = bench.apply()
    assert (taken.step, bench.state(repair)) == (Step.SUPERSEDED, State.SUPERSEDED)
    assert bench.on_subscriber("select count(*) from pairs where a = 1") == [(0,)]


def test_killed_between_write_and_note_it_is_found_applied_and_not_written_again(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    record = bench.journal.repairs.find(repair.id)
    assert record is not None
    bench.casebook.move(record, State.APPLYING, actor="killed", now=time.time())
    table = bench.casebook.comparison(repair.table).follower
    assert bench.sink.apply(table, repair).outcome is Outcome.APPLIED
    version = bench.on_subscriber("select xmin::text, ctid::text from pairs where a = 1")

    (taken,) = bench.apply()

    assert (taken.step, bench.state(repair)) == (Step.FOUND_APPLIED, State.APPLIED)
    assert bench.on_subscriber("select xmin::text, ctid::text from pairs where a = 1") == version


def test_killed_before_the_write_it_is_written_once(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    record = bench.journal.repairs.find(repair.id)
    assert record is not None
    bench.casebook.move(record, State.APPLYING, actor="killed", now=time.time())
    (taken,) = bench.apply()
    assert (taken.step, bench.state(repair)) == (Step.APPLIED, State.APPLIED)


def test_leader_and_standby_are_never_written(bench: Bench) -> None:
    bench.on_subscriber("delete from pairs where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    table = bench.casebook.comparison(repair.table).follower
    system = bench.leader.identity().system
    for url, error, words in (
        (bench.trio.leader.url, Unsound, "has the leader's system identifier"),
        (bench.trio.standby.url, Permanent, "is a physical standby"),
    ):
        sink = PostgresRepairSink(url, leader_system=system)
        with pytest.raises(error, match=words):
            sink.apply(table, repair)
        sink.close()


def test_standby_drift_is_refused_with_advice(bench: Bench) -> None:
    drift = replace(bench.drift("pairs", (1, "x")), follower="stand", kind=Kind.MISMATCHED)
    standby = PostgresReplica("stand", bench.trio.standby.url, Options(role=Role.STANDBY))
    planned = together(
        planned_parts(
            bench.casebook, [drift], leader=bench.leader, follower=standby, policy=APPLY, actor="test", now=1.0
        )
    )
    standby.close()
    (refusal,) = planned.refusals
    assert refusal.reason is RefusalReason.STANDBY
    assert 'public.pairs key [1,"x"] on stand' in refusal.advice
    assert "pg_basebackup" in refusal.advice


def test_a_locked_row_is_waited_for_briefly_and_tried_again_later(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    system = bench.leader.identity().system
    sink = PostgresRepairSink(bench.trio.subscriber.url, leader_system=system, limits=WriteLimits(lock_seconds=0.1))
    with psycopg.connect(bench.trio.subscriber.dsn) as other:
        other.execute("select from pairs where a = 1 for update")
        (taken,) = bench.apply(sink=sink)
        assert taken.step is Step.WAITING
        with pytest.raises(Temporary):
            sink.apply(bench.casebook.comparison(repair.table).follower, repair)
    (taken,) = bench.apply(sink=sink)
    sink.close()
    assert (taken.step, bench.state(repair)) == (Step.APPLIED, State.APPLIED)


def test_what_the_follower_stores_otherwise_is_rolled_back_and_named(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    bench.on_subscriber(
        """create function spoil() returns trigger language plpgsql as
        $$ begin new.v := 'spoilt'; return new; end $$;
        create trigger spoil before update on pairs for each row execute function spoil();
        alter table pairs enable always trigger spoil"""
    )
    bench.approved(("pairs", (1, "x")))
    (taken,) = bench.apply()
    assert taken.step is Step.FAILED
    assert taken.note == "the follower stores something else in v (a trigger or a narrower type)"
    assert bench.on_subscriber("select v from pairs where a = 1") == [("bad",)]
    # As long as the rows are the same it is tried three times, then no more.
    for _ in range(2):
        bench.approved(("pairs", (1, "x")))
        assert [each.step for each in bench.apply()] == [Step.FAILED]
    (refusal,) = bench.plan(bench.drift("pairs", (1, "x"))).refusals
    assert refusal.reason is RefusalReason.ALREADY_TRIED


def test_a_suppressed_write_is_a_failure_and_not_stale(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1; delete from pairs where a = 2")
    bench.on_subscriber(
        """create function no() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger no before insert or update on pairs for each row execute function no();
        alter table pairs enable always trigger no"""
    )
    bench.approved(("pairs", (1, "x")), ("pairs", (2, "y")))
    taken = bench.apply(replace(APPLY, stop_on_failure=False))
    assert [(t.step, t.note) for t in taken] == [
        (Step.FAILED, "a trigger or rule on the follower suppressed the write")
    ] * 2


def test_constraints_fail_the_repair_with_names_and_without_values(bench: Bench) -> None:
    bench.trio.leader.sql("update things set parent = 2 where id = 1")
    bench.trio.caught_up()
    bench.on_subscriber("update things set parent = null; delete from parent where id = 2")
    bench.on_subscriber("delete from pairs where a = 2; update pairs set v = 'v2' where a = 1")
    fk, unique = bench.approved(("things", (1,)), ("pairs", (2, "y")))
    system = bench.leader.identity().system
    sink = PostgresRepairSink(bench.trio.subscriber.url, leader_system=system, fire_triggers=True)
    taken = bench.apply(replace(APPLY, stop_on_failure=False), sink=sink)
    sink.close()
    assert {t.repair.id: t.note for t in taken} == {
        fk.id: "the server refused: ForeignKeyViolation, table things, constraint things_parent_fkey (SQLSTATE 23503)",
        unique.id: "the server refused: UniqueViolation, table pairs, constraint pairs_v_key (SQLSTATE 23505)",
    }


def test_triggers_stay_silent_where_the_login_may_and_are_told_of_where_not(bench: Bench) -> None:
    bench.on_subscriber(
        """create table seen (id int);
        create function note() returns trigger language plpgsql as
        $$ begin insert into public.seen values (new.a); return new; end $$;
        create trigger note after update on pairs for each row execute function note()"""
    )
    bench.on_subscriber("alter table pairs disable trigger note; update pairs set v = v || '!'")
    bench.on_subscriber("alter table pairs enable trigger note")
    one, two = bench.approved(("pairs", (1, "x")), ("pairs", (2, "y")))
    table = bench.casebook.comparison(one.table).follower
    assert bench.sink.apply(table, one) == Applied(Outcome.APPLIED)
    assert bench.on_subscriber("select * from seen") == []

    role = f"poor_{bench.trio.name}"
    bench.on_subscriber(f"create role {role} login password 'poor'; grant select, update on pairs to {role}")
    bench.on_subscriber(f"grant insert on seen to {role}")
    url = make_url(bench.trio.subscriber.url).set(username=role, password="poor")
    poor = PostgresRepairSink(url.render_as_string(hide_password=False), leader_system=bench.leader.identity().system)
    applied = poor.apply(table, two)
    poor.close()
    bench.on_subscriber(f"drop owned by {role}; drop role {role}")
    assert applied.outcome is Outcome.APPLIED
    assert "may not set session_replication_role" in applied.note
    assert bench.on_subscriber("select * from seen") == [(2,)]


def test_the_write_is_tagged_in_the_log(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    slot = f"tag_{bench.trio.name}"
    bench.on_subscriber(f"select pg_create_logical_replication_slot('{slot}', 'test_decoding')")
    (repair,) = bench.approved(("pairs", (1, "x")))
    bench.apply()
    log = bench.on_subscriber(f"select data from pg_logical_slot_get_changes('{slot}', null, null)")
    bench.on_subscriber(f"select pg_drop_replication_slot('{slot}')")
    lines = [str(line) for (line,) in log]
    assert [line.split()[0] for line in lines] == ["BEGIN", "message:", "table", "COMMIT"]
    assert f"prefix: trueup, sz: 32 content:{repair.id}" in lines[1]


def test_events_of_a_whole_life_wait_in_the_outbox(bench: Bench) -> None:
    bench.on_subscriber("update pairs set v = 'bad' where a = 1")
    (repair,) = bench.approved(("pairs", (1, "x")))
    bench.apply()
    events = bench.journal.outbox.pending(10)
    assert [event.body["type"] for event in events] == [
        "io.trueup.repair.proposed.v1",
        "io.trueup.repair.approved.v1",
        "io.trueup.repair.applied.v1",
    ]
    data = events[0].body["data"]
    assert isinstance(data, dict)
    assert data["wanted"] == {"a": "1", "b": "x", "v": "v1"}
    assert (data["set"], data["action"], data["repair"]) == (["v"], "update", repair.id)
    assert json.dumps([dict(event.body) for event in events])


def test_references_name_the_parents(bench: Bench) -> None:
    assert bench.sink.references() == {TableName("public", "things"): frozenset({TableName("public", "parent")})}
