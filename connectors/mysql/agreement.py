"""What two servers of one dialect must share before their digests mean the same: the row hash, and the order of text.

The hash is written in functions whose results neither engine promises between versions, so both sides hash the same
constant rows, and must agree. A key of text is walked in its column's own order only where the collation has the same
name on both sides, and otherwise by bytes, which is always right and uses no index. (That a collation takes `a` for `A`
does no harm to ranges: both sides take it so. Keys are told apart by their text.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.mysql.expressions import row_hash
from connectors.mysql.keyorders import Order, order_of, orders
from connectors.mysql.replica import MysqlReplica
from connectors.mysql.session import Session
from verifier.errors import Permanent
from verifier.table import Column, Family, Table, TableName

_PROBED: dict[str, tuple[Family, str, str]] = {
    "a": (Family.INTEGER, "bigint", "cast(-9223372036854775807 as signed)"),
    "b": (Family.INTEGER, "bigint unsigned", "cast(18446744073709551615 as unsigned)"),
    "c": (Family.DECIMAL, "decimal(30,10)", "cast('-12345678901234567.8901' as decimal(30,10))"),
    "d": (Family.FLOAT, "double", "cast('0.1' as double)"),
    "e": (Family.FLOAT, "double", "cast('5e-324' as double)"),
    "f": (Family.FLOAT, "double", "-0e0"),
    "h": (Family.TEXT, "varchar(40)", "_utf8mb4 x'4772c3bcc39f65f09f9880202c'"),
    "i": (Family.TEXT, "varchar(40)", "''"),
    "j": (Family.BYTES, "varbinary(40)", "x'00ff10'"),
    "k": (Family.DATE, "date", "cast('1999-12-31' as date)"),
    "l": (Family.TIME, "time(6)", "cast('-838:59:58.999999' as time(6))"),
    "m": (Family.TIMESTAMP, "datetime(6)", "cast('2026-02-28 12:00:00.000001' as datetime(6))"),
    "n": (Family.TEXT, "varchar(40)", "cast(null as char)"),
    "o": (Family.INTEGER, "int", "cast(null as signed)"),
    "p": (Family.BYTES, "varbinary(40)", "cast(null as binary)"),
    "z": (Family.TEXT, "varchar(40)", "_utf8mb4 'end'"),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The tables whose keys of text are walked in their own order, and why any others are not."""

    native_order: frozenset[TableName]
    reasons: tuple[str, ...] = ()


def agree(
    replicas: Sequence[MysqlReplica],
    tables: Sequence[Table] | None = None,
    *,
    later: Sequence[MysqlReplica] = (),
) -> Agreement:
    """Probe the replicas, the leader first, have all of them adopt what they share, and return it. Those that cannot be
    asked now (`later`) adopt it too, and are probed when they first answer. Permanent if they hash differently."""
    leader, *followers = replicas
    expected = _probe(leader)
    for one in followers:
        _held_against(leader.name, expected, one.name, _probe(one))
    ours = _orders(leader) if tables is None else {table.name: order_of(table) for table in tables}
    theirs = [(one, _orders(one)) for one in followers] if any(ours.values()) else []
    native: set[TableName] = set()
    reasons: list[str] = []
    for name, order in ours.items():
        problem = next(filter(None, (_unlike(name, order, leader, one, found) for one, found in theirs)), None)
        if problem is None and not (later and order):
            native.add(name)
        else:
            why = problem or "a follower does not answer, so its collation is not known"
            reasons.append(f"{name} is walked by bytes, without its index: {why}")
    for one in later:
        one.on_first_contact = _confirmation(leader.name, expected, one)
    for one in (*replicas, *later):
        one.adopt(frozenset(native))
    return Agreement(frozenset(native), tuple(reasons))


def _orders(replica: MysqlReplica) -> Mapping[TableName, Order]:
    with replica.sessions.borrow("asking how keys sort") as session:
        return orders(session)


def _unlike(
    name: TableName, order: Order, leader: MysqlReplica, follower: MysqlReplica, found: Mapping[TableName, Order]
) -> str | None:
    """Why the two may sort the table's key differently; None if they do not. A table that the follower lacks, or calls
    otherwise, is looked for by the leader's name; what cannot be read is not compared by it."""
    if not order:
        return None
    if follower.default_schema is not None and name.schema == leader.default_schema:
        name = TableName(follower.default_schema, name.name)
    if name not in found:
        return f"{follower.name} does not tell its collation"
    return None if order == found[name] else f"{follower.name} sorts its key otherwise than {leader.name}"


def _confirmation(leader: str, expected: str, follower: MysqlReplica) -> Callable[[Session], None]:
    def confirm(session: Session) -> None:
        _held_against(leader, expected, follower.name, _probed(session, follower))

    return confirm


def _held_against(leader: str, expected: str, follower: str, found: str) -> None:
    if expected != found:
        raise Permanent(f"{follower} hashes a constant row otherwise than {leader}, so their digests do not compare")


def _probe(replica: MysqlReplica) -> str:
    with replica.sessions.borrow("probing the row hash") as session:
        return _probed(session, replica)


def _probed(session: Session, replica: MysqlReplica) -> str:
    """The hash of the constant row, built by the very function that the comparisons use."""
    quote = replica.sessions.quote
    columns = tuple(Column(name, family, declared) for name, (family, declared, _sql) in _PROBED.items())
    hashed = row_hash(Table(TableName("", "probe"), columns, ("b", "h")), quote, of="probe")
    row = ", ".join(f"{sql} as {quote(name)}" for name, (_family, _declared, sql) in _PROBED.items())
    (found,) = session.one(f"select {hashed} from (select {row}) probe")
    if found is None:
        raise Permanent(f"{replica.sessions.where} gives a constant row no hash; is SHA1() allowed there?")
    return str(found)
