"""What happens to the stream when things break: nothing is lost in silence, nothing is created unasked."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from fixtures.databases import Database
from fixtures.following import Follower, stream_of, written
from fixtures.servers import binaries_of

from connectors.embedded import Cluster, Workspace
from verifier.change import Cause
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable
from verifier.table import TableName

pytestmark = pytest.mark.postgres

Follow = Callable[..., Follower]


@pytest.fixture
def follow(database: Database) -> Iterator[Follow]:
    """Makes followers of the test's database, not started; closes them."""
    made: list[Follower] = []
    database.sql("create table t (id int primary key, x text)")

    def make(**options: object) -> Follower:
        made.append(Follower(database, stream_of(database, **options)))
        return made[-1]

    yield make
    for follower in made:
        follower.stream.close()


def _insert(database: Database, first: int, last: int) -> None:
    """One transaction per row, fast."""
    database.sql(f"do $$ begin for n in {first} .. {last} loop insert into t values (n, 'x'); commit; end loop; end $$")


def _ids(follower: Follower) -> list[object]:
    return [change.key[0] for t in follower.transactions for change in t.changes]


def _slot(database: Database, column: str) -> object:
    rows = database.sql(f"select {column} from pg_replication_slots where slot_name = %s", (f"s_{database.name}",))
    return rows[0][0] if rows else None


def _kill_walsender(database: Database) -> None:
    assert database.sql(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s and active",
        (f"s_{database.name}",),
    ) == [(True,)]


