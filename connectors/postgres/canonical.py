"""The canonical encoding in PostgreSQL's SQL: the same bytes, and the same hash of them, as `verifier.encoding`.

The session's settings are pinned (`connectors.postgres.session`), so `::text` is ISO, in UTC, with every digit. What is
written here was chosen by time over 300,000 rows (`docs/canonical.md` says what it costs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connectors.postgres.expressions import Quote, bare_type
from verifier.encoding import NULL, TEXTS
from verifier.table import Column, Family, Verbatim

BYTES_TO_NUMBER_SINCE = 180000
_ARGUMENTS_MAX = 100
_NAN = "7ff8000000000000"
_UUID = r"^(\\x[0-9a-f]{32}|\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?)$"

_NO_JSONB = r"\\u(0000|d[89a-f])|[0-9]e[+-]?[0-9]{4}|[0-9]{250}"


def canonical_sql(column: Column, name: str) -> str | None:
    """SQL of type text for the digest form (`verifier.encoding.field`) of the column that is called `name` there; NULL
    for NULL. None if SQL cannot write it: JSON by structure, and text that stands for an address."""
    if column.verbatim:
        return _verbatim(bare_type(column.declared), name, column.verbatim)
    form = _FORMS.get(column.meets_as, _as_text)
    return form(bare_type(column.declared), name)


def row_text(columns: Sequence[Column], quote: Quote, *, of: str = "") -> str:
    """X, as SQL of type text; columns are qualified by `of` (an alias). ValueError if there is none for a column."""
    fixed: list[str] = []
    texts: list[str] = []
    for column in columns:
        name = f"{of}.{quote(column.stored)}" if of else quote(column.stored)
        written = canonical_sql(column, name)
        if written is None:
            raise ValueError(f"SQL cannot write the canonical form of {column.name} ({column.declared})")
        if column.meets_as in TEXTS:
            texts.append(written)
        else:
            fixed.append(f"coalesce({written}, '{NULL}')")
    lengths = [f"coalesce(octet_length({text})::text, '{NULL}')" for text in texts]
    if texts:
        lengths[-1] = f"({texts[-1]} is null)::int"
    return _joined([*fixed, *lengths], texts)


def fixed_text(columns: Sequence[Column], quote: Quote, *, of: str) -> str:
    """The fields of fixed alphabet as they begin X, as SQL of type text."""
    fixed = [column for column in columns if column.meets_as not in TEXTS]
    return _joined([f"coalesce({canonical_sql(c, f'{of}.{quote(c.stored)}')}, '{NULL}')" for c in fixed])


def _joined(always: Sequence[str], perhaps: Sequence[str] = ()) -> str:
    """All that are not NULL, separated by commas; `always` never are. A function takes a hundred arguments."""
    if len(always) + len(perhaps) < _ARGUMENTS_MAX:
        return f"concat_ws(',', {', '.join((*always, *perhaps))})"
    groups = [f"concat_ws(',', {', '.join(group)})" for group in _groups(always)]
    for group in _groups(perhaps):  # of nothing but NULL there is nothing to separate
        some = ", ".join(group)
        groups.append(f"case when num_nonnulls({some}) > 0 then concat_ws(',', {some}) end")
    return f"concat_ws(',', {', '.join(groups)})"


def _groups(written: Sequence[str]) -> list[Sequence[str]]:
    size = _ARGUMENTS_MAX - 1
    return [written[at : at + size] for at in range(0, len(written), size)]


def hash_of(text: str, version: int) -> str:
    """SQL of type bigint: the first 8 bytes of the SHA-256 of `text`. `version` is the server's, as 150018."""
    digest = f"substr(sha256(convert_to({text}, 'UTF8')), 1, 8)"
    if version >= BYTES_TO_NUMBER_SINCE:
        return f"{digest}::bigint"
    return f"('x' || encode({digest}, 'hex'))::bit(64)::bigint"


def value_text(column: Column, name: str) -> str:
    """The value as text that `verifier.canonical` reads. A real is widened: 0.1 in four bytes is not 0.1 in eight."""
    return f"{name}::float8::text" if bare_type(column.declared) == "real" else f"{name}::text"


