"""What PostgreSQL's followers say of their position, and what becomes of servers that are slow, gone or closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from fixtures.databases import Database, TrioDatabase
from fixtures.proxy import TcpProxy
from sqlalchemy.engine import make_url

from connectors.postgres.replica import Options, PostgresReplica
from verifier.errors import Forbidden, Permanent, Temporary, Unreachable
from verifier.keyrange import ALL
from verifier.look import Publishes, Role
from verifier.policy import Limits
from verifier.position import Lsn, Position
from verifier.table import TableName

pytestmark = pytest.mark.postgres
T = TableName("public", "t")
SCHEMA = "create table t (id int primary key, v text)"


@pytest.fixture(params=["granted", "keepalive only"])
def subscriber(request: pytest.FixtureRequest, trio_database: TrioDatabase) -> Iterator[PostgresReplica]:
    """A subscriber seen by a user who may read the origin's progress, and by one who may not."""
    trio_database.subscribe(SCHEMA)
    server = trio_database.subscriber
    server.sql(
        "do $$ begin create role plain_reader login password 'x'; exception when duplicate_object then null; end $$"
    )
    server.sql("grant select on all tables in schema public to plain_reader")
    grant = "grant execute on function pg_replication_origin_progress(text, boolean) to plain_reader"
    server.sql(grant if request.param == "granted" else grant.replace("grant", "revoke", 1).replace(" to ", " from "))
    url = make_url(server.url).set(username="plain_reader", password="x").render_as_string(hide_password=False)
    made = PostgresReplica("follower", url)
    yield made
    made.close()


def written(leader: Database) -> Lsn:
    replica = PostgresReplica("leader", leader.url, Options(role=Role.LEADER))
    position = replica.position()
    replica.close()
    return position