def _until_free(database: Database) -> None:
    deadline = time.monotonic() + 60
    while _slot(database, "active"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _patient(follower: Follower, seconds: float = 60.0) -> list[Temporary]:
    """Catch up as a service does: try again after a Temporary. The errors that came."""
    errors = []
    deadline = time.monotonic() + seconds
    while True:
        try:
            follower.catch_up(changes_max=20)
            return errors
        except Temporary as error:
            errors.append(error)
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _poll_until_it_fails(follower: Follower, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        follower.poll()
    follower.stream.close()


def test_restarts_in_mid_stream_neither_lose_nor_repeat_what_is_journaled(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    _insert(database, 1, 600)
    chance = random.Random(7)
    seen: list[object] = []
    while len(seen) < 600:
        follower.poll(changes_max=chance.randint(1, 40))
        # The journal has the batch; whether it was acknowledged before the crash is open.
        if chance.random() < 0.5:
            follower.stream.acknowledge(follower.offsets)
        if chance.random() < 0.5:
            seen.extend(_ids(follower))
            follower.stream.close()
            _until_free(database)
            after = follow()
            after.stream.start(follower.offsets, None)
            assert after.blind == []
            follower = after
        elif len(seen) + len(_ids(follower)) == 600:
            seen.extend(_ids(follower))
    assert seen == list(range(1, 601))


def test_a_killed_walsender_costs_a_temporary_error_and_nothing_else(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    writer = threading.Thread(target=_insert, args=(database, 1, 1500))
    writer.start()
    errors = []
    for _ in range(4):
        follower.poll(changes_max=50)
        _kill_walsender(database)
        errors += _patient(follower)
    writer.join()
    _patient(follower)
    assert _ids(follower) == list(range(1, 1501))
    assert len(follower.transactions) == 1500
    assert follower.blind == []


def test_a_leader_that_falls_silent_is_told_and_followed_on(
    database: Database, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection stands, and nobody refuses: its process hangs, or the network does."""
    monkeypatch.setattr("connectors.pgoutput.stream._SILENCE_SECONDS", 1.0)
    follower = follow()
    follower.stream.start({}, None)
    _insert(database, 1, 10)
    follower.catch_up()
    walsender = int(str(_slot(database, "active_pid")))
    os.kill(walsender, signal.SIGSTOP)
    try:
        _insert(database, 11, 20)
        with pytest.raises(Temporary, match="leader has said nothing on the stream for 1 s"):
            _poll_until_it_fails(follower)
    finally:
        os.kill(walsender, signal.SIGCONT)
    _patient(follower)
    assert _ids(follower) == list(range(1, 21))
    assert follower.blind == []


def test_a_restarted_leader_is_followed_on(postgres_workspace: Workspace) -> None:
    cluster = Cluster.create(postgres_workspace, "restarted", binaries_of(15))
    database = Database(cluster, "postgres")
    database.sql("create table t (id int primary key, x text)")
    follower = Follower(database, stream_of(database))
    follower.stream.start({}, None)
    _insert(database, 1, 100)
    follower.poll(changes_max=10)
    follower.stream.acknowledge(follower.offsets)
    cluster.restart("immediate")
    _insert(database, 101, 200)
    _patient(follower)
    # Not all is acknowledged, and an orderly stop waits for that: the stream lets go rather than hold up the leader.
    stop, began = threading.Thread(target=cluster.stop, args=("fast",)), time.monotonic()
    stop.start()
    with pytest.raises(Temporary):
        _poll_until_it_fails(follower)
    stop.join()
    assert time.monotonic() - began < 50, "after a minute the leader would have ended the connection by itself"
    with pytest.raises(Unreachable):
        follower.poll()
    cluster.start()
    _patient(follower)
    assert _ids(follower) == list(range(1, 201))
    assert follower.blind == []
    follower.stream.close()
    cluster.stop("immediate")


def test_a_dropped_slot_is_a_gap_if_it_may_be_made_again(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    _insert(database, 1, 10)
    follower.catch_up()
    follower.stream.close()
    _until_free(database)
    database.sql("select pg_drop_replication_slot(%s)", (f"s_{database.name}",))
    _insert(database, 11, 20)
    after = follow()
    begin = after.stream.start(follower.offsets, None)
    assert begin is not None
    assert written(database).covers(begin)
    _insert(database, 21, 30)
    after.catch_up()
    assert [(b.cause, b.table) for b in after.blind] == [(Cause.GAP, None)]
    assert "made anew" in after.blind[0].detail
    assert _ids(after) == list(range(21, 31))
    after.blind.clear()
    after.catch_up()
    assert after.blind == []


def test_a_slot_dropped_under_a_running_stream_is_a_gap(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    _kill_walsender(database)
    _until_free(database)
    database.sql("select pg_drop_replication_slot(%s)", (f"s_{database.name}",))
    _insert(database, 1, 10)
    assert len(_patient(follower)) == 1
    _insert(database, 11, 20)
    _patient(follower)
    assert [(b.cause, b.table) for b in follower.blind] == [(Cause.GAP, None)]
    assert _ids(follower) == list(range(11, 21))


def test_a_slot_that_somebody_else_moved_is_a_gap(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    _insert(database, 1, 10)
    follower.catch_up()
    follower.stream.close()
    _until_free(database)
    _insert(database, 11, 20)
    database.sql("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", (f"s_{database.name}",))
    _insert(database, 21, 30)
    after = follow()
    after.stream.start(follower.offsets, None)
    after.catch_up()
    assert [(b.cause, b.table) for b in after.blind] == [(Cause.GAP, None)]
    assert "stands at" in after.blind[0].detail
    assert _ids(after) == list(range(21, 31))


def test_another_cluster_or_timeline_is_a_gap(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    _insert(database, 1, 5)
    follower.catch_up()
    follower.stream.close()
    _until_free(database)
    after = follow()
    after.stream.start({**follower.offsets, "timeline": follower.offsets["timeline"] + 1}, None)
    after.catch_up()
    assert [(b.cause, b.table) for b in after.blind] == [(Cause.GAP, None)]


def test_a_slot_whose_log_was_removed(postgres_workspace: Workspace) -> None:
    cluster = Cluster.create(
        postgres_workspace, "small", binaries_of(15), settings={"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB"}
    )
    database = Database(cluster, "postgres")
    database.sql("create table t (id int primary key, x text)")
    follower = Follower(database, stream_of(database))
    follower.stream.start({}, None)
    _insert(database, 1, 5)
    follower.catch_up()
    assert (follower.stream.retained_bytes() or 0) > 0
    follower.stream.close()
    _until_free(database)
    for _ in range(4):
        database.sql("select pg_switch_wal()")
        database.sql("insert into t select max(id) + 1, 'x' from t")
    database.sql("checkpoint")
    assert _slot(database, "wal_status") == "lost"
    unasked = Follower(database, stream_of(database, create=False))
    with pytest.raises(Permanent, match=r"lost its log .*pg_drop_replication_slot\('s_postgres'\)"):
        unasked.stream.start(follower.offsets, None)
    after = Follower(database, stream_of(database))
    after.stream.start(follower.offsets, None)
    database.sql("insert into t values (100, 'x')")
    after.catch_up()
    assert [b.cause for b in after.blind] == [Cause.GAP]
    assert _ids(after) == [100]
    after.stream.close()
    cluster.stop("immediate")


def test_nothing_is_made_on_the_leader_unless_asked(database: Database, follow: Follow) -> None:
    with pytest.raises(Permanent, match=r'run `create publication "trueup" for table "public"\."t" with'):
        follow(create=False).stream.start({}, None)
    database.sql("create publication trueup for table t")
    with pytest.raises(Permanent, match=r"run `select pg_create_logical_replication_slot\('s_\w+', 'pgoutput'\)`"):
        follow(create=False).stream.start({}, None)
    assert _slot(database, "slot_name") is None
    database.sql("select pg_create_logical_replication_slot(%s, 'pgoutput')", (f"s_{database.name}",))
    follower = follow(create=False)
    follower.stream.start({}, None)
    _insert(database, 1, 3)
    follower.catch_up()
    assert _ids(follower) == [1, 2, 3]
    database.sql("create table u (id int primary key)")
    with pytest.raises(Permanent, match=r'run `alter publication "trueup" add table "public"\."u"`'):
        follow(create=False, tables=[TableName("public", "u")]).stream.start({}, None)


def test_a_publication_that_hides_changes_is_refused(database: Database, follow: Follow) -> None:
    database.sql("create publication trueup for table t with (publish = 'insert, update')")
    with pytest.raises(Permanent, match="set \\(publish = 'insert, update, delete, truncate'\\)"):
        follow().stream.start({}, None)
    database.sql("drop publication trueup; create publication trueup for table t where (id > 5)")
    with pytest.raises(Permanent, match=r"hides rows of public\.t by a filter"):
        follow().stream.start({}, None)


def test_a_table_without_identity_is_never_published(database: Database, follow: Follow) -> None:
    database.sql("create table keyless (x text); insert into keyless values ('a')")
    follower = follow()
    follower.stream.start({}, None)
    database.sql("update keyless set x = 'b'")  # would be refused if it were published
    assert follower.stream.published == {TableName("public", "t")}


def test_a_table_added_later_is_blind_from_then_on(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    follower.catch_up()
    follower.stream.close()
    _until_free(database)
    database.sql("create table u (id int primary key)")
    after = follow(tables=[TableName("public", "t"), TableName("public", "u")])
    after.stream.start(follower.offsets, None)
    database.sql("insert into u values (1)")
    after.catch_up()
    assert [(b.cause, b.table) for b in after.blind] == [(Cause.GAP, TableName("public", "u"))]
    assert _ids(after) == [1]


def test_the_slot_is_told_only_what_was_acknowledged(database: Database, follow: Follow) -> None:
    follower = follow()
    begin = follower.stream.start({}, None)
    _insert(database, 1, 20)
    follower.catch_up()
    journaled = dict(follower.offsets)
    follower.stream.acknowledge(journaled)
    _insert(database, 21, 40)
    follower.catch_up()
    # Long enough for several status updates.
    for _ in range(4):
        follower.poll(seconds_max=0.1)
    time.sleep(0.1)
    confirmed = database.sql(
        "select confirmed_flush_lsn - '0/0'::pg_lsn from pg_replication_slots where slot_name = %s",
        (f"s_{database.name}",),
    )[0][0]
    assert begin is not None
    assert int(confirmed) == journaled["lsn"]
    assert follower.offsets["lsn"] > journaled["lsn"]


def test_a_temporary_slot_dies_with_its_connection(database: Database, follow: Follow) -> None:
    follower = follow(temporary=True)
    follower.stream.start({}, None)
    _insert(database, 1, 5)
    follower.catch_up()
    assert _ids(follower) == [1, 2, 3, 4, 5]
    _kill_walsender(database)
    _until_free(database)
    assert len(_patient(follower)) == 1
    assert [b.cause for b in follower.blind] == [Cause.GAP]
    follower.stream.close()
    _until_free(database)
    assert _slot(database, "slot_name") is None


def test_a_temporary_slot_whose_session_is_still_ending_is_waited_for(database: Database, follow: Follow) -> None:
    """A server notices late that a connection is gone, and another one ends its session in its own time."""
    follower, after = follow(temporary=True), follow(temporary=True)
    follower.stream.start({}, None)
    with pytest.raises(Temporary, match="may be ending still"):
        after.stream.start({}, None)
    follower.stream.close()
    _until_free(database)
    after.stream.start({}, None)
    _insert(database, 1, 5)
    assert [change.key for one in after.catch_up() for change in one.changes] == [(n,) for n in range(1, 6)]


def test_an_open_transaction_does_not_hide_what_commits_beside_it(database: Database, follow: Follow) -> None:
    follower = follow()
    follower.stream.start({}, None)
    with psycopg.connect(database.dsn) as connection:
        connection.execute("insert into t values (0, 'open')")
        _insert(database, 1, 5)
        follower.poll()
        while len(_ids(follower)) < 5:
            follower.poll()
        assert _ids(follower) == [1, 2, 3, 4, 5]
        connection.commit()
    follower.catch_up()
    assert _ids(follower) == [1, 2, 3, 4, 5, 0]


def test_refusals_say_what_to_do(database: Database, follow: Follow) -> None:
    database.sql("drop role if exists nobody_special; create role nobody_special login password 'secret-word'")
    url = database.url.replace("postgres:" + database.cluster.password, "nobody_special:secret-word")
    with pytest.raises(Forbidden, match="alter role <user> replication"):
        _started(database, url)
    with pytest.raises(Forbidden, match="authentication failed") as caught:
        _started(database, url.replace("secret-word", "wrong-word"))
    assert "wrong-word" not in str(caught.value)
    with pytest.raises(Unreachable, match="cannot open a replication connection"):
        _started(database, "postgresql://postgres@127.0.0.1:9/x")
    with pytest.raises(Misconfigured, match="no postgresql url"):
        _started(database, "not a url")
    with pytest.raises(Misconfigured, match="lower case letters"):
        stream_of(database, slot="Trueup-1")
    with pytest.raises(Misconfigured, match="was not started"):
        follow().stream.poll(changes_max=1, seconds_max=0)


def _started(database: Database, url: str) -> None:
    from connectors.pgoutput import PgoutputStream

    PgoutputStream(url, slot="s", publication="p", key_of=lambda _: None).start({}, None)
