"""What the binlog holds as SQL: ends of transactions, definitions, and changes that nobody told row by row.

A server writes changes of rows as rows, and everything else as the statement that was sent. What a definition names is
read from its text; where that is not certain, it may have touched anything.

What is a comment depends on what is quoted, and where a quote ends may depend on the session's SQL mode, which the text
does not tell: whether a backslash escapes, and whether double quotes hold a name. A text with a backslash is read in
every such way, and whatever one of them names counts.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from verifier.change import Blindness, Cause
from verifier.table import TableName


class Kind(enum.Enum):
    BEGIN = "begin"
    COMMIT = "commit"
    PREPARING = "XA START, XA END"
    XA_COMMIT = "XA COMMIT"
    XA_ROLLBACK = "XA ROLLBACK"
    NOTHING = "changes no row"
    CHANGE = "changes rows, or what a table is"


@dataclass(frozen=True, slots=True)
class Read:
    """`xid`: of XA COMMIT and XA ROLLBACK; `blind`: of a CHANGE."""

    kind: Kind
    blind: tuple[Blindness, ...] = ()
    xid: bytes = b""


def _pieces(single: str, double: str) -> re.Pattern[str]:
    """Quotes and comments, whichever begins first; `single` and `double` are what may stand in such quotes. Of an
    executable comment (`/*! .. */`, MariaDB's `/*M! .. */`) the marks are no SQL, and what is between them is."""
    return re.compile(
        rf"(?P<literal>'(?:{single})*+')"
        rf"|(?P<name>`(?:[^`]|``)*+`|\"(?:{double})*+\")"
        r"|(?P<comment>/\*M?!\d*|/\*.*?\*/|\*/|(?:--(?=[\s\x00-\x1f]|\Z)|#)[^\n]*)"
        r"|(?P<open>['\"`]|/\*)",
        re.S,
    )


_PLAIN, _ESCAPING = (r"[^']|''", r'[^"]|""'), (r"[^'\\]|''|\\.", r'[^"\\]|""|\\.')
_READINGS = (
    _pieces(*_ESCAPING),
    _pieces(*_PLAIN),  # NO_BACKSLASH_ESCAPES
    _pieces(_ESCAPING[0], _PLAIN[1]),  # ANSI_QUOTES: no backslash escapes in a name
)
_FOR = re.compile(r"SET\s+STATEMENT\s(?:`[^`]*`|\"[^\"]*\"|[^`\"])*?\sFOR\s+", re.I)
_PART = r"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$\u0080-\uffff]+)"
_NAME = re.compile(rf"\s*({_PART})(?:\s*\.\s*({_PART}))?")
_HEX = re.compile(r"'[0-9a-f]*'", re.I)  # of an XA transaction's name
_XID = re.compile(r"XA\s+(\w+)\s+X'([0-9a-f]*)'(?:\s*,\s*X'([0-9a-f]*)'(?:\s*,\s*(\d+))?)?", re.I)
_ENDS = {"BEGIN": Kind.BEGIN, "COMMIT": Kind.COMMIT, "ROLLBACK": Kind.COMMIT}  # what was rolled back was not logged
_QUIET = re.compile(
    r"(?:SAVEPOINT|RELEASE|ROLLBACK\s+TO|GRANT|REVOKE|SET|ANALYZE|OPTIMIZE|FLUSH|CHECK|INSTALL|UNINSTALL|USE|DO"
    r"|(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?"
    r"(?:(?:ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*\S+|SQL\s+SECURITY\s+\w+|AGGREGATE|TEMPORARY\s+TABLE)\s+)*"
    r"(?:USER|ROLE|VIEW|TRIGGER|FUNCTION|PROCEDURE|EVENT|SEQUENCE|SERVER|PACKAGE|INSTANCE|RESOURCE|UNDO|LOGFILE|TABLESPACE"
    r"|SPATIAL\s+REFERENCE)"
    r"|(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?TEMPORARY"
    r"|(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)"
    r"|(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?(?:ONLINE\s+|OFFLINE\s+)?(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?INDEX)\b",
    re.I,
)
_TRUNCATE = re.compile(r"TRUNCATE(?:\s+TABLE)?\b", re.I)
_TABLE = re.compile(
    r"(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:ONLINE\s+|OFFLINE\s+|IGNORE\s+)*TABLES?"
    r"(?:\s+IF\s+(?:NOT\s+)?EXISTS)?(?=\W)",
    re.I,
)
_RENAME = re.compile(r"RENAME\s+TABLES?(?:\s+IF\s+EXISTS)?(?=\W)", re.I)
_TAIL = re.compile(r"(?:\s*\b(?:RESTRICT|CASCADE|NOWAIT|WAIT\s+\d+)\b)*\s*\Z", re.I)
_SEPARATOR = re.compile(r"(?:\s+(?:NOWAIT|WAIT\s+\d+)\b)?\s*(?:,|TO\b)", re.I)
_OTHERS = re.compile(
    r"(?P<quoted>`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"
    r"|\b(?:RENAME(?:\s*=|\s+(?:TO|AS)(?=\W)|(?=\W))|(?:WITH|TO|CONVERT)\s+TABLE(?=\W)"
    rf"|FROM\s+PARTITION\s+{_PART}\s+TO(?=\W))"
    r"(?!\s+(?:COLUMN|INDEX|KEY|PARTITION)\b)",
    re.I,
)


def read(sql: str, schema: str, *, fold: bool = False) -> Read:
    """`schema` is the session's default database; `fold`: the server's names of tables are in lower case."""
    readings = _READINGS if "\\" in sql else _READINGS[:1]
    texts = dict.fromkeys(_bare_sql(sql, reading) for reading in readings)
    # One that leaves a quote open is not the server's.
    reads = list(dict.fromkeys(_one(text, schema, fold) for text in texts if text is not None))
    if not reads:
        return Read(Kind.CHANGE, (Blindness(Cause.UNREADABLE, None, "a statement whose quotes do not end"),))
    if len(reads) == 1:
        return reads[0]
    blind = [one for each in reads for one in each.blind]
    if any(each.kind is not Kind.CHANGE for each in reads):
        blind.append(Blindness(Cause.UNREADABLE, None, "a statement that can be read in two ways"))
    return Read(Kind.CHANGE, tuple(dict.fromkeys(blind)))


def _bare_sql(sql: str, reading: re.Pattern[str]) -> str | None:
    """Without comments, and without what stands in literals; None if a quote or a comment does not end."""
    ended = True

    def kept(piece: re.Match[str]) -> str:
        nonlocal ended
        ended = ended and piece["open"] is None
        if piece["literal"] is not None:
            return piece[0] if _HEX.fullmatch(piece[0]) else "''"
        return piece[0] if piece["name"] is not None else " "

    text = reading.sub(kept, sql).strip().rstrip(";").strip()
    return text if ended else None


def _one(text: str, schema: str, fold: bool) -> Read:
    text = _FOR.sub("", text, count=1) if _FOR.match(text) else text
    ends = _ENDS.get(text.upper())
    if ends is not None:
        return Read(ends)
    if text[:3].upper() == "XA ":
        return _xa(text)
    if _QUIET.match(text):
        return Read(Kind.NOTHING)
    if (found := _TRUNCATE.match(text)) is not None:
        return _blind(Cause.TRUNCATE, *_names(text, found.end(), schema, fold))
    if (found := _TABLE.match(text)) is not None:
        return _defined(text, found.end(), schema, fold)
    if (found := _RENAME.match(text)) is not None:
        return _blind(Cause.DDL, *_names(text, found.end(), schema, fold))
    if re.match(r"DROP\s+(?:DATABASE|SCHEMA)\b", text, re.I):
        return Read(Kind.CHANGE, (Blindness(Cause.DDL, None, "a database was dropped"),))
    word = re.match(r"\w*", text)
    return Read(
        Kind.CHANGE,
        (Blindness(Cause.UNREADABLE, None, f"{word[0].upper() if word else ''} logged as a statement"),),
    )


def _defined(text: str, at: int, schema: str, fold: bool) -> Read:
    """CREATE, ALTER and DROP TABLE, whose names begin there."""
    names, whole = _names(text, at, schema, fold)
    if text[:4].upper() == "DROP":
        return _blind(Cause.DDL, names, whole)
    names = names[:1]
    if text[:5].upper() == "ALTER":
        for other in _OTHERS.finditer(text):
            if other["quoted"] is None:
                names += _names(text, other.end(), schema, fold)[0][:1]
    return _blind(Cause.DDL, names)


def _xa(text: str) -> Read:
    found = _XID.match(text)
    if found is None:
        return Read(Kind.CHANGE, (Blindness(Cause.UNREADABLE, None, "an XA statement that was not understood"),))
    word, gtrid, bqual, number = found.groups()
    xid = f"{number or 1}:{gtrid}:{bqual or ''}".lower().encode()
    kind = {"COMMIT": Kind.XA_COMMIT, "ROLLBACK": Kind.XA_ROLLBACK}.get(word.upper(), Kind.PREPARING)
    return Read(kind, xid=xid)


def _blind(cause: Cause, names: Sequence[TableName], whole: bool = True) -> Read:
    """`whole`: nothing behind the names was left that could be one more."""
    blind = [Blindness(cause, name) for name in dict.fromkeys(names)]
    if not names or not whole:
        blind.append(Blindness(cause, None, "a definition that was not understood"))
    return Read(Kind.CHANGE, tuple(blind))


def _names(text: str, at: int, schema: str, fold: bool) -> tuple[list[TableName], bool]:
    """Names separated by commas or TO, from there on; and whether the statement ends behind them."""
    names: list[TableName] = []
    while (found := _NAME.match(text, at)) is not None:
        first, second = (None if part is None else _bare(part, fold) for part in found.groups())
        assert first is not None
        names.append(TableName(schema, first) if second is None else TableName(first, second))
        at = found.end()
        separator = _SEPARATOR.match(text, at)
        if separator is None:
            return names, _TAIL.match(text, at) is not None
        at = separator.end()
    return names, False


def _bare(part: str, fold: bool) -> str:
    quote = part[0]
    bare = part[1:-1].replace(quote * 2, quote) if quote in '`"' else part
    return bare.lower() if fold else bare
