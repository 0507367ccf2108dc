"""What a table has beside its columns, as the pragmas tell it. Checks have no pragma: they are read from its SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.sqlite.session import Session, Sessions
from verifier.features import Feature
from verifier.table import TableName

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*]|--[^\n]*|/\*.*?(?:\*/|\Z)|[<>=!|]+|\w+|\s+|.""", re.DOTALL
)
_WORDS = {"current_timestamp": "now", "true": "1", "false": "0"}


def features_of(session: Session, sessions: Sessions, name: TableName) -> tuple[Feature, ...]:
    """Indexes, unique and foreign keys, checks, and defaults of a table."""
    schema, table = sessions.quote(name.schema), sessions.quote(name.name)
    columns = session.all(f"pragma {schema}.table_xinfo({table})")
    found = list(_indexes(session, sessions, name))
    key = ", ".join(row[1] for row in sorted((row for row in columns if row[5]), key=lambda row: row[5]))
    if key and not any(one.text.startswith("primary key") for one in found):  # an alias of the rowid has no index
        found.append(Feature("primary key", "unique", f"primary key ({key})", key))
    found += _foreign_keys(session.all(f"pragma {schema}.foreign_key_list({table})"))
    made = session.all(f"select sql from {schema}.sqlite_schema where type = 'table' and name = ?", (name.name,))
    for (sql,) in made:
        found += [Feature(f"check {one}", "check", f"check ({one})") for one in checks_of(sql)]
    found += [
        Feature(row[1], "default", row[4], portable_default(row[4]))
        for row in columns
        if row[4] is not None and row[6] == 0
    ]
    return tuple(found)


def _indexes(session: Session, sessions: Sessions, name: TableName) -> Iterator[Feature]:
    schema = sessions.quote(name.schema)
    for row in session.all(f"pragma {schema}.index_list({sessions.quote(name.name)})"):
        index, unique, origin, partial = row[1], row[2], row[3], row[4]
        parts = session.all(f"pragma {schema}.index_xinfo({sessions.quote(index)})")
        keys = [(column, down, collation) for _, _, column, down, collation, key in parts if key]
        plain = not partial and all(column is not None for column, _, _ in keys)
        kind = "primary key" if origin == "pk" else "unique" if unique else "index"
        spelled = ", ".join(
            (column or "expression")
            + (" desc" if down else "")
            + ("" if collation == "BINARY" else f" collate {collation}")
            for column, down, collation in keys
        )
        made = session.all(f"select sql from {schema}.sqlite_schema where type = 'index' and name = ?", (index,))
        condition = re.split(r"(?i)\)\s*where\b", made[0][0], maxsplit=1)[1:] if partial and made and made[0][0] else []
        text = f"{kind} ({spelled}){f' where{condition[0]}' if condition else ''}"
        portable = ", ".join(str(column) for column, _, _ in keys) if plain else None
        yield Feature(index, "unique" if unique else "index", text, portable)


def _foreign_keys(rows: list[tuple[object, ...]]) -> Iterator[Feature]:
    """Rows: id, place, table, from, to, on update, on delete, match. `to` may be NULL: the primary key."""
    for number in sorted({row[0] for row in rows}, key=str):
        parts = sorted((row for row in rows if row[0] == number), key=lambda row: str(row[1]).zfill(4))
        ours = ", ".join(str(row[3]) for row in parts)
        said = all(row[4] is not None for row in parts)
        theirs = ", ".join(str(row[4]) for row in parts) if said else "its primary key"
        table, on_update, on_delete = parts[0][2], parts[0][5], parts[0][6]
        text = f"foreign key ({ours}) references {table} ({theirs}) on update {on_update} on delete {on_delete}".lower()
        yield Feature(f"foreign key {ours}", "foreign key", text, f"{ours} -> {table}({theirs})" if said else None)


def checks_of(sql: str) -> Iterator[str]:
    """The conditions of the checks in a CREATE TABLE statement, with one blank between any two words of them."""
    words: list[str] = []
    depth = inside = 0
    announced = False
    for token in _TOKEN.findall(sql):
        if token.isspace() or token.startswith(("--", "/*")):
            continue
        depth += token == "("
        if token == "(" and announced:
            inside, words = depth, []
        elif token == ")" and depth == inside:
            yield " ".join(words)
            inside = 0
        elif inside:
            words.append(token)
        announced = not inside and token.lower() == "check"
        depth -= token == ")"


def portable_default(expression: str) -> str | None:
    """A default as any engine can say it: a constant without quotes, or `now`; None for the rest."""
    text = expression.strip().strip("()").strip()
    if text.startswith("'") and text.endswith("'") and "'" not in text[1:-1]:
        return text[1:-1]
    if _NUMBER.fullmatch(text):
        return text
    return _WORDS.get(text.lower())
