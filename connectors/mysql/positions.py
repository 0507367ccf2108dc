"""Where a server stands in the leader's log, and between which two positions a read took place.

What these rules rest on was measured (`docs/evidence.md`), because the engines' own accounts of their logs each lag
behind, or run ahead of, what a read shows.

MariaDB, leader: `START TRANSACTION WITH CONSISTENT SNAPSHOT` with the session's `binlog_snapshot_*` is exact, where a
plain snapshot is not even a prefix of the log. What was *logged* (`@@gtid_binlog_pos`, `SHOW MASTER STATUS`) runs ahead
of what is shown: an upper bound, and the mark. On an idle server the two places may stay apart, because files also hold
events that are no transactions (rotation, checkpoints); then the ids at the snapshot's place tell that nothing is open.

MariaDB, replica: `@@gtid_slave_pos` before the read is a lower bound. `mysql.gtid_slave_pos`, written by each
transaction that is applied and read in the read's own snapshot, is the upper one: per domain the row of largest sub_id.

MySQL, both: `@@gtid_executed` before the read is a lower bound, as a set, in whatever order transactions commit. After
the read it is no upper bound: a transaction shows a moment before it is in the set. But from before it is written to
the binlog (or, on a replica, applied) until it is in the set, it stands in `@@gtid_owned`; so what was owned, and then
what is executed, together hold all that can have been shown, and all that was logged: the upper bound, and the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from connectors.mysql.session import Session
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.look import Look
from verifier.position import NOWHERE, Position
from verifier.view import NoView, Shown

T = TypeVar("T")
Read = Callable[[Session], T]


class Log(Protocol):
    """How one server's reads are placed in the leader's log."""

    def logged(self, session: Session) -> Position:
        """Leader: everything that was written to its log by now is at or below."""
        ...

    def applied(self, session: Session) -> Position:
        """Follower: everything at or below is shown by now. Permanent if it follows nobody."""
        ...

    def promoted(self, session: Session) -> bool:
        """It was a replica when it was asked before, and is none any more."""
        ...

    def leader_look(self, session: Session, read: Read[T]) -> Look[T]: ...
    def follower_look(self, session: Session, read: Read[T]) -> Look[T]: ...


class _Follows:
    """Whether a server is a replica. One that was and is none any more was promoted: what it shows since then is not
    its leader's, and its positions, which stay where they were, do not tell."""

    def __init__(self, statement: str, where: str) -> None:
        self._statement, self._where, self._was = statement, where, False

    def __call__(self, session: Session) -> bool:
        """Temporary if it was promoted."""
        if self.promoted(session):
            raise Temporary(
                f"{self._where} is no replica any more, it was promoted; check which server leads", delay_seconds=5.0
            )
        return self._was

    def promoted(self, session: Session) -> bool:
        follows = bool(session.named(self._statement))
        was, self._was = self._was, self._was or follows
        return was and not follows

    def require(self, session: Session) -> None:
        if not self(session):
            raise Permanent(
                f"{self._where} is no replica, so it does not tell how far it follows; compare it with the leader at "
                "rest (snapshot evidence), or make it a replica"
            )

    @contextmanager
    def throughout(self, session: Session) -> Iterator[bool]:
        """Whether the server is a replica for the time of a look. Temporary if it was promoted meanwhile."""
        follows = self._was or self(session)
        yield follows
        if follows:
            self(session)


