"""The canonical encoding in the SQL of MySQL and MariaDB: the same bytes, and the same hash of them, as
`verifier.encoding`.

The session is pinned to UTC, utf8mb4 and a `sql_mode` without padding (`connectors.mysql.dialects`). Traps that shape
the SQL: a DOUBLE's text is another engine's other text, so its bits are taken out of a POINT; MySQL stores -0; trailing
zeros may be trimmed only behind a point; ZEROFILL writes zeros in front. SQL that grows beyond `max_allowed_packet` is
NULL: whoever sums hashes must make sure that none is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from connectors.mysql.expressions import Quote, as_unicode, bare_type
from verifier.encoding import NULL, TEXTS
from verifier.table import Column, Family, Table

_UUID = r"^([\\\\]x[0-9a-fA-F]{32}|[{]?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}[}]?)\\z"
_MAPPED = "0" * 20 + "ffff"
_MEMBER = re.compile(r"'((?:[^']|'')*)'")
_NUMBERS = re.compile(r"\((\d+)(?:,(\d+))?\)")


def canonical_sql(column: Column, name: str) -> str | None:
    """SQL for the digest form (`verifier.encoding.field`) of the column that is called `name` there, a string or what
    prints as it; NULL for NULL. None if SQL cannot write it: JSON by structure, text that stands for an address or a
    set."""
    form = as_unicode if column.verbatim else _FORMS.get(column.meets_as)
    return None if form is None else form(column, name)


def row_text(columns: Sequence[Column], quote: Quote, *, of: str) -> str:
    """X, as SQL; columns are qualified by `of` (an alias). ValueError if there is none for a column."""
    fixed: list[str] = []
    texts: list[str] = []
    for column in columns:
        name = f"{of}.{quote(column.stored)}"
        written = canonical_sql(column, name)
        if written is None:
            raise ValueError(f"SQL cannot write the canonical form of {column.name} ({column.declared})")
        if column.meets_as in TEXTS:
            texts.append(written)
        else:
            fixed.append(f"ifnull({written}, '{NULL}')")
    lengths = [f"ifnull(length({text}), '{NULL}')" for text in texts]
    if texts:
        lengths[-1] = f"isnull({texts[-1]})"
    return f"concat_ws(',', {', '.join((*fixed, *lengths, *texts))})"


def fixed_text(columns: Sequence[Column], quote: Quote, *, of: str) -> str:
    """The fields of fixed alphabet as they begin X, as SQL."""
    fixed = [column for column in columns if column.meets_as not in TEXTS]
    written = [f"ifnull({canonical_sql(c, f'{of}.{quote(c.stored)}')}, '{NULL}')" for c in fixed]
    return f"concat_ws(',', {', '.join(written)})"


def row_hash(table: Table, quote: Quote, *, of: str) -> str:
    """SQL for 16 hexadecimal digits: the first 8 bytes of the SHA-256 of a row's X; NULL where X is too large."""
    return f"left(sha2({row_text(table.columns, quote, of=of)}, 256), 16)"


def _number(column: Column, name: str) -> str:
    if bare_type(column.declared) == "bit":
        return _bits(column, name)
    return f"{name} + 0" if bare_type(column.declared) == "year" or "zerofill" in column.declared.lower() else name


def _decimal(column: Column, name: str) -> str:
    sizes = _NUMBERS.search(column.declared)
    plain = _number(column, name)
    return _trimmed(plain) if bare_type(column.declared) == "decimal" and sizes and int(sizes[2] or 0) else plain


def _float(_column: Column, name: str) -> str:
    return f"lower(hex(substr(reverse(point(0, {name} + 0)), 1, 8)))"  # -0 + 0 is 0


def _char(column: Column, name: str) -> str:
    text = as_unicode(column, name)
    return (
        text if bare_type(column.declared) == "char" else f"trim(trailing ' ' from {text})"
    )  # CHAR is read without its blanks


def _bytes(_column: Column, name: str) -> str:
    return f"lower(hex({name}))"


def _date(_column: Column, name: str) -> str:
    return name


def _moment(column: Column, name: str) -> str:
    sizes = _NUMBERS.search(column.declared)
    return _trimmed(name) if sizes and int(sizes[1]) else name


def _trimmed(name: str) -> str:
    """Without zeros at the end; only of what surely has a point."""
    return f"trim(trailing '.' from trim(trailing '0' from {name}))"


def _uuid(column: Column, name: str) -> str:
    kind = bare_type(column.declared)
    if kind == "uuid":
        return f"replace({name}, '-', '')"
    if column.family is Family.BYTES:
        digits = f"lower(hex({name}))"
        spelled = rf"concat('!', lower(hex(concat('\\x', {digits}))))"
        return digits if column.declared.lower() == "binary(16)" else f"if(length({name}) = 16, {digits}, {spelled})"
    text = f"convert({name} using utf8mb4) collate utf8mb4_bin"
    digits = f"lower(regexp_replace(trim({text}), '[^0-9a-fA-F]', ''))"
    return f"case when trim({text}) regexp '{_UUID}' then {digits} else concat('!', lower(hex({text}))) end"


def _set(column: Column, name: str) -> str | None:
    if bare_type(column.declared) != "set":
        return None
    members = [member.replace("''", "'") for member in _MEMBER.findall(column.declared)]
    if members == sorted(members):
        return as_unicode(column, name)
    # Hexadecimal literals need no escape of quotes, backslashes and percent signs.
    each = (f"if({name} & {1 << members.index(m)}, _utf8mb4 x'{m.encode().hex()}', null)" for m in sorted(members))
    return f"if({name} is null, null, concat_ws(',', {', '.join(each)}))"


def _bits(column: Column, name: str) -> str:
    sizes = _NUMBERS.search(column.declared)
    width = int(sizes[1]) if sizes else 1
    return f"lpad(bin({name} + 0), {width}, '0')" if width > 1 else f"{name} + 0"


def _inet(column: Column, name: str) -> str | None:
    if bare_type(column.declared) not in ("inet6", "inet4"):
        return None
    address = f"lower(hex(inet6_aton({name})))"
    return f"if(left({address}, 24) = '{_MAPPED}', substr({address}, 25), {address})"


_FORMS: Mapping[Family, Callable[[Column, str], str | None]] = {
    Family.INTEGER: _number,
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.BOOLEAN: _number,
    Family.TEXT: as_unicode,
    Family.CHAR: _char,
    Family.BYTES: _bytes,
    Family.DATE: _date,
    Family.TIME: _moment,
    Family.TIMESTAMP: _moment,
    Family.TIMESTAMPTZ: _moment,
    Family.UUID: _uuid,
    Family.ENUM: as_unicode,
    Family.SET: _set,
    Family.BIT: _bits,
    Family.XML: as_unicode,
    Family.INET: _inet,
    Family.GEOMETRY: _bytes,
}
