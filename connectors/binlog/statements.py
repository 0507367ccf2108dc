"""What the binlog holds as SQL: ends of transactions, definitions, and changes that nobody told row by row.

A server writes changes of rows as rows, and everything else as the statement that was sent. What a definition names is
read from its text; where that is not certain, it may have touched anything.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
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


_COMMENT = re.compile(r"/\*(?!M?!)(?:.|\n)*?\*/|(?:--\s|#)[^\n]*(?:\n|$)")
_CONDITIONAL = re.compile(r"/\*M?!\d*\s?|\*/")
_FOR = re.compile(r"SET\s+STATEMENT\s(?:.|\n)*?\sFOR\s+", re.I)
_PART = r"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$\u0080-\uffff]+)"
_NAME = re.compile(rf"\s*({_PART})(?:\s*\.\s*({_PART}))?")
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
_OTHERS = re.compile(
    rf"\b(?:RENAME(?:\s+(?:TO|AS))?|WITH\s+TABLE|FROM\s+PARTITION\s+{_PART}\s+TO)(?!\s+(?:COLUMN|INDEX|KEY|PARTITION)\b)"
    r"(?=\s)",
    re.I,
)


def read(sql: str, schema: str, *, fold: bool = False) -> Read:
    """`schema` is the session's default database; `fold`: the server's names of tables are in lower case."""
    text = _CONDITIONAL.sub(" ", _COMMENT.sub(" ", sql)).strip().rstrip(";").strip()
    text = _FOR.sub("", text, count=1) if _FOR.match(text) else text
    ends = _ENDS.get(text.upper())
    if ends is not None:
        return Read(ends)
    if text[:3].upper() == "XA ":
        return _xa(text)
    if _QUIET.match(text):
        return Read(Kind.NOTHING)
    if (found := _TRUNCATE.match(text)) is not None:
        return _blind(Cause.TRUNCATE, _names(text, found.end(), schema, fold))
    if (found := _TABLE.match(text)) is not None:
        names = _names(text, found.end(), schema, fold)
        if text[:5].upper() == "ALTER":
            names = names[:1]
            for other in _OTHERS.finditer(text):
                names += _names(text, other.end(), schema, fold)[:1]
        return _blind(Cause.DDL, names)
    if (found := _RENAME.match(text)) is not None:
        return _blind(Cause.DDL, _names(text, found.end(), schema, fold))
    if re.match(r"DROP\s+(?:DATABASE|SCHEMA)\b", text, re.I):
        return Read(Kind.CHANGE, (Blindness(Cause.DDL, None, "a database was dropped"),))
    word = re.match(r"\w*", text)
    return Read(
        Kind.CHANGE,
        (Blindness(Cause.UNREADABLE, None, f"{word[0].upper() if word else ''} logged as a statement"),),
    )


def _xa(text: str) -> Read:
    found = _XID.match(text)
    if found is None:
        return Read(Kind.CHANGE, (Blindness(Cause.UNREADABLE, None, "an XA statement that was not understood"),))
    word, gtrid, bqual, number = found.groups()
    xid = f"{number or 1}:{gtrid}:{bqual or ''}".lower().encode()
    kind = {"COMMIT": Kind.XA_COMMIT, "ROLLBACK": Kind.XA_ROLLBACK}.get(word.upper(), Kind.PREPARING)
    return Read(kind, xid=xid)


def _blind(cause: Cause, names: list[TableName]) -> Read:
    if not names:
        return Read(Kind.CHANGE, (Blindness(cause, None, "a definition that was not understood"),))
    return Read(Kind.CHANGE, tuple(Blindness(cause, name) for name in dict.fromkeys(names)))


def _names(text: str, at: int, schema: str, fold: bool) -> list[TableName]:
    """Names separated by commas or TO, from there on."""
    return list(_listed(text, at, schema, fold))


def _listed(text: str, at: int, schema: str, fold: bool) -> Iterator[TableName]:
    while (found := _NAME.match(text, at)) is not None:
        first, second = (None if part is None else _bare(part, fold) for part in found.groups())
        assert first is not None
        yield TableName(schema, first) if second is None else TableName(first, second)
        at = found.end()
        separator = re.compile(r"\s*(?:,|TO\b)", re.I).match(text, at)
        if separator is None:
            return
        at = separator.end()


def _bare(part: str, fold: bool) -> str:
    quote = part[0]
    bare = part[1:-1].replace(quote * 2, quote) if quote in '`"' else part
    return bare.lower() if fold else bare
