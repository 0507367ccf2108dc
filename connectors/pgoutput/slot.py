"""What a stream needs on the leader: a publication that tells everything, and a slot that keeps its place.

Both are an operator's to make. A slot holds back the leader's log until somebody reads it, so nothing is created
unless asked (`create`); otherwise what is missing is a Permanent error that names the SQL. The publication is made
before the slot, because the plugin looks it up as of the position it decodes. Tables without a replica identity are
never published: PostgreSQL would refuse their updates and deletes from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from connectors.pgoutput.wire import Refused, Wire
from verifier.errors import Permanent, Temporary, TrueupError
from verifier.position import Lsn
from verifier.table import TableName

_UNKNOWN_OBJECT, _THERE_ALREADY = "42704", "42710"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to use, and what to make if `create`. `tables` must be published; empty: whatever is (when creating:
    every table with a usable replica identity). A temporary slot lives as long as the connection."""

    slot: str
    publication: str
    tables: frozenset[TableName] = frozenset()
    create: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The leader as a stream sees it. `written` is the end of its log, `confirmed` where the slot stands (both raw
    positions); `made` tells that the slot is new, `added` which tables the publication got only now, `signatures` what
    the published tables look like now (as `Shape.signature`)."""

    system: int
    timeline: int
    written: int
    confirmed: int
    made: bool
    published: frozenset[TableName]
    added: frozenset[TableName]
    signatures: Mapping[TableName, tuple[object, ...]]
    block_bytes: int
    segment_bytes: int


def prepare(wire: Wire, wanted: Wanted) -> Found:
    """Look at the leader and make what is missing, if that was asked for. Permanent, Forbidden, Temporary."""
    if _one(wire, "show wal_level") != "logical":
        raise Permanent("the leader's wal_level is not logical: alter system set wal_level = logical, then restart it")
    published, made_publication, added = _publication(wire, wanted)
    confirmed = None if wanted.temporary else _slot(wire, wanted)
    if confirmed is not None and made_publication:
        # At the old slot's position the publication does not exist, and the plugin would fail there for ever.
        wire.ask(f"select pg_drop_replication_slot({wire.literal(wanted.slot)})")
        confirmed = None
    made = confirmed is None
    if confirmed is None:
        confirmed = _make_slot(wire, wanted)
    system, timeline = wire.ask("IDENTIFY_SYSTEM")[0][:2]
    return Found(
        int(system or 0),
        int(timeline or 0),
        Lsn.parse(_one(wire, "select pg_current_wal_insert_lsn()")).value,
        confirmed,
        made,
        published,
        added,
        _signatures(wire, wanted.publication),
        int(_one(wire, "show wal_block_size")),
        int(_one(wire, "select setting from pg_settings where name = 'wal_segment_size'")),
    )


def origins(wire: Wire, subscriptions: Collection[str]) -> tuple[frozenset[str], bool]:
    """The names of the origins that these subscriptions of this database (none: all of them) write under, and whether
    there are no others."""
    rows = wire.ask(
        "select s.subname, 'pg_' || s.oid from pg_subscription s join pg_database d on d.oid = s.subdbid "
        "where d.datname = current_database()"
    )
    found = {origin for name, origin in rows if origin is not None and (not subscriptions or name in subscriptions)}
    return frozenset(found), len(found) == len(rows)


def retained(wire: Wire, slot: str) -> int | None:
    """How many bytes of log the leader keeps for the slot; None if there is no such slot (or its log is lost)."""
    rows = wire.ask(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint from pg_replication_slots "
        f"where slot_name = {wire.literal(slot)}"
    )
    return int(rows[0][0]) if rows and rows[0][0] is not None else None


def _one(wire: Wire, sql: str) -> str:
    value = wire.ask(sql)[0][0]
    if value is None:
        raise Permanent(f"the leader answers nothing to `{sql}`")
    return value


def _slot(wire: Wire, wanted: Wanted) -> int | None:
    """Where the slot stands; None if it must be made. A slot whose log is gone is useless: remade if asked."""
    name = wire.literal(wanted.slot)
    rows = wire.ask(
        "select plugin, database = current_database(), confirmed_flush_lsn, wal_status, temporary "
        f"from pg_replication_slots where slot_name = {name}"
    )
    create = f"select pg_create_logical_replication_slot({name}, 'pgoutput')"
    if not rows:
        if wanted.create:
            return None
        raise Permanent(
            f"there is no replication slot {wanted.slot} on the leader: run `{create}` there, or set stream.create"
        )
    plugin, here, confirmed, status, temporary = rows[0]
    if plugin != "pgoutput" or here != "t" or temporary == "t":
        raise Permanent(
            f"the replication slot {wanted.slot} is not ours: plugin {plugin or 'none (physical)'}, in "
            f"{'this' if here == 't' else 'another'} database; need a permanent one of pgoutput in this database: "
            "choose another name"
        )
    if status == "lost" or confirmed is None:
        if not wanted.create:
            raise Permanent(
                f"the replication slot {wanted.slot} lost its log (wal_status {status}): run "
                f"`select pg_drop_replication_slot({name})` and `{create}` on the leader; "
                "all tables will be scanned again"
            )
        wire.ask(f"select pg_drop_replication_slot({name})")
        return None
    return Lsn.parse(confirmed).value


def _make_slot(wire: Wire, wanted: Wanted) -> int:
    """Making a slot waits for every transaction then open to end; the session's time limit bounds that."""
    temporary = "true" if wanted.temporary else "false"
    try:
        rows = wire.ask(
            f"select lsn from pg_create_logical_replication_slot({wire.literal(wanted.slot)}, 'pgoutput', {temporary})"
        )
    except Temporary as error:
        raise Temporary(f"{error}: the slot waits for all open transactions to end", delay_seconds=5.0) from error
    except Refused as error:
        if wanted.temporary and error.sqlstate == _THERE_ALREADY:
            raise Temporary(f"{error}: the session that had it may be ending still", delay_seconds=1.0) from error
        raise
    return Lsn.parse(rows[0][0] or "").value