def reached(replica: PostgresReplica, position: Position, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not replica.position().covers(position):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_an_idle_subscriber_passes_log_that_is_not_for_it(
    trio_database: TrioDatabase, subscriber: PostgresReplica
) -> None:
    """Checkpoints, other databases and rolled back work move the leader's log, and no change ever arrives."""
    trio_database.leader.sql("checkpoint")
    trio_database.leader.sql("create table elsewhere (a int)")
    trio_database.trio.leader.sql("create table if not exists other_database as select generate_series(1, 9)")
    position = written(trio_database.leader)
    assert reached(subscriber, position, 60)


def test_a_subscriber_that_waits_for_a_lock_has_not_applied(
    trio_database: TrioDatabase, subscriber: PostgresReplica
) -> None:
    """The change has been received and is being applied, which must not count."""
    trio_database.leader.sql("insert into t values (1, 'old')")
    trio_database.caught_up()
    with psycopg.connect(trio_database.subscriber.dsn) as local:
        local.execute("select from t where id = 1 for update")
        trio_database.leader.sql("update t set v = 'new' where id = 1")
        position = written(trio_database.leader)
        assert not reached(subscriber, position, 1.5)
        look = subscriber.rows(subscriber.table(T), [(1,)])
        assert look.value[(1,)].values["v"] == "old"
        assert not look.low.covers(position)
    assert reached(subscriber, position, 60)
    look = subscriber.rows(subscriber.table(T), [(1,)])
    assert look.value[(1,)].values["v"] == "new"
    assert look.low.covers(position)
    assert look.high.covers(look.low)


def test_a_commit_that_was_received_and_is_held_up_has_not_applied(
    trio_database: TrioDatabase, subscriber: PostgresReplica
) -> None:
    """The apply worker has the commit, and waits inside it: only what it was told has moved, not what it shows."""
    trio_database.leader.sql("insert into t values (1, 'old')")
    trio_database.caught_up()
    trio_database.subscriber.sql(
        "create function held() returns trigger language plpgsql as "
        "$$ begin perform pg_advisory_xact_lock(42); return null; end $$;"
        "create constraint trigger held after update on t deferrable initially deferred "
        "for each row execute function held(); alter table t enable always trigger held"
    )
    with psycopg.connect(trio_database.subscriber.dsn) as local:
        local.execute("select pg_advisory_xact_lock(42)")
        trio_database.leader.sql("update t set v = 'new' where id = 1")
        position = written(trio_database.leader)
        assert not reached(subscriber, position, 1.5)
        assert subscriber.rows(subscriber.table(T), [(1,)]).value[(1,)].values["v"] == "old"
    assert reached(subscriber, position, 60)
    assert subscriber.rows(subscriber.table(T), [(1,)]).value[(1,)].values["v"] == "new"


def test_what_a_subscriber_shows_lies_at_or_below_its_upper_bound(
    trio_database: TrioDatabase, subscriber: PostgresReplica
) -> None:
    """A counter is raised on the leader; each value's commit position is known, and no look may be ahead of `high`."""
    trio_database.leader.sql("insert into t values (1, '0')")
    trio_database.caught_up()
    table = subscriber.table(T)
    ends: dict[int, Lsn] = {}
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(trio_database.leader.dsn, autocommit=True) as connection:
            for value in range(1, 2000):
                if stop.is_set():
                    return
                row = connection.execute(
                    "with w as (update t set v = %s where id = 1 returning v) select pg_current_wal_insert_lsn()::text "
                    "from w",
                    (str(value),),
                ).fetchone()
                assert row is not None
                ends[value] = Lsn.parse(row[0])  # the commit record ends behind this

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[tuple[int, Position, Position]] = []
    began = time.monotonic()
    while time.monotonic() < began + 2 or len({value for value, _, _ in seen}) <= 5:
        assert time.monotonic() < began + 60, seen
        look = subscriber.rows(table, [(1,)])
        seen.append((int(look.value[(1,)].values["v"] or 0), look.low, look.high))
    stop.set()
    writer.join()
    for value, low, high in seen:
        assert value == 0 or high.covers(ends[value])
        later = value + 2  # one transaction may have been published and not shown yet
        assert later not in ends or not low.covers(Lsn(ends[later].value + 200))


def test_a_standby_shows_before_it_publishes(trio_database: TrioDatabase) -> None:
    standby = PostgresReplica("standby", trio_database.standby.url)
    assert standby.publishes is Publishes.AFTER_SHOWING
    assert standby.identity().role is Role.STANDBY
    assert reached(standby, written(trio_database.leader), 60)
    standby.close()


def test_a_follower_without_a_link_says_what_to_do(database: Database) -> None:
    database.sql(SCHEMA)
    alone = PostgresReplica("alone", database.url)
    with pytest.raises(Permanent, match="no subscription"):
        alone.position()
    look = alone.digest(alone.table(T), ALL)
    assert (look.low, look.high) == (Lsn(0), Lsn(2**64 - 1))
    alone.close()
    named = PostgresReplica("named", database.url, Options(subscriptions=("nothing",)))
    with pytest.raises(Permanent, match="no subscription nothing"):
        named.position()
    named.close()


def test_a_standby_is_refused_as_leader(trio_database: TrioDatabase) -> None:
    wrong = PostgresReplica("leader", trio_database.standby.url, Options(role=Role.LEADER))
    with pytest.raises(Permanent, match="is a standby, not the leader"):
        wrong.position()
    wrong.close()


def test_a_table_that_is_still_copied_waits(trio_database: TrioDatabase) -> None:
    subscription = trio_database.subscribe(SCHEMA)
    follower = PostgresReplica("follower", trio_database.subscriber.url)
    assert follower.table(T).key == ("id",)
    subscription.pause()
    trio_database.leader.sql("create table u (id int primary key)")
    trio_database.subscriber.sql("create table u (id int primary key)")
    trio_database.subscriber.sql("insert into u values (1)")
    subscription.resume()
    trio_database.leader.sql("insert into u values (1)")  # the copy will stumble over the row that is there
    trio_database.subscriber.sql(f'alter subscription "{subscription.subscription}" refresh publication')
    with pytest.raises(Temporary, match="first copy"):
        follower.table(TableName("public", "u"))
    follower.close()


def test_nobody_answers(proxy: Callable[[int], TcpProxy], database: Database) -> None:
    through = proxy(database.cluster.port)
    url = make_url(database.url).set(host="127.0.0.1", port=through.port)
    replica = PostgresReplica(
        "leader",
        url.render_as_string(hide_password=False),
        Options(role=Role.LEADER, limits=Limits(connect_seconds=10, statement_seconds=10)),
    )
    assert replica.position()
    through.stop()
    with pytest.raises(Temporary, match=str(through.port)) as told:
        replica.position()
    assert url.password is None or str(url.password) not in str(told.value)
    with pytest.raises(Unreachable, match="check that the server runs"):
        replica.position()
    through.start()
    assert replica.position()
    replica.close()


def test_a_server_that_falls_silent_is_given_up(
    proxy: Callable[[int], TcpProxy], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.postgres.session.GRACE_SECONDS", 0.5)
    through = proxy(database.cluster.port)
    url = make_url(database.url).set(host="127.0.0.1", port=through.port).render_as_string(hide_password=False)
    limits = Limits(connect_seconds=2, statement_seconds=1)
    replica = PostgresReplica("leader", url, Options(role=Role.LEADER, limits=limits))
    before = replica.position()
    through.hang()
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"no answer|connection timeout"):
            replica.position()
    assert time.monotonic() - began < 30
    through.flow()
    assert replica.position().covers(before)
    replica.close()


def test_a_statement_ends_at_its_limit_and_a_lock_is_not_waited_for(database: Database) -> None:
    database.sql(SCHEMA)
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER, limits=Limits(lock_seconds=0.2)))
    table = replica.table(T)
    with pytest.raises(Temporary, match="time limit"):
        replica.ask("select pg_sleep(5)", rows_max=1, seconds_max=0.2)
    with psycopg.connect(database.dsn) as locking:
        locking.execute("lock table t")
        with pytest.raises(Temporary, match="lock"):
            replica.digest(table, ALL)
    assert replica.digest(table, ALL).value.rows == 0
    replica.close()


