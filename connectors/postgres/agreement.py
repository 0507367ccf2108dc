"""What two servers must share before their digests mean the same: the hash scheme and the order of text.

Hashes are compared across servers, and PostgreSQL promises nothing about them between versions. So both sides hash the
same constant row of many types, and only where the results are equal is the fast scheme used. Key ranges cut on the
leader must select the same rows on the follower, and collations differ (two versions of a C library sort differently),
so text keys are walked in their own order only where collation, provider and version are the same on both sides, and
otherwise by bytes, which is always right and uses no index on text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres.expressions import Scheme, row_hash
from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Session
from connectors.postgres.statements import TextOrder
from verifier.errors import Unsound
from verifier.table import Column, Family, Table, TableName

RECORD_HASH_SINCE = 140000

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

_TEXT_ORDER = """
select d.datcollate, d.datctype, d.encoding, to_jsonb(d) ->> 'datlocprovider',
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), {version}
from pg_database d where d.datname = current_database()
"""
_COLLATIONS = """
select distinct n.nspname || '.' || l.collname, l.collprovider::text, l.collcollate,
       coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale'), l.collisdeterministic,
       pg_collation_actual_version(l.oid)
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_collation l on l.oid = a.attcollation
join pg_namespace n on n.oid = l.collnamespace
where l.collname <> 'default' and c.relkind in ('r', 'p') and c.relnamespace <> 'pg_catalog'::regnamespace
  and c.relnamespace <> 'information_schema'::regnamespace and not a.attisdropped
order by 1
"""
_ENUMS = """
select n.nspname || '.' || t.typname, string_agg(e.enumlabel, ',' order by e.enumsortorder)
from pg_enum e join pg_type t on t.oid = e.enumtypid join pg_namespace n on n.oid = t.typnamespace group by 1 order by 1
"""
_UNVERSIONED = ("C", "POSIX")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What all replicas of a group share, and why it is not the fastest form (empty where it is)."""

    scheme: Scheme
    text_order: TextOrder
    reasons: tuple[str, ...] = ()


def agree(replicas: Sequence[PostgresReplica]) -> Agreement:
    """Probe the replicas, the leader first, have all of them adopt what they share, and return it.

    Unsound if not even text hashes alike. Unreachable and the like as from any question.
    """
    leader, *followers = [(replica, _facts(replica)) for replica in replicas]
    reasons: list[str] = []
    scheme, order = Scheme.RECORD, TextOrder.NATIVE
    for replica, facts in [leader, *followers]:
        if facts.record is None:
            scheme = Scheme.TEXT
            reasons.append(f"{replica.name} runs {facts.version}, which has no record hash (14 and later do)")
        elif leader[1].record is not None and facts.record != leader[1].record:
            scheme = Scheme.TEXT
            reasons.append(f"{replica.name} hashes a constant row otherwise than {leader[0].name}")
        if facts.text != leader[1].text:
            raise Unsound(f"{replica.name} and {leader[0].name} hash the same constant text differently")
        if facts.order is None:
            order = TextOrder.BYTES
            reasons.append(f"{replica.name} does not tell the version of its collation")
        elif leader[1].order is not None and facts.order != leader[1].order:
            order = TextOrder.BYTES
            reasons.append(f"{replica.name} orders text or enums otherwise than {leader[0].name}")
    for replica in replicas:
        replica.adopt(scheme, order)
    return Agreement(scheme, order, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Facts:
    version: str
    record: str | None
    text: str
    order: tuple[object, ...] | None


def _facts(replica: PostgresReplica) -> _Facts:
    with replica.sessions.borrow("probing hashes and collations") as session:
        number, version = session.one(
            "select current_setting('server_version_num')::int, current_setting('server_version')"
        )
        quote = replica.sessions.quote
        table = Table(
            TableName("", "probe"), tuple(Column(n, f, d) for n, (f, d, _v) in _PROBED.items()), ("c", "q", "g")
        )
        row = ", ".join(f"%s::{declared} as {quote(name)}" for name, (_f, declared, _v) in _PROBED.items())
        values = [value for _f, _d, value in _PROBED.values()]
        hashes = [
            str(session.one(f"select ({row_hash(table, quote, scheme)})::text from (select {row}) probe", values)[0])
            for scheme in ([Scheme.TEXT, Scheme.RECORD] if number >= RECORD_HASH_SINCE else [Scheme.TEXT])
        ]
        return _Facts(version, hashes[1] if len(hashes) > 1 else None, hashes[0], _order(session, number))


def _order(session: Session, number: int) -> tuple[object, ...] | None:
    """All that decides how this database sorts text and enums; None where a version is not told."""
    version = "pg_database_collation_actual_version(d.oid)" if number >= 150000 else "null::text"
    collate, ctype, encoding, provider, locale, actual = session.one(_TEXT_ORDER.format(version=version))
    plain = provider in (None, "c") and collate in _UNVERSIONED
    if not plain and actual is None:
        return None
    collations = session.all(_COLLATIONS)
    if any(row[5] is None and row[2] not in _UNVERSIONED for row in collations):
        return None
    default = ("plain", encoding) if plain else (collate, ctype, encoding, provider, locale, actual)
    return (default, tuple(collations), tuple(session.all(_ENUMS)))
