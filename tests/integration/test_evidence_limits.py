"""What must never become a verdict, on real servers: hidden rows, rows of other tables, changes that nobody told of,
another server behind the same address, and digests that were never probed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from fixtures.databases import Database, TrioDatabase
from fixtures.proxy import TcpProxy
from fixtures.servers import Servers
from sqlalchemy.engine import make_url

from connectors.postgres import checkup
from connectors.postgres.agreement import agree
from connectors.postgres.expressions import RowForm
from connectors.postgres.replica import Options, PostgresReplica
from trueup.services.group import Sighted
from trueup.services.published import Published
from verifier.errors import Forbidden, Permanent, TrueupError
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.table import TableName
from verifier.window import TransactionWindow

pytestmark = pytest.mark.postgres
T = TableName("public", "t")


@pytest.fixture
def leader(database: Database) -> Iterator[PostgresReplica]:
    made = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    yield made
    made.close()


def test_rows_that_a_policy_hides_are_an_error_and_never_equal(database: Database) -> None:
    database.sql("create table t (id int primary key, v text)")
    database.sql("insert into t values (1, 'shown'), (2, 'hidden')")
    database.sql("alter table t enable row level security")
    database.sql("create policy shown on t for select using (v = 'shown')")
    role = f"reader_{database.name}"
    database.sql(f"create role {role} login password 'x'")
    database.sql(f"grant select on t to {role}")
    url = make_url(database.url).set(username=role, password="x").render_as_string(hide_password=False)
    reader = PostgresReplica("leader", url, Options(role=Role.LEADER))
    try:
        with pytest.raises(Forbidden, match="row-level security"):
            reader.digest(reader.table(T), ALL)
    finally:
        reader.close()
        database.sql(f"drop owned by {role}")
        database.sql(f"drop role {role}")


def test_a_table_that_others_inherit_from_is_not_told_in_full(database: Database, leader: PostgresReplica) -> None:
    database.sql("create table t (id int primary key); create table child () inherits (t)")
    database.sql("create table whole (id int primary key) partition by range (id)")
    database.sql("create table part partition of whole for values from (0) to (10)")
    database.sql("create publication told for all tables with (publish_via_partition_root = true)")
    assert checkup.told(leader, "told").keys() == {TableName("public", "child"), TableName("public", "whole")}


def test_a_table_that_joins_the_publication_waits_for_what_was_not_told(
    database: Database, leader: PostgresReplica
) -> None:
    database.sql("create table t (id int primary key); create publication told")
    published = Published(lambda: checkup.told(leader, "told"))
    sight = Sighted(TransactionWindow(), [], published)
    published.refresh()
    assert not sight.tells(T)
    with_untold = psycopg.connect(database.dsn, autocommit=True)
    try:
        with_untold.execute("begin")
        with_untold.execute("insert into t values (1)")
        database.sql("alter publication told add table t")
        assert not sight.tells(T)
        published.admit(leader)
        assert not sight.tells(T), "a transaction is open that began before the table joined"
        with_untold.execute("commit")
        published.admit(leader)
        assert sight.tells(T)
        database.sql("alter table t rename to u; create table t (id int primary key)")
        database.sql("alter publication told add table t")
        assert not sight.tells(T), "another table has the name now"
        published.admit(leader)
        assert sight.tells(T)
        database.sql("alter table t alter id type bigint using id * 2")
        assert not sight.tells(T), "every row was rewritten, and the stream does not say so"
    finally:
        with_untold.close()


def test_another_server_behind_the_same_address_is_refused(trio_database: TrioDatabase) -> None:
    trio_database.subscribe("create table t (id int primary key)")
    proxy = TcpProxy(trio_database.trio.leader.port)
    try:
        url = make_url(trio_database.leader.url).set(host="127.0.0.1", port=proxy.port)
        replica = PostgresReplica("one", url.render_as_string(hide_password=False), Options(role=Role.LEADER))
        assert replica.position().value > 0
        proxy.target = ("127.0.0.1", trio_database.trio.subscriber.port)
        proxy.cut()
        replica.sessions.url = replica.sessions.url.set(password=trio_database.trio.subscriber.password)
        found: list[TrueupError] = []
        for _ in range(5):
            with pytest.raises(TrueupError) as caught:
                replica.position()
            found.append(caught.value)
        assert isinstance(found[-1], Permanent)
        assert "is another server by now" in str(found[-1])
        replica.close()
    finally:
        proxy.close()


def test_a_leader_that_is_a_standby_by_now_is_refused_at_every_question(trio_database: TrioDatabase) -> None:
    """Also where a standby could answer: its next transaction id is no sign that a leader stood still."""
    proxy = TcpProxy(trio_database.trio.leader.port)
    url = make_url(trio_database.leader.url).set(host="127.0.0.1", port=proxy.port)
    replica = PostgresReplica("one", url.render_as_string(hide_password=False), Options(role=Role.LEADER))
    try:
        assert replica.mark() > 0
        proxy.target = ("127.0.0.1", trio_database.trio.standby.port)
        proxy.cut()
        with pytest.raises(TrueupError):
            replica.mark()  # of the connection that was cut, unless that was noticed before
        with pytest.raises(Permanent, match="a follower; it was cluster"):
            replica.mark()
        with pytest.raises(Permanent, match="a follower; it was cluster"):
            replica.identity()
    finally:
        replica.close()
        proxy.close()


def test_a_server_that_was_away_must_fit_what_the_others_agreed_on(trio_database: TrioDatabase) -> None:
    trio_database.subscribe("create table t (id int primary key, v text)")
    trio_database.leader.sql("insert into t select g, 'x' from generate_series(1, 10) g")
    trio_database.caught_up()
    leader = PostgresReplica("leader", trio_database.leader.url, Options(role=Role.LEADER))
    back = PostgresReplica("back", trio_database.subscriber.url)
    agreed = agree([leader], later=[back])
    table = leader.table(T)
    assert agreed.form is RowForm.RECORD
    assert back.digest(table, ALL).value == leader.digest(table, ALL).value
    leader.close()
    back.close()


def test_a_server_that_was_away_and_hashes_otherwise_is_refused(database: Database, postgres_server: Servers) -> None:
    leader = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    old = PostgresReplica("old", postgres_server(13).url())
    agree([leader], later=[old])
    for _ in range(2):
        with pytest.raises(Permanent, match="hashes rows otherwise than leader"):
            old.position()
    leader.close()
    old.close()
