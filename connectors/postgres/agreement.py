"""What two servers must share before their digests mean the same: the hash scheme and the order of text.

Hashes are compared across servers, and PostgreSQL promises nothing about them between versions. So both sides hash the
same constant row of many types, and only where the results are equal is the fast scheme used. Key ranges cut on the
leader must select the same rows on the follower, and collations differ (two versions of a C library sort differently),
so text keys are walked in their own order only where collation, provider and version are the same on both sides, and
otherwise by bytes, which is always right and uses no index on text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from connectors.postgres.expressions import RowForm, row_hash
from connectors.postgres.keyorders import Keyed, Order, absent, all_keyed, keyed, orders
from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Session
from verifier.errors import Permanent, Temporary, Unreachable, Unsound
from verifier.ports import Gather, in_turn
from verifier.table import Column, Family, Table, TableName

RECORD_HASH_SINCE = 140000
_TRIES, _PAUSE_SECONDS = 10, 0.2

_PROBED: dict[str, tuple[Family, str, str]] = {
    "a": (Family.INTEGER, "smallint", "-7"),
    "b": (Family.INTEGER, "integer", "123456789"),
    "c": (Family.INTEGER, "bigint", "-4294967297"),
    "d": (Family.DECIMAL, "numeric", "-12345.678900"),
    "e": (Family.FLOAT, "real", "0.1"),
    "f": (Family.FLOAT, "double precision", "-1e-7"),
    "g": (Family.TEXT, "text", "Grüße, 'Welt'"),
    "h": (Family.TEXT, "character varying", ""),
    "i": (Family.CHAR, "character(8)", "pad"),
    "j": (Family.BYTES, "bytea", "\\x00ff10"),
    "k": (Family.BOOLEAN, "boolean", "true"),
    "l": (Family.DATE, "date", "1999-12-31"),
    "m": (Family.TIME, "time without time zone", "23:59:59.999999"),
    "n": (Family.TIMESTAMP, "timestamp without time zone", "2026-02-28 12:00:00.000001"),
    "o": (Family.TIMESTAMPTZ, "timestamp with time zone", "2026-02-28 12:00:00.5+02"),
    "p": (Family.INTERVAL, "interval", "1 year 2 mons 3 days 04:05:06.7"),
    "q": (Family.UUID, "uuid", "6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d"),
    "r": (Family.JSON, "jsonb", '{"b": [1, {"a": -1.50}], "a": null}'),
    "s": (Family.ARRAY, "integer[]", "{{1,2},{3,NULL}}"),
    "z": (Family.TEXT, "text", ""),
}

_TOLD_ONE_BY_ONE = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """What all replicas of a group share: the hash scheme, the tables whose keys are walked in their own order (the
    others by bytes), and why anything is not the fastest form (empty where it is)."""

    form: RowForm
    native_order: frozenset[TableName]
    reasons: tuple[str, ...] = ()


def agree(
    replicas: Sequence[PostgresReplica],
    tables: Sequence[Table] | None = None,
    *,
    later: Sequence[PostgresReplica] = (),
    gather: Gather[_Facts] = in_turn,
) -> Agreement:
    """Probe the replicas, the leader first, have all of them adopt what they share, and return it. Those that cannot be
    asked now (`later`) adopt it too, and are probed when they first answer: Permanent if it does not hold for them.

    `tables` are the leader's tables that will be compared (None: all that it lets us read); a table that is not among
    them is walked by bytes where its key is text. Unsound if not even text hashes alike; Unreachable and the like as
    from any question.
    """
    known = _all(replicas[0]) if tables is None else [keyed(table) for table in tables]
    leader, *followers = gather([partial(_facts, replica, known) for replica in replicas])
    for replica in later:
        replica.on_first_contact = partial(_confirm, replica, leader, known)
    reasons = [
        f"hash scheme text: {facts.name} runs {facts.version}, which has no record hash (14 and later do)"
        for facts in (leader, *followers)
        if facts.record is None
    ]
    for facts in followers:
        if facts.text != leader.text:
            raise Unsound(f"{facts.name} and {leader.name} hash the same constant text differently")
        if None not in (facts.record, leader.record) and facts.record != leader.record:
            reasons.append(f"hash scheme text: {facts.name} hashes a constant row otherwise than {leader.name}")
    form = RowForm.TEXT if reasons else RowForm.RECORD
    native: set[TableName] = set()
    walked: dict[str, list[TableName]] = {}
    for name in leader.orders:
        if any(absent(facts.orders[name]) for facts in followers):
            continue  # by bytes, which is always right; that it is not there is told when it is compared
        problem = next(filter(None, (_unlike(leader, facts, name) for facts in followers)), None)
        if problem is None:
            native.add(name)
        else:
            walked.setdefault(problem, []).append(name)
    for problem, names in walked.items():
        reasons += [f"{which} walked by bytes, without index: {problem}" for which in _which(names)]
    for replica in (*replicas, *later):
        replica.adopt(form, frozenset(native))
    return Agreement(form, frozenset(native), tuple(reasons))


def _all(leader: PostgresReplica) -> list[Keyed]:
    with leader.sessions.borrow("listing keys") as session:
        return all_keyed(session)


def _which(names: Sequence[TableName]) -> list[str]:
    """One by one where they are few."""
    if len(names) <= _TOLD_ONE_BY_ONE:
        return [f"{name} is" for name in names]
    return [f"{names[0]} and {len(names) - 1} other tables are"]


@dataclass(frozen=True, slots=True)
class _Facts:
    name: str
    version: str
    record: str | None
    text: str
    orders: Mapping[TableName, Order | None]


def _unlike(leader: _Facts, follower: _Facts, table: TableName) -> str | None:
    """Why the two may sort the table's key differently; None if they do not."""
    ours, theirs = leader.orders[table], follower.orders[table]
    for facts, order in ((leader, ours), (follower, theirs)):
        if order is None:
            return f"{facts.name} does not tell the version of the key's collation"
    return None if ours == theirs else f"{follower.name} sorts its key otherwise than {leader.name}"


