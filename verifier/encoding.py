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
import math
import re
import struct
from collections.abc import Mapping, Sequence

import xxhash

from verifier.canonical import canonical
from verifier.table import Column, Family, Table, Value

TEXTS = frozenset({
    Family.TEXT, Family.CHAR, Family.ENUM, Family.SET, Family.JSON, Family.XML, Family.INET, Family.INTERVAL,
    Family.GEOMETRY, Family.ARRAY, Family.RANGE, Family.COMPOSITE, Family.OTHER,
})  # fmt: skip
"""Families whose canonical form may contain anything: they are encoded with their length."""

NULL = "-"
_PLAIN = re.compile(r"[0-9A-Za-z:.+\- ]*", re.ASCII)
_NAN = "7ff8000000000000"


def encode(columns: Sequence[Column], values: Mapping[str, Value]) -> bytes:
    """X of one row; `values` by column name as the engine spells them. KeyError if a column is missing."""
    fixed: list[str] = []
    texts: list[bytes | None] = []
    for column in columns:
        found = field(column.meets_as, values[column.name])
        if column.meets_as in TEXTS:
            texts.append(None if found is None else found.encode())
        else:
            fixed.append(NULL if found is None else found)
    lengths = [NULL if text is None else str(len(text)) for text in texts]
    if texts:
        lengths[-1] = "1" if texts[-1] is None else "0"
    return b",".join([*(one.encode() for one in (*fixed, *lengths)), *(text for text in texts if text is not None)])


def field(form: Family, value: Value) -> Value:
    """One value in its digest form: the canonical text, written so that forms which may meet agree (a boolean is 1 or
    0, an instant carries no zone, a float is its IEEE 754 bits in hexadecimal)."""
    text = canonical(form, value)
    if text is None or form in TEXTS:
        return text
    if form is Family.BOOLEAN:
        text = {"true": "1", "false": "0"}.get(text, text)
    elif form is Family.FLOAT:
        text = _bits(text)
    elif form is Family.TIMESTAMPTZ:
        text = text.replace("+00", "", 1)
    elif form is Family.BYTES:
        text = text.removeprefix("\\x")
    # What a family cannot read stands for itself (an untyped engine holds anything anywhere): no commas, no NULL of it.
    return text if _PLAIN.fullmatch(text) and text != NULL else "!" + text.encode().hex()


def _bits(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return _NAN if math.isnan(number) else struct.pack(">d", number + 0.0).hex()


def canonical_hash(encoded: bytes) -> int:
    """The row hash of scheme `canonical`: the first 64 bits of SHA-256, unsigned."""
    return int.from_bytes(hashlib.sha256(encoded).digest()[:8])


def client_hash(encoded: bytes) -> int:
    """The row hash of scheme `client`: XXH3, 64 bits, unsigned."""
    return xxhash.xxh3_64_intdigest(encoded)


def row_hash_of(table: Table, values: Mapping[str, Value]) -> int:
    """The client's hash of one row that was read whole."""
    return client_hash(encode(table.columns, values))
