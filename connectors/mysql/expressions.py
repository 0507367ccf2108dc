"""The row hash of MySQL and MariaDB, and values as text.

The hash is the first half of the SHA-1 of a text that can be decoded: columns of a fixed alphabet, with `-` for NULL;
the lengths of the texts; the texts. So it sees everything, is not linear in the columns, and binds the key (measured:
`docs/canonical.md`). What is long or binary stands as its SHA-256, which also keeps the text below max_allowed_packet;
a row that is larger all the same has no hash, which is an error and never a match. Equality is by value where that is
cheap: -0 is 0, TIMESTAMP is in UTC, text counts by its characters and never by charset or collation.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from verifier.table import Column, Family, Table

Quote = Callable[[str], str]

TEXTS = frozenset({Family.TEXT, Family.CHAR, Family.ENUM, Family.SET, Family.JSON})
_UNICODE = ("utf8mb4", "utf8mb3", "utf8", "ascii")
_WITHOUT_PADDING = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin", "utf8mb3_nopad_bin", "utf8_nopad_bin")
_NULL = "-"

TOO_LARGE = 10**32
"""Stands for the hash of a row that has none: more than all hashes of a table can add up to."""


def bare_type(declared: str) -> str:
    """`bigint(20) unsigned` is `bigint`."""
    found = re.match(r"[a-z0-9]+", declared.lower())
    return found[0] if found else declared


def row_hash(table: Table, quote: Quote, *, of: str) -> str:
    """SQL for 16 hexadecimal digits: the hash of one row of `table`, whose columns are qualified by `of` (an alias).

    Columns are taken key first and then by name, so that two servers need not agree on the order of columns.
    """
    keys = table.key_columns()
    others = sorted((c for c in table.columns if c.name not in table.key), key=lambda c: c.name)
    fixed: list[str] = []
    texts: list[str] = []
    for column in (*keys, *others):
        name = f"{of}.{quote(column.stored)}"
        if column.family in TEXTS:
            texts.append(as_unicode(column, name))
        else:
            fixed.append(_or_null(column, _fixed(column, name)))
    lengths = [f"ifnull(length({text}), '{_NULL}')" for text in texts]
    if texts:
        lengths[-1] = f"isnull({texts[-1]})"
    return hashed(f"concat_ws(',', {', '.join((*fixed, *lengths, *texts))})")


def hashed(text: str) -> str:
    return f"left(sha1({text}), 16)"


def number_of(hexadecimal: str) -> str:
    """The hash as a number that can be added up, `TOO_LARGE` where there is none."""
    return f"ifnull(cast(conv({hexadecimal}, 16, 10) as unsigned), {TOO_LARGE})"


def as_unicode(column: Column, name: str) -> str:
    """Text in UTF-8, whatever the column's own charset."""
    if bare_type(column.declared) == "json" and column.collation is None:
        return f"cast({name} as char)"
    charset = (column.collation or "utf8mb4").partition("_")[0]
    return name if charset in _UNICODE else f"convert({name} using utf8mb4)"


def as_bytes(column: Column, name: str) -> str:
    """Text as the bytes of its UTF-8: what any two servers order alike."""
    return f"cast({as_unicode(column, name)} as binary)"


def ordered_by_its_bytes(column: Column) -> bool:
    """Whether the column's own order, and so its index, is that of its bytes."""
    return column.family is Family.TEXT and column.collation in _WITHOUT_PADDING


def value_text(column: Column, name: str) -> str:
    """SQL for the value as text that `verifier.canonical` reads."""
    bare = bare_type(column.declared)
    if column.family is Family.BYTES:
        return f"concat('\\\\x', lower(hex({name})))"
    if bare == "double":
        return f"cast({name} as char)"
    if bare == "float":
        return _widened(name)
    if column.family is Family.TIMESTAMPTZ:
        return f"concat({name}, '+00')"
    if column.family is Family.BIT:
        return f"lpad(bin({name} + 0), {_bits(column)}, '0')"
    if column.family in TEXTS:
        return as_unicode(column, name)
    if column.family in (Family.INTEGER, Family.DECIMAL):
        return f"cast({_plain(column, name)} as char)"
    if column.family in (Family.GEOMETRY, Family.OTHER) and bare not in ("inet4", "inet6", "uuid"):
        return f"hex({name})"
    return f"cast({name} as char)"


def _fixed(column: Column, name: str) -> str:
    """A value in an alphabet without comma, never `-`."""
    if column.family is Family.FLOAT:
        return f"hex(point({name} + 0e0, 0))"  # the IEEE 754 bits, without decimal formatting
    if column.family in (Family.BYTES, Family.OTHER):
        return f"sha2({name}, 256)"
    if column.family is Family.GEOMETRY:
        return f"sha2(hex({name}), 256)"
    if column.family is Family.BIT:
        return f"{name} + 0"
    if column.family in (Family.UUID, Family.INET):
        return f"cast({name} as char)"
    return _plain(column, name)


def _widened(name: str) -> str:
    """A FLOAT with every digit of its value as a DOUBLE. Its own text has six; MySQL cuts the text of an expression at
    22 characters, but not inside JSON."""
    return f"nullif(trim(trailing ']' from trim(leading '[' from cast(json_array({name} + 0e0) as char))), 'null')"


def _plain(column: Column, name: str) -> str:
    """Without the zeros that only fill."""
    filled = column.family in (Family.INTEGER, Family.DECIMAL) and "zerofill" in column.declared
    return f"{name} + 0" if filled or bare_type(column.declared) == "year" else name


def _or_null(column: Column, text: str) -> str:
    return f"ifnull({text}, '{_NULL}')" if column.nullable else text


def _bits(column: Column) -> int:
    found = re.search(r"\((\d+)\)", column.declared)
    return int(found[1]) if found else 1
