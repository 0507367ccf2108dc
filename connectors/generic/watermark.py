"""Counting the watermark row up on a leader of whatever engine: the one write there, and only if the operator asked.

One UPDATE of one row by its key and one SELECT of it, in a transaction of their own: SQLAlchemy Core spells both for
any dialect. Limited in time as reading is.
"""

from __future__ import annotations

import sqlalchemy.exc
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, create_engine, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from connectors.generic.errors import translated
from connectors.generic.session import Session, parsed, place
from verifier.errors import Misconfigured
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import counted_up, writing


class GenericWatermark:
    """`verifier.watermark.Advancing`. Connected for each write: some engines lend a file to one writer alone."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        given = parsed(url)
        self._where, self._table = place(given), table
        self._seconds = writing(limits).statement_seconds
        try:
            self._engine: Engine = create_engine(given, poolclass=NullPool)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
            raise Misconfigured(f"{self._where}: its driver is not installed ({type(error).__name__})") from error
        self._row = Table(
            table.name,
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("tick", BigInteger, nullable=False),
            schema=table.schema,
        )

    def advance(self) -> Tick:
        doing, row = f"advancing the watermark {self._table}", self._row
        with translated(doing, self._where, connecting=True):
            lent = self._engine.connect()
        with lent, translated(doing, self._where):
            session = Session(lent, self._seconds, f"{doing} on {self._where}")
            session.change(update(row).where(row.c.id == 1).values(tick=row.c.tick + 1))
            found = session.all(select(row.c.tick).where(row.c.id == 1))
            lent.commit()
        return counted_up(found, self._table, self._where)

    def close(self) -> None:
        self._engine.dispose()