def _publication(wire: Wire, wanted: Wanted) -> tuple[frozenset[TableName], bool, frozenset[TableName]]:
    """What it publishes, whether it was made now, and the tables that were added to it now."""
    name, quoted = wire.literal(wanted.publication), wire.identifier(wanted.publication)
    rows = wire.ask(
        f"select pubinsert and pubupdate and pubdelete and pubtruncate from pg_publication where pubname = {name}"
    )
    if not rows:
        tables = _with_identity(wire, wanted.tables)
        listed = ", ".join(_quoted(wire, table) for table in sorted(tables))
        sql = f"create publication {quoted} for table {listed} with (publish_via_partition_root = true)"
        if not tables:
            raise Permanent("no table can be published: none has a primary key or another replica identity")
        if not wanted.create:
            raise Permanent(
                f"there is no publication {wanted.publication} on the leader: run `{sql}`, or set stream.create"
            )
        wire.ask(sql)
        return tables, True, frozenset()
    if rows[0][0] != "t":
        raise Permanent(
            f"the publication {wanted.publication} leaves changes out: run "
            f"`alter publication {quoted} set (publish = 'insert, update, delete, truncate')`"
        )
    published = _published(wire, wanted.publication)
    lacking = _with_identity(wire, wanted.tables - published) if wanted.tables - published else frozenset()
    if lacking:
        listed = ", ".join(_quoted(wire, table) for table in sorted(lacking))
        sql = f"alter publication {quoted} add table {listed}"
        if not wanted.create:
            raise Permanent(f"the publication {wanted.publication} lacks tables: run `{sql}`, or set stream.create")
        wire.ask(sql)
    return published | lacking, False, lacking


def _published(wire: Wire, publication: str) -> frozenset[TableName]:
    """The tables it tells everything about; Permanent if a row filter hides rows."""
    name = wire.literal(publication)
    hides = "rowfilter is not null" if wire.version >= 150000 else "false"
    rows = wire.ask(f"select schemaname, tablename, {hides} from pg_publication_tables where pubname = {name}")
    for schema, table, filtered in rows:
        if filtered == "t":
            raise Permanent(
                f"the publication {publication} hides rows of {schema}.{table} by a filter: "
                "use a publication without `where` for trueup"
            )
    return frozenset(TableName(schema or "", table or "") for schema, table, _ in rows)


def _signatures(wire: Wire, publication: str) -> dict[TableName, tuple[object, ...]]:
    """What a relation message of each published table would say now: its oid, then name, type and modifier of every
    column that is sent."""
    sent = "a.attgenerated = ''" if wire.version < 180000 else "true"
    if wire.version >= 150000:
        sent += " and a.attname = any (p.attnames)"
    rows = wire.ask(
        "select p.schemaname, p.tablename, c.oid, a.attname, a.atttypid, a.atttypmod from pg_publication_tables p "
        "join pg_namespace n on n.nspname = p.schemaname "
        "join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename "
        f"join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and {sent} "
        f"where p.pubname = {wire.literal(publication)} order by c.oid, a.attnum"
    )
    found: dict[TableName, list[object]] = {}
    for schema, table, oid, column, type_oid, modifier in rows:
        columns = found.setdefault(TableName(schema or "", table or ""), [int(oid or 0)])
        columns.append((column, int(type_oid or 0), int(modifier or 0)))
    return {name: tuple(columns) for name, columns in found.items()}


def _with_identity(wire: Wire, among: Collection[TableName]) -> frozenset[TableName]:
    """Permanent ordinary or partitioned tables whose changes carry a key (empty `among`: all of the users' tables)."""
    if among:
        pairs = ", ".join(f"({wire.literal(t.schema)}, {wire.literal(t.name)})" for t in sorted(among))
        which = f"(n.nspname, c.relname) in ({pairs})"
    else:
        which = "not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
    rows = wire.ask(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p') and c.relpersistence = 'p' and {which} and (c.relreplident = 'f' "
        "or exists (select from pg_index i where i.indrelid = c.oid and i.indisvalid "
        "and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident end))"
    )
    return frozenset(TableName(schema or "", table or "") for schema, table in rows)


def _quoted(wire: Wire, table: TableName) -> str:
    return f"{wire.identifier(table.schema)}.{wire.identifier(table.name)}"


def explained(error: TrueupError, wanted: Wanted) -> TrueupError:
    """What a running stream was refused for, with its cure where there is one. The plugin looks the publication up as
    of the place in the log that it decodes, so one that was made again later is not found there either."""
    if not isinstance(error, Refused) or error.sqlstate != _UNKNOWN_OBJECT or "publication" not in str(error):
        return error
    slot = wanted.slot
    return Permanent(
        f"publication {wanted.publication} was dropped, and the slot {slot} stands before it was made again: `create "
        f"publication` if there is none now, then `select pg_drop_replication_slot('{slot}')` and `select "
        f"pg_create_logical_replication_slot('{slot}', 'pgoutput')` on the leader; all tables will be scanned again"
    )
