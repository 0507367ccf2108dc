"""Rows and row digests of a range, as one session reads them.

Rows of scheme `client` are taken as they come and never held together: a table without a key is read whole. Packed
digests are asked for in parts where the server's max_allowed_packet is too small for all of them, in the snapshot that
the session has open. No more text of keys is held than may be, and rows of many keys are given up where they are too
wide together.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from connectors.client import hashing
from connectors.mysql.session import Record, Session
from connectors.mysql.statements import Statements
from verifier.errors import Oversized, Permanent
from verifier.keyrange import KeyRange
from verifier.packed import PackedDigests
from verifier.table import Key, Table, Value
from verifier.weight import KEYS_BYTES, bounded, key_bytes

_FEW = 4
"""Keys whose rows come in one piece."""


@contextmanager
def rows_read(
    session: Session, statements: Statements, within: KeyRange, *, joined: bool = False, rows_max: int | None = None
) -> Iterator[Iterator[tuple[Value, ...]]]:
    """Every row of the range, each column as text or `joined` (`Statements.texts`), at most `rows_max`. Whoever stops
    before the last one loses the connection (`Session.stream`)."""
    sql, values = statements.texts(within, joined=joined, rows_max=rows_max)
    with session.stream(sql, values) as rows:
        yield map(texts_of, rows)


def points_read(
    session: Session, statements: Statements, keys: Sequence[Key], *, whole_rows: bool, here: bool
) -> Generator[Record]:
    """What `Statements.points` asks for; with `here` whole rows and no hash. Whoever stops before the last one closes
    it, and loses the connection unless the keys were few."""
    read_whole = whole_rows or here
    for sql, values in statements.points(keys, whole_rows=read_whole, hashed=not here):
        if not read_whole or len(keys) <= _FEW:
            yield from session.all(sql, values)
            continue
        with session.stream(sql, values) as rows:
            yield from rows


def hashed_here(session: Session, statements: Statements, table: Table, within: KeyRange) -> PackedDigests:
    """Keys and hashes that are computed here. Permanent if a key holds NULL, or they are more than one answer holds;
    Oversized if the keys are longer together than is held at once."""
    hash_of = hashing.hasher(table)
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in table.key]

    def key_of(row: Sequence[Value]) -> Key:
        texts = [text for place in places if (text := row[place]) is not None]
        if len(texts) != len(places):
            raise without_key(table)
        return statements.key_of(texts)

    with rows_read(session, statements, within, rows_max=hashing.ROWS_MAX + 1) as rows:
        found = ((key_of(row), hash_of(row)) for row in rows)
        if statements.whole:
            return hashing.packed(table, found)
        keys, hashes = [], bytearray()
        for key, value in bounded(found, lambda one: key_bytes(one[0]), f"keys of {table.name}", KEYS_BYTES):
            keys.append(key)
            hashes += value.to_bytes(8)
            if len(keys) > hashing.ROWS_MAX:
                raise Permanent(f"a chunk of {table.name} has more than {hashing.ROWS_MAX} rows; use smaller chunks")
    return _beside(table, keys, bytes(hashes))


def packed_there(session: Session, statements: Statements, table: Table, within: KeyRange) -> PackedDigests:
    """Keys and hashes as the server packs them. Permanent if a key holds NULL, or a single row is too large for it;
    Oversized if the keys are longer together than is held at once."""
    whole, texts, hashes = bytearray(), list[tuple[str, ...]](), bytearray()
    waiting, held = [within], 0
    while waiting:
        part = waiting.pop()
        count, answer = session.one(*statements.packed(part))
        rows, packed = int(count), bytes(answer or b"")
        if statements.whole:
            if len(packed) == 16 * rows:
                whole += packed
                continue
        elif (found := statements.unpack(packed)) is not None and len(found[0]) == rows:
            held += len(packed)
            if held > KEYS_BYTES and texts:
                what = f"keys of {table.name}: {len(texts) + rows} are larger than {KEYS_BYTES:,} bytes together"
                raise Oversized(what, rows=len(texts))
            texts += found[0]
            hashes += found[1]
            continue
        # The server only warns when it cuts a packed value off, and leaves out what has no hash or no key.
        waiting += _halves(session, statements, table, part, rows)
    if statements.whole:
        return PackedDigests.whole(bytes(whole))
    return _beside(table, [statements.key_of(one) for one in texts], bytes(hashes))


def _halves(session: Session, statements: Statements, table: Table, part: KeyRange, rows: int) -> list[KeyRange]:
    """The two halves of a part that was not answered whole, the first one last."""
    if any(column.nullable for column in table.key_columns()):
        raise without_key(table)
    found = session.all(*statements.boundary(part.lower, rows // 2)) if rows > 1 else []
    middle = statements.key_of(found[0]) if found else None
    if middle is None or middle == part.lower:
        raise too_large(table)
    return [KeyRange(middle, part.upper), KeyRange(part.lower, middle)]


def _beside(table: Table, keys: Sequence[Key], hashes: bytes) -> PackedDigests:
    return PackedDigests.beside(list(zip(*keys, strict=True)) or [()] * len(table.key), hashes)


def texts_of(record: Record) -> tuple[Value, ...]:
    """The values of a row, which may come as bytes."""
    return tuple(value.decode() if isinstance(value, bytes) else value for value in record)


def without_key(table: Table) -> Permanent:
    """What is said of rows that no range and no lookup finds."""
    named = ", ".join(table.key)
    return Permanent(f"rows of {table.name} have NULL in their key ({named}); name a key that is never NULL")


def too_large(table: Table) -> Permanent:
    """What is said of a row whose hash does not come back."""
    return Permanent(
        f"a row of {table.name} has no hash: its text is larger than the server's max_allowed_packet; raise it, or "
        "exclude the large column"
    )