def test_a_question_that_ctrl_c_ends_takes_its_connection_with_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER, limits=Limits(connections=1)))
    replica.position()

    def interrupted() -> None:
        with replica.sessions.borrow("asking") as session:
            session._driver.pgconn.send_query(b"select pg_sleep(30)")
            raise KeyboardInterrupt  # before anybody has begun to wait for the answer

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert replica.position() is not None
    assert caplog.records == [], "the pool has nothing to complain of"
    replica.close()


def test_nothing_can_be_written_and_no_setting_survives(database: Database) -> None:
    database.sql(SCHEMA)
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER, limits=Limits(connections=1)))
    for sql in ("insert into t values (1, 'x')", "select 1; delete from t", "select setval('s', 1)", "", "vacuum"):
        with pytest.raises(Permanent):
            replica.ask(sql, rows_max=1, seconds_max=5)
    replica.ask("select set_config('TimeZone', 'Asia/Tokyo', false)", rows_max=1, seconds_max=5)
    told = replica.ask("select current_setting('TimeZone'), current_user", rows_max=1, seconds_max=5)
    assert told.value.rows[0][0] == "UTC"
    (state,) = database.sql(
        "select count(*) filter (where state = 'idle in transaction'), count(*), min(state) from pg_stat_activity "
        "where application_name = 'trueup' and datname = current_database()"
    )
    assert state == (0, 1, "idle")
    replica.close()


def test_a_wrong_password_and_a_wrong_database(database: Database) -> None:
    url = make_url(database.url)
    for wrong, error, text in (
        (url.set(password="secret-and-wrong"), Forbidden, "login was refused"),
        (url.set(database="nowhere"), Unreachable, "nowhere"),
        (url.set(port=1), Unreachable, "nobody answers"),
    ):
        replica = PostgresReplica("leader", wrong.render_as_string(hide_password=False), Options(role=Role.LEADER))
        with pytest.raises(error, match=text) as told:
            replica.identity()
        assert "secret-and-wrong" not in str(told.value)
        replica.close()
