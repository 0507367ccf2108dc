"""Where a server stands in the leader's log, and between which two positions a read took place.

Leader: the insert position, read inside the statement. A transaction that the statement saw had written its commit
record before, so it lies at or below. The flush position would not do: with `synchronous_commit = off` a transaction
is visible before it is flushed. A position just behind a page header is moved back to the page boundary, where the
last record ended: followers report that end, and on an idle leader would never get past the header.

Standby: the replay position, before and after. It moves when a record has been replayed, and the record's effect shows
a moment earlier (`Publishes.AFTER_SHOWING`).

Subscriber: two numbers per subscription, each a true lower bound of what has been applied, so the greater one counts.

* The origin's progress moves inside each commit that is applied, just before it shows (`BEFORE_SHOWING`). It stands
  still when nothing arrives, while the leader's log grows by checkpoints and other databases.
* `pg_stat_subscription.latest_end_lsn` is what the apply worker had received when it last handled a keepalive. The
  worker applies in order and handles one message at a time, and a keepalive says how far the publisher has decoded
  after it sent every commit up to there: so all up to it has been applied *and shown*. A publisher that has nothing
  left to send says so at once, which keeps an idle subscriber at its leader's heels. (`received_lsn` is not applied
  yet: the worker raises it before it applies the message.)

The progress function needs a grant. Without it the keepalive alone is the lower bound (under constant load it may lag
by seconds) and `received_lsn` the upper one. With several subscriptions the least lower and the greatest upper bound
count. A follower that is linked by nothing the server knows of is between the beginning and the end of all logs: true,
and it proves nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres.session import Record, Session
from verifier.errors import Permanent, Temporary
from verifier.position import Lsn

BEGINNING = Lsn(0)
END = Lsn((1 << 64) - 1)

TOLD_BY_LEADER = "pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text"
TOLD_BY_SUBSCRIBER = "pg_current_snapshot()::text"
TOLD_BY_STANDBY = "null::text"

NEXT_XID = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, age('3'::xid)"
"""A snapshot's xmax is one above the latest *ended* id; ids in progress may lie beyond it. age() counts from the next
id to be given out, in 32 bits, which the snapshot widens."""

_SHORT_HEADER = 24
_LONG_HEADER = 40

_SUBSCRIPTIONS = """
select s.subname, {progress}, w.latest_end_lsn::text, w.received_lsn::text
from pg_subscription s {joined}
left join pg_stat_subscription w on w.subid = {subid} and w.relid is null and to_jsonb(w) ->> 'leader_pid' is null
where s.subdbid = (select oid from pg_database where datname = current_database())
  and (cardinality(%s::text[]) = 0 or s.subname = any(%s::text[]))
"""


class Link(enum.Enum):
    """What tells a follower's position."""

    REPLAY = "replay of the leader's log"
    PROGRESS = "progress of the subscription"
    KEEPALIVE = "keepalives of the subscription"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Everything at or below `low` has been applied; nothing above `high` has (but see `Publishes`)."""

    low: Lsn
    high: Lsn


@dataclass(frozen=True, slots=True)
class LogGeometry:
    """Sizes of the leader's log pages and files, in bytes."""

    page: int
    segment: int

    def end_of_record(self, inserted: str) -> Lsn:
        """Where the last record ended, given where the next one will begin."""
        lsn = Lsn.parse(inserted)
        if lsn.value % self.segment == _LONG_HEADER:
            return Lsn(lsn.value - _LONG_HEADER)
        if lsn.value % self.page == _SHORT_HEADER:
            return Lsn(lsn.value - _SHORT_HEADER)
        return lsn


def geometry(session: Session) -> LogGeometry:
    page, segment = session.one(
        "select current_setting('wal_block_size')::int, pg_size_bytes(current_setting('wal_segment_size'))"
    )
    return LogGeometry(page, segment)


def leader_position(session: Session, shape: LogGeometry, where: str) -> Lsn:
    recovering, inserted = session.one(
        "select pg_is_in_recovery(), case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()::text end",
        by_bitmap=None,
        prepare=True,
    )
    if recovering:
        raise Permanent(f"{where} is a standby, not the leader; point the leader's URL at the primary server")
    return shape.end_of_record(inserted)


def standby_bounds(session: Session, where: str) -> Bounds:
    recovering, replayed = session.one(
        "select pg_is_in_recovery(), pg_last_wal_replay_lsn()::text", by_bitmap=None, prepare=True
    )
    if not recovering:
        raise Temporary(f"{where} is no standby any more, it was promoted; check which server leads", delay_seconds=5.0)
    lsn = Lsn.parse(replayed)
    return Bounds(lsn, lsn)


class SubscriptionLink:
    """How one subscriber tells its position: chosen once, by the rights that the user has."""

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        self._names = list(names)
        (may, version) = session.one(
            "select has_function_privilege('pg_replication_origin_progress(text, boolean)', 'execute'), "
            "current_setting('server_version_num')::int"
        )
        # Below 14 nobody but a superuser may read pg_subscription.oid; the view tells it.
        by_oid = version >= 140000
        subid = "s.oid" if by_oid else "v.subid"
        joined = "" if by_oid else "join pg_stat_subscription v on v.subname = s.subname and v.relid is null "
        if may:
            joined += f"left join pg_replication_origin o on o.roname = 'pg_' || {subid}"
        progress = "pg_replication_origin_progress(o.roname, false)::text" if may else "null::text"
        self._sql = _SUBSCRIPTIONS.format(progress=progress, joined=joined, subid=subid)
        self._may = bool(may)
        found = session.all(self._sql, (self._names, self._names))
        unknown = sorted(set(self._names) - {name for name, *_ in found})
        if unknown:
            raise Permanent(f"there is no subscription {', '.join(unknown)} in this database; check the name")
        self.link = (Link.PROGRESS if may else Link.KEEPALIVE) if found else Link.NONE

    def bounds(self, session: Session) -> Bounds:
        if self.link is Link.NONE:
            return Bounds(BEGINNING, END)
        rows = session.all(self._sql, (self._names, self._names), by_bitmap=None, prepare=True)
        each = [self._of(row) for row in rows] or [Bounds(BEGINNING, END)]
        return Bounds(
            min((b.low for b in each), key=lambda lsn: lsn.value),
            max((b.high for b in each), key=lambda lsn: lsn.value),
        )

    def _of(self, row: Record) -> Bounds:
        _name, progress, shown, received = row
        applied = [Lsn.parse(text).value for text in (progress, shown) if text]
        low = Lsn(max(applied, default=0))
        upper = progress if self._may else received
        return Bounds(low, Lsn(max(Lsn.parse(upper).value, low.value)) if upper else END)


COPYING = """
select w.place::int from unnest(%s::text[]) with ordinality as w(name, place)
join pg_subscription_rel r on r.srrelid = to_regclass(w.name) where r.srsubstate <> 'r'
"""
"""Which of these tables, counted from 1, are still being copied for the first time."""
