"""Opening a journal: made where it does not exist, refused with advice where it cannot be."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from fixtures.journal_samples import ORDERS, a_drift, a_repair, touch
from sqlalchemy import create_engine, text

import connectors.journal
from connectors.journal import schema
from connectors.journal.opening import open_journal
from connectors.journal.schema import REVISIONS
from verifier.errors import Forbidden, Misconfigured, Temporary, TrueupError, Unreachable
from verifier.journal import StreamState
from verifier.position import Lsn


def refused(target: str | Path, kind: type[TrueupError]) -> str:
    with pytest.raises(kind) as error:
        open_journal(target, "shop")
    return str(error.value)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "journal.db"
    before = os.umask(0)
    try:
        journal = open_journal(path, "shop")
        journal.drifts.record([a_drift()])
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        journal.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize("spelling", ["{path}", "sqlite:///{path}"])
def test_a_journal_is_named_by_path_or_url(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "j 100%.db"
    journal = open_journal(spelling.format(path=path), "shop")
    journal.close()
    assert path.exists()


def test_every_step_is_on_the_disk(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db", "shop")
    with journal.store.write() as connection:
        settings = {n: connection.execute(text(f"PRAGMA {n}")).scalar() for n in ("journal_mode", "synchronous")}
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    journal.close()


def test_every_revision_is_known() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(Path(connectors.journal.__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(settings)
    assert tuple(reversed([step.revision for step in script.walk_revisions()])) == REVISIONS


def test_a_new_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    """After a new migration write `made` into the file that `FRESH` names."""
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        schema.upgrade(connection)
    engine.dispose()
    made, stamped = _described(tmp_path / "migrated.db")
    assert schema.FRESH.read_text() == made
    open_journal(tmp_path / "new.db", "shop").close()
    assert _described(tmp_path / "new.db") == (made, stamped) == (made, [(REVISIONS[-1],)])


def _described(path: Path) -> tuple[str, list[tuple[str]]]:
    """The statements that made the file, without spaces at the ends of lines, and its revision."""
    with sqlite3.connect(path) as file:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        statements = ["\n".join(line.rstrip() for line in sql.strip().splitlines()) for (sql,) in file.execute(query)]
        stamped = file.execute(f"SELECT * FROM {schema.VERSION_TABLE}").fetchall()
    file.close()
    return "\n\n".join(statements) + "\n", stamped


@pytest.mark.parametrize("made", [True, False])
def test_alembic_is_loaded_only_to_migrate(tmp_path: Path, made: bool) -> None:
    path = tmp_path / "j.db"
    if made:
        open_journal(path, "shop").close()
    program = (
        "import sys; from connectors.journal.opening import open_journal; "
        f"open_journal({str(path)!r}, 'shop').close(); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(connectors.journal.__file__).parents[2])


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, and no database\n" * 100)
    assert f"journal {path}: file is not a database: the file is not a SQLite database" in refused(path, Misconfigured)
    assert path.read_text().startswith("these are notes")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (id INTEGER)")
    other.close()
    assert "belongs to something else (it has the table 'customers'" in refused(path, Misconfigured)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]
    other.close()


def test_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path, Misconfigured) == f"journal {tmp_path}: this is a folder: name a file in it"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:secret@h/d", "mysql cannot hold a journal: use a file path or a postgresql:// URL"),
        ("sqlite://", "a journal in memory would forget everything: name a file"),
        ("postgresql://u:secret@h:port/d", "the URL cannot be read"),
    ],
)
def test_urls_that_cannot_be_used(url: str, said: str) -> None:
    message = refused(url, Misconfigured)
    assert said in message
    assert "secret" not in message


def test_nobody_answers() -> None:
    message = refused("postgresql://u:secret@127.0.0.1:1/d", Unreachable)
    assert "check host and port, and that the server runs" in message
    assert "secret" not in message


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that others may read, while this process is not root."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        was_root = os.geteuid() == 0
        try:
            yield Path(name)
        finally:
            if was_root:
                os.seteuid(0)
            os.chmod(name, 0o755)


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_file_that_may_not_be_written(unprivileged: Path) -> None:
    path = unprivileged / "j.db"
    open_journal(path, "shop").close()
    path.chmod(0o444)
    become_nobody()
    message = refused(path, Forbidden)
    assert f"journal {path}: it cannot be opened for writing (Permission denied): give this user the right" in message


def test_a_folder_that_may_not_be_written(unprivileged: Path) -> None:
    path = unprivileged / "j.db"
    open_journal(path, "shop").close()
    path.chmod(0o666)
    unprivileged.chmod(0o555)
    become_nobody()
    assert "it cannot be written: give this user the right to write the file and its folder" in refused(path, Forbidden)


def test_a_full_disk_loses_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db", "shop")
    touch(journal, [1], offset=1, at=1.0)
    with journal.store.write() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(Temporary, match="database or disk is full: the disk is full: free some space"):
        touch(journal, list(range(5000)), offset=2, at=2.0)
    assert journal.stream.state().offsets == {"p0": 1}
    assert journal.stream.touched_count("eu") == 1
    with journal.store.write() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    touch(journal, list(range(5000)), offset=2, at=2.0)
    assert journal.stream.touched_count("eu") == 5000
    journal.close()


def test_a_journal_that_another_process_keeps_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.journal.opening.BUSY_SECONDS", 0.05)
    path = tmp_path / "j.db"
    journal = open_journal(path, "shop")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Temporary, match="database is locked: another process has been writing to it for too long"):
        journal.drifts.record([a_drift()])
    assert journal.drifts.open() == []
    other.execute("ROLLBACK")
    other.close()
    assert len(journal.drifts.record([a_drift()])) == 1
    journal.close()


def test_threads_and_processes_write_in_turn(tmp_path: Path) -> None:
    """Two journals on one file are two processes to SQLite; each is shared by two threads."""
    journals = [open_journal(tmp_path / "j.db", "shop") for _ in range(2)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        journal = journals[number % 2]
        try:
            for n in range(20):
                key = (number * 1000 + n,)
                journal.stream.advance(
                    StreamState({"p": n}), {(ORDERS, key): Lsn(n)}, [], followers=["eu"], at=float(n)
                )
                journal.repairs.record([a_repair(key)], actor=f"thread {number}", at=1.0)
                journal.stream.touched("eu", limit=5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    waiting = journals[0].stream.touched("eu", limit=100)
    assert len(waiting) == 80
    assert [one.generation for one in waiting] == list(range(1, 81))
    assert [line.sequence for line in journals[1].repairs.audit()] == list(range(1, 81))
    assert journals[1].repairs.audit_broken_at() is None
    for journal in journals:
        journal.close()