def _facts(replica: PostgresReplica, tables: Sequence[Keyed]) -> _Facts:
    """Asked again where it was cancelled: a standby's recovery ends any statement that stands in its way."""
    for _ in range(_TRIES - 1):
        try:
            return _asked(replica, tables)
        except Unreachable:
            raise
        except Temporary:
            time.sleep(_PAUSE_SECONDS)
    return _asked(replica, tables)


def _asked(replica: PostgresReplica, tables: Sequence[Keyed]) -> _Facts:
    with replica.sessions.borrow("probing hashes and collations") as session:
        return _told(session, replica, tables)


def _told(session: Session, replica: PostgresReplica, tables: Sequence[Keyed]) -> _Facts:
    number, version = session.one(
        "select current_setting('server_version_num')::int, current_setting('server_version')"
    )
    forms = [RowForm.TEXT, RowForm.RECORD] if number >= RECORD_HASH_SINCE else [RowForm.TEXT]
    hashes = [_probe(session, replica, form) for form in forms]
    record = hashes[1] if len(hashes) > 1 else None
    return _Facts(replica.name, version, record, hashes[0], orders(session, tables, number))


def _confirm(replica: PostgresReplica, leader: _Facts, tables: Sequence[Keyed], session: Session) -> None:
    """What was agreed without this replica must hold for it."""
    facts = _told(session, replica, tables)
    native = replica.options.native_order
    problem = next(filter(None, (_unlike(leader, facts, table.name) for table in tables if table.name in native)), None)
    if replica.options.form is RowForm.RECORD and facts.record != leader.record:
        problem = f"{facts.name} hashes rows otherwise than {leader.name}"
    if problem is not None:
        raise Permanent(f"{problem}; it did not answer when the servers agreed on digests: start trueup again")


def _probe(session: Session, replica: PostgresReplica, form: RowForm) -> str:
    """The hash of the constant row, built by the very function that the comparisons use."""
    quote = replica.sessions.quote
    columns = tuple(Column(name, family, declared) for name, (family, declared, _value) in _PROBED.items())
    probed = row_hash(Table(TableName("", "probe"), columns, ("c", "q", "g")), quote, form)
    row = ", ".join(f"%s::{declared} as {quote(name)}" for name, (_f, declared, _value) in _PROBED.items())
    values = [value for _family, _declared, value in _PROBED.values()]
    return str(session.one(f"select ({probed})::text from (select {row}) probe", values)[0])
