"""What only a journal on a server can meet: several that make it at once, a login refused, a connection lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.databases import Database
from fixtures.journal_samples import a_drift
from sqlalchemy.engine import make_url

from connectors.journal.opening import open_journal
from connectors.journal.schema import REVISIONS
from verifier.errors import Forbidden, Misconfigured

pytestmark = pytest.mark.postgres


def test_several_daemons_may_make_it_at_once(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        journals = list(pool.map(lambda n: open_journal(database.url, f"group {n}"), range(4)))
    assert database.sql("select version_num from trueup_schema") == [(REVISIONS[-1],)]
    assert len(database.sql("select * from trueup_groups")) == 4
    for journal in journals:
        journal.close()


def test_a_database_and_a_user_that_do_not_exist(database: Database) -> None:
    url = make_url(database.url)
    with pytest.raises(Misconfigured, match='database "nowhere" does not exist: create it, or name another'):
        open_journal(url.set(database="nowhere").render_as_string(hide_password=False), "g")
    stranger = url.set(username="stranger", password="hush")
    with pytest.raises((Forbidden, Misconfigured)) as refused:
        open_journal(stranger.render_as_string(hide_password=False), "g")
    assert "hush" not in str(refused.value)


def test_a_user_without_rights(database: Database) -> None:
    database.sql("create role journal_guest login password 'guest'")
    database.sql("revoke create on schema public from public")
    try:
        url = make_url(database.url).set(username="journal_guest", password="guest")
        with pytest.raises(Forbidden, match="a right is missing: the user must own the journal's tables"):
            open_journal(url.render_as_string(hide_password=False), "g")
    finally:
        database.sql("drop role journal_guest")


def test_a_lost_connection_is_replaced(database: Database) -> None:
    journal = open_journal(database.url, "shop")
    journal.drifts.record([a_drift()])
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'trueup journal'")
    assert len(journal.drifts.open()) == 1
    journal.close()


def test_what_the_server_may_lose_is_not_acknowledged(database: Database) -> None:
    database.sql(f'alter database "{database.name}" set synchronous_commit = off')
    journal = open_journal(database.url, "shop")
    with journal.store.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    journal.close()
