"""A journal that an older trueup left behind keeps what is in it: what was open then is planned for like all else."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from fixtures.journal_samples import a_drift
from sqlalchemy import create_engine, insert

import connectors.journal
from connectors.journal import tables
from connectors.journal.drifts import drift_row
from connectors.journal.opening import open_journal


def test_drift_from_before_findings_were_numbered(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    settings = Config()
    settings.set_main_option("script_location", str(Path(connectors.journal.__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0006")
        group = {"group_name": "shop", "audit_sequence": 0, "audit_hash": ""}
        connection.execute(insert(tables.groups), group)
        told = {"state": "open", "first_found_at": 10.0, "last_seen_at": 10.0}
        connection.execute(insert(tables.drifts), drift_row("shop", a_drift()) | told)
    engine.dispose()

    journal = open_journal(tmp_path / "old.db", "shop")
    assert journal.drifts.findings() == 0
    (old,) = journal.drifts.found_since("eu", None)
    assert old.drift == a_drift()
    assert list(journal.drifts.found_since("eu", 0)) == []
    journal.drifts.record([a_drift((2,), at=11.0)])
    assert [one.drift.key for one in journal.drifts.found_since("eu", 0)] == [(2,)]
    assert [one.drift.key for one in journal.drifts.found_since("eu", None)] == [(1,), (2,)]
    journal.close()