def _as_text(_bare: str, name: str) -> str:
    return f"{name}::text"


def _decimal(bare: str, name: str) -> str:
    return f"trim_scale({name})::text" if bare == "numeric" else f"{name}::text"


def _float(_bare: str, name: str) -> str:
    bits = f"encode(float8send({name}::float8 + 0), 'hex')"  # -0 + 0 is 0
    return f"case when {name} = 'NaN' then '{_NAN}' else {bits} end"


def _boolean(bare: str, name: str) -> str:
    return f"{name}::int::text" if bare == "boolean" else f"{name}::text"


def _char(bare: str, name: str) -> str:
    return f"{name}::text" if bare == "character" else f"rtrim({name}::text, ' ')"


def _bytes(_bare: str, name: str) -> str:
    return f"encode({name}, 'hex')"


def _instant(bare: str, name: str) -> str:
    return f"({name} at time zone 'UTC')::text" if bare == "timestamp with time zone" else f"{name}::text"


def _interval(bare: str, name: str) -> str:
    name = name if bare == "interval" else f"{name}::interval"
    months = f"(extract(year from {name}) * 12 + extract(month from {name}))::bigint"
    hours = f"extract(hour from {name})::bigint * 60 + extract(minute from {name})::bigint"
    clock = f"(({hours}) * 60000000 + extract(microseconds from {name})::bigint)"
    parts = f"concat_ws(' ', {months}, extract(day from {name})::bigint, {clock})"
    return f"case when isfinite({name}) then {parts} else {name}::text end"


def _uuid(bare: str, name: str) -> str:
    if bare == "uuid":
        return f"encode(uuid_send({name}), 'hex')"
    if bare == "bytea":
        return f"case when octet_length({name}) = 16 then encode({name}, 'hex') else {_opaque(name)} end"
    text = f'btrim({name}::text) collate "C"'
    digits = f"regexp_replace(lower({text}), '[^0-9a-f]', '', 'g')"
    return f"case when {text} ~* '{_UUID}' then {digits} else {_opaque(name)} end"


def _set(_bare: str, name: str) -> str:
    members = f"unnest(string_to_array({name}::text, ',')) as m(m)"
    joined = f"""(select string_agg(distinct m collate "C", ',' order by m collate "C") from {members})"""
    return f"case when {name} is not null then coalesce({joined}, '') end"


def _inet(bare: str, name: str) -> str | None:
    if bare not in ("inet", "cidr"):
        return None
    address = f"encode(substr(inet_send({name}), 5), 'hex')"
    whole = f"masklen({name}) = case family({name}) when 4 then 32 else 128 end"
    unmapped, network = f"regexp_replace({address}, '^0{{20}}ffff', '')", f"{address} || '/' || masklen({name})"
    return f"case when {whole} then {unmapped} else {network} end"


def _verbatim(bare: str, name: str, text: Verbatim) -> str:
    """JSON as `jsonb` prints it, which is how MySQL does; `json` also as it was written, which MariaDB keeps. What
    `jsonb` cannot hold stays as it was written: half a surrogate pair, the character 0, numbers of any size."""
    if bare != "json" or text is Verbatim.STORED:
        return f"{name}::text"
    return f"case when {name}::text ~* '{_NO_JSONB}' then {name}::text else {name}::jsonb::text end"


def _none(_bare: str, _name: str) -> None:
    return None


def _opaque(name: str) -> str:
    return f"'!' || encode(convert_to({name}::text, 'UTF8'), 'hex')"


_FORMS: Mapping[Family, Callable[[str, str], str | None]] = {
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.BOOLEAN: _boolean,
    Family.CHAR: _char,
    Family.BYTES: _bytes,
    Family.TIMESTAMPTZ: _instant,
    Family.INTERVAL: _interval,
    Family.UUID: _uuid,
    Family.JSON: _none,
    Family.SET: _set,
    Family.INET: _inet,
}