class MariaDbLog:
    """MariaDB 10.6 and later."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._follows = _Follows("show all slaves status", where)
        self._asked: Logged | None = None
        self._latest: Binlog | None = None
        self._idle: Logged | None = None
        self._tables: tuple[str, ...] = ()

    def logged(self, session: Session) -> Logged:
        told = session.named("show master status")
        if not told:
            raise Permanent(f"{self._where} writes no binlog, so its reads cannot be placed in it; set log_bin")
        place = Binlog(told[0]["file"], int(told[0]["position"]))
        # Asked later, so that the ids are those of at least everything before the place.
        (gtids,) = session.one("select @@global.gtid_binlog_pos")
        self._asked = Logged(DomainGtids.parse(gtids), place)
        return self._asked

    def applied(self, session: Session) -> DomainGtids:
        self._follows.require(session)
        return _slave_position(session)

    def leader_look(self, session: Session, read: Read[T]) -> Look[T]:
        with session.snapshot():
            place = self._snapshot_place(session)
            value = read(session)
        shown = self._shown(session, place)
        return Look(value, shown, shown, Shown(shown))

    def promoted(self, session: Session) -> bool:
        return self._follows.promoted(session)

    def follower_look(self, session: Session, read: Read[T]) -> Look[T]:
        with self._follows.throughout(session) as follows:
            return self._follower_look(session, read) if follows else _beside(session, read)

    def _follower_look(self, session: Session, read: Read[T]) -> Look[T]:
        low = _slave_position(session)
        tables = self._position_tables(session)
        with session.snapshot():
            rows = session.all(tables)
            value = read(session)
        latest: dict[int, tuple[int, int, int, int]] = {}
        for domain, sub_id, server, number in (map(int, row) for row in rows):
            latest[domain] = max(latest.get(domain, (-1, 0, 0, 0)), (sub_id, domain, server, number))
        high = low.union(DomainGtids.of((domain, server, number) for _, domain, server, number in latest.values()))
        return Look(value, low, high, Shown(low))

    def _snapshot_place(self, session: Session) -> Binlog:
        told = {name.lower(): value for name, value in session.all("show status like 'binlog\\_snapshot\\_%%'")}
        file = told.get("binlog_snapshot_file")
        if not file:
            raise Permanent(f"{self._where} writes no binlog, so its reads cannot be placed in it; set log_bin")
        return Binlog(file, int(told["binlog_snapshot_position"]))

    def _shown(self, session: Session, place: Binlog) -> Binlog | Logged:
        """`place`, with the ids there if the last mark lies behind it and nothing was committed since the last look:
        finding them reads the file from its start, 0.5 ms per MB, so a busy leader is not asked."""
        before, self._latest = self._latest, place
        if self._idle is not None and self._idle.binlog == place:
            return self._idle
        if self._asked is None or place.covers(self._asked.binlog) or before != place:
            return place
        (gtids,) = session.one("select binlog_gtid_pos(%s, %s)", (place.file, place.offset))
        if gtids is None:
            return place
        self._idle = Logged(DomainGtids.parse(gtids), place)
        return self._idle

    def _position_tables(self, session: Session) -> str:
        """The statement that reads every table of applied positions: there may be one per storage engine."""
        if not self._tables:
            found = session.all(
                "select table_name, engine from information_schema.tables "
                "where table_schema = 'mysql' and table_name like 'gtid\\_slave\\_pos%%'"
            )
            if not found:
                raise Forbidden(
                    f"mysql.gtid_slave_pos on {self._where} may not be read; GRANT SELECT ON mysql.gtid_slave_pos to "
                    "trueup's user"
                )
            for name, engine in found:
                if engine != "InnoDB":
                    raise Permanent(
                        f"mysql.{name} on {self._where} is in {engine}, whose reads have no snapshot; do: "
                        f"ALTER TABLE mysql.{name} ENGINE=InnoDB (with the replica stopped)"
                    )
            self._tables = tuple(name for name, _ in found)
        columns = "domain_id, sub_id, server_id, seq_no"
        return " union all ".join(f"select {columns} from mysql.`{name}`" for name in self._tables)


class MySqlLog:
    """MySQL 8.0.22 and later."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._follows = _Follows("show replica status", where)
        self._checked = False

    def logged(self, session: Session) -> GtidSet:
        self._check(session)
        (owned,) = session.one("select @@global.gtid_owned")  # before what is executed: none may slip through
        return GtidSet.parse(owned).union(_executed(session))

    def applied(self, session: Session) -> GtidSet:
        self._follows.require(session)
        self._check(session)
        return _executed(session)

    def leader_look(self, session: Session, read: Read[T]) -> Look[T]:
        self._check(session)
        low = _executed(session)
        with session.snapshot():
            value = read(session)
        return Look(value, low, self.logged(session), Shown(low))

    def promoted(self, session: Session) -> bool:
        return self._follows.promoted(session)

    def follower_look(self, session: Session, read: Read[T]) -> Look[T]:
        with self._follows.throughout(session) as follows:
            return self.leader_look(session, read) if follows else _beside(session, read)

    def _check(self, session: Session) -> None:
        if self._checked:
            return
        (mode,) = session.one("select @@global.gtid_mode")
        if mode != "ON":
            raise Permanent(
                f"{self._where} has gtid_mode={mode}, so its reads cannot be placed in its log; set gtid_mode=ON"
            )
        self._checked = True


def _beside(session: Session, read: Read[T]) -> Look[T]:
    """A look at a server that follows nobody."""
    with session.snapshot():
        return Look(read(session), NOWHERE, NOWHERE, NoView())


def _slave_position(session: Session) -> DomainGtids:
    return DomainGtids.parse(session.one("select @@global.gtid_slave_pos")[0])


def _executed(session: Session) -> GtidSet:
    return GtidSet.parse(session.one("select @@global.gtid_executed")[0])
