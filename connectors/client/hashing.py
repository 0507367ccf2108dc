"""Row hashes computed here, for one table: from the texts of its columns to 64 bits, and many of them packed.

`encoder` writes the very bytes of `verifier.encoding.encode`, which is the reference, and which the property tests hold
it to. It looks up once what depends on the column alone, and recognises texts that are canonical already, as most are:
80,000 rows of ten columns a second instead of 47,000.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from verifier.canonical import canonical, standing_for
from verifier.digest import MODULUS, Digest
from verifier.encoding import NULL, TEXTS, canonical_hash, client_hash, field_of
from verifier.errors import Permanent
from verifier.multiset import MULTISET_MAX, HashCounts
from verifier.packed import PackedDigests
from verifier.table import Column, Family, Key, Scheme, Table, Value
from verifier.weight import KEYS_BYTES, bounded, key_bytes

Field = Callable[[Value], bytes]
Encoder = Callable[[Sequence[Value]], bytes]
Hasher = Callable[[Sequence[Value]], int]
ROWS_MAX = 4_000_000
"""Rows whose digests one answer may hold."""


def encoder(columns: Sequence[Column], *, joined: bool = False) -> Encoder:
    """The canonical encoding of a row whose values come in the order of `columns`, or `joined`."""
    fixed = [(place, _quick(column)) for place, column in enumerate(columns) if column.meets_as not in TEXTS]
    texts = [(place, _standing(column)) for place, column in enumerate(columns) if column.meets_as in TEXTS]
    if joined:
        fixed, texts = [(0, _written)], [(place, standing) for place, (_, standing) in enumerate(texts, 1)]

    def encode(values: Sequence[Value]) -> bytes:
        parts = [written(values[place]) for place, written in fixed]
        if not texts:
            return b",".join(parts)
        held: list[bytes | None] = []
        for place, standing in texts:
            text = values[place]
            if standing is not None:
                text = standing(text)
            held.append(None if text is None else text.encode(errors="surrogatepass"))
        parts += [NULL.encode() if text is None else str(len(text)).encode() for text in held[:-1]]
        parts.append(b"1" if held[-1] is None else b"0")
        parts += [text for text in held if text is not None]
        return b",".join(parts)

    return encode


def joinable(table: Table, canonical: Callable[[Column], bool]) -> bool:
    """Whether rows of scheme `client` can be read `joined`: the fields of fixed alphabet as one text that SQL wrote,
    then the texts. Less than half of the time goes into reading and hashing them. What may be long is not joined: a
    server may refuse the whole (MySQL's max_allowed_packet). What has a tolerance is not either: no SQL writes its
    buckets."""
    fixed = [column for column in table.columns if column.meets_as not in TEXTS]
    if table.scheme is not Scheme.CLIENT:
        return False
    if any(column.tolerance is not None for column in fixed):
        return False
    return bool(fixed) and all(canonical(c) and c.meets_as not in (Family.BYTES, Family.GEOMETRY) for c in fixed)


def _written(fields: Value) -> bytes:
    if fields is None:
        raise Permanent("the server did not write the canonical form of a row, which is too large for it")
    return fields.encode()


def _standing(column: Column) -> Callable[[Value], Value] | None:
    """What stands for a text of the column; None: itself."""
    if column.tolerance is not None:
        return partial(standing_for, column)
    form = column.hashed_as
    return None if form is Family.TEXT else partial(canonical, form)


def _quick(column: Column) -> Field:
    """The column's field. What the pattern recognises is written at once, all else as the law says."""
    form = column.meets_as

    def lawful(value: Value) -> bytes:
        found = field_of(column, value)
        return b"-" if found is None else found.encode()

    if form not in _CANONICAL or column.tolerance is not None:
        return lawful
    recognised, at_once = re.compile(_CANONICAL[form], re.ASCII).fullmatch, _AT_ONCE.get(form, str.encode)
    return lambda value: at_once(value) if value is not None and recognised(value) else lawful(value)


_CANONICAL: Mapping[Family, str] = {
    Family.INTEGER: r"-?[1-9]\d{0,30}|0",
    Family.DECIMAL: r"-?[1-9]\d{0,30}(?:\.\d{0,30}[1-9])?|-?0\.\d{0,30}[1-9]|0",
    Family.FLOAT: r"-?\d{1,30}(?:\.\d{1,30})?(?:e[+-]\d{1,2})?",
    Family.BOOLEAN: r"[01]",
    Family.DATE: r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])",
    Family.TIMESTAMP: r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8]) [01]\d:[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?",
    Family.BYTES: r"\\x(?:[0-9a-f]{2})*+",
    Family.UUID: r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
"""Texts whose field is known from their shape, of the forms that have one."""

_AT_ONCE: Mapping[Family, Callable[[str], bytes]] = {
    Family.FLOAT: lambda text: struct.pack(">d", float(text) + 0.0).hex().encode(),
    Family.BYTES: lambda text: text[2:].encode(),
    Family.UUID: lambda text: text.replace("-", "").encode(),
}


def hasher(table: Table, *, joined: bool = False) -> Hasher:
    """The row hash of the table's scheme, of values in the order of its columns, or `joined`."""
    encode = encoder(table.columns, joined=joined)
    one = canonical_hash if table.scheme is Scheme.CANONICAL else client_hash
    return lambda values: one(encode(values))


def summed(hashes: Iterable[int]) -> Digest:
    """Count and sum, without keeping them."""
    rows = total = 0
    for value in hashes:
        rows += 1
        total += value
    return Digest(rows, total % MODULUS)


def packed(table: Table, found: Iterable[tuple[Key, int]]) -> PackedDigests:
    """Keys and hashes as one packed value. Permanent if they are more than `ROWS_MAX`, or two rows share a key that is
    not one integer; rows that share an integer are all in it, and whoever compares it sees them. Oversized if the keys
    are longer together than is held at once."""
    if len(table.key) == 1 and table.key_columns()[0].meets_as is Family.INTEGER:
        record = struct.Struct(">qQ").pack
        whole = bytearray()
        for (number,), value in found:
            whole += record(number, value)
            if len(whole) > 16 * ROWS_MAX:
                raise _too_many(table)
        return PackedDigests.whole(bytes(whole))
    keys: list[Key] = []
    hashes = bytearray()
    for key, value in bounded(found, lambda one: key_bytes(one[0]), f"keys of {table.name}", KEYS_BYTES):
        keys.append(key)
        hashes += value.to_bytes(8)
        if len(keys) > ROWS_MAX:
            raise _too_many(table)
    columns = list(zip(*keys, strict=True)) if keys else [()] * len(table.key)
    return PackedDigests.beside(columns, bytes(hashes))


def counted(table: Table, hashes: Iterable[int]) -> HashCounts:
    """How often each hash occurs. Permanent above `MULTISET_MAX` different ones."""
    counts: Counter[int] = Counter()
    for value in hashes:
        counts[value] += 1
        if len(counts) > MULTISET_MAX:
            raise Permanent(f"{table.name} has more than {MULTISET_MAX:,} different rows, too many to count each")
    return HashCounts.of(counts)


def _too_many(table: Table) -> Permanent:
    return Permanent(f"a chunk of {table.name} has more than {ROWS_MAX} rows; use smaller chunks")
