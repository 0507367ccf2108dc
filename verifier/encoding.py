"""The canonical encoding of a row: the bytes that `canonical` and `client` digests hash, and their reference.

    X = field, field, ..., length, length, ..., text, text, ...

First every column of fixed alphabet in table order (`-` for NULL), then what is needed to cut the texts apart: the
length in bytes of every text (`-` for NULL), of the last one only whether it is NULL (`1`) or not (`0`); then the texts
themselves in UTF-8, without the NULL ones. All joined by commas, which no field of fixed alphabet contains: X can be
decoded, so different rows have different X (`decode` in the tests does it). The key's columns are among the columns,
so a row's hash is bound to its key, and SHA-256 is not linear in the columns.

Columns are taken in the order of `Table.columns`, which `verifier.compare` makes the same on both sides, each in the
form in which the two sides meet (`Column.meets_as`). The server's SQL must produce the very same bytes; the property
tests hold it to that.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import struct
from collections.abc import Callable, Mapping, Sequence

import xxhash

from verifier.canonical import canonical, standing_for
from verifier.table import Column, Family, KeyValue, Table, Value

TEXTS = frozenset({
    Family.TEXT, Family.CHAR, Family.ENUM, Family.SET, Family.JSON, Family.XML, Family.ARRAY, Family.RANGE,
    Family.COMPOSITE, Family.OTHER,
})  # fmt: skip
"""Families whose canonical form may contain anything: they are encoded with their length."""

VALUE_ORDERED = frozenset({
    Family.INTEGER, Family.DECIMAL, Family.FLOAT, Family.BOOLEAN, Family.BYTES, Family.DATE, Family.TIME,
    Family.TIMESTAMP, Family.TIMESTAMPTZ,
})  # fmt: skip
"""Families whose values every engine puts in the same order."""

NULL = "-"
_PLAIN = re.compile(r"[0-9A-Za-z:.+/\- ]*", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,4000}", re.ASCII)
_FINITE = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)  # as `repr` writes them
_HEX = re.compile(r"\\x[0-9a-f]*", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f:.]+(/\d+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_UTC = re.compile(r"(\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00( BC)?", re.ASCII)
_NAN = "7ff8000000000000"


def encode(columns: Sequence[Column], values: Mapping[str, Value]) -> bytes:
    """X of one row; `values` by column name as the engine spells them. KeyError if a column is missing."""
    fixed: list[str] = []
    texts: list[bytes | None] = []
    for column in columns:
        found = field_of(column, values[column.name])
        if column.meets_as in TEXTS:
            texts.append(None if found is None else found.encode(errors="surrogatepass"))
        else:
            fixed.append(NULL if found is None else found)
    lengths = [NULL if text is None else str(len(text)) for text in texts]
    if texts:
        lengths[-1] = "1" if texts[-1] is None else "0"
    return b",".join([*(one.encode() for one in (*fixed, *lengths)), *(text for text in texts if text is not None)])


def field_of(column: Column, value: Value) -> Value:
    """One value of the column in its digest form; with a tolerance, of what stands for its bucket."""
    if column.tolerance is None:
        return field(column.hashed_as, value)
    return field(column.meets_as, standing_for(column, value), strict_scale=bool(column.tolerance.strict_scale))


def field(form: Family, value: Value, *, strict_scale: bool = False) -> Value:
    """One value in its digest form: the canonical text, where that is not cheap in SQL written otherwise (a boolean as
    1 or 0, bytes and uuids as bare hexadecimal, a float as its IEEE 754 bits, an address as its bytes, an instant
    without its `+00`). What the family cannot read is `!` and the hexadecimal of its UTF-8: no commas, no NULL of it,
    and nothing that a readable value is written as."""
    text = canonical(form, value, strict_scale=strict_scale)
    if text is None or form in TEXTS:
        return text
    special = _SPECIAL.get(form)
    written = text if special is None else special(text)
    plain = written is not None and _PLAIN.fullmatch(written) and written != NULL
    return written if plain else "!" + text.encode(errors="surrogatepass").hex()


def ordered_by_bytes(column: Column) -> bool:
    """How rows of a comparison by `canonical` or `client` are ordered by this key column: by the bytes of its digest
    form (`field`) in UTF-8 (true), or by its value. Engines order text, uuids and addresses each in a way of its own;
    an engine may use the order of its type where that is the same."""
    return column.meets_as not in VALUE_ORDERED


def _bits(text: str) -> Value:
    if text in ("NaN", "Infinity", "-Infinity"):
        return _NAN if text == "NaN" else struct.pack(">d", float(text)).hex()
    return struct.pack(">d", float(text)).hex() if _FINITE.fullmatch(text) else None


def _bare_hex(text: str) -> Value:
    return text[2:] if _HEX.fullmatch(text) else None


def _bare_uuid(text: str) -> Value:
    return text.replace("-", "") if _UUID.fullmatch(text) else None


def _without_zone(text: str) -> Value:
    return _UTC.sub(r"\1\2", text) if _UTC.fullmatch(text) else text


def _address(text: str) -> Value:
    """Bytes of the address in hexadecimal, and `/` with the length of its network unless that is the whole."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    written = found.ip.packed.hex()
    if found.network.prefixlen != found.max_prefixlen:
        written += f"/{found.network.prefixlen}"
    return written if _ADDRESS.fullmatch(text) else None


def canonical_key(column: Column, text: str) -> KeyValue:
    """A key's value as `Key` holds it in a comparison by `canonical` or `client`; `text` as the engine spelled it."""
    found = canonical(column.meets_as, text)
    assert found is not None, "only NULL has no canonical text"
    return int(found) if column.meets_as is Family.INTEGER and _WHOLE.fullmatch(found) else found


_SPECIAL: Mapping[Family, Callable[[str], Value]] = {
    Family.BOOLEAN: lambda text: {"true": "1", "false": "0"}.get(text, text),
    Family.FLOAT: _bits,
    Family.TIMESTAMPTZ: _without_zone,
    Family.BYTES: _bare_hex,
    Family.UUID: _bare_uuid,
    Family.INET: _address,
}


def canonical_hash(encoded: bytes) -> int:
    """The row hash of scheme `canonical`: the first 64 bits of SHA-256, unsigned."""
    return int.from_bytes(hashlib.sha256(encoded).digest()[:8])


def client_hash(encoded: bytes) -> int:
    """The row hash of scheme `client`: XXH3, 64 bits, unsigned."""
    return xxhash.xxh3_64_intdigest(encoded)


def row_hash_of(table: Table, values: Mapping[str, Value]) -> int:
    """The client's hash of one row that was read whole."""
    return client_hash(encode(table.columns, values))
