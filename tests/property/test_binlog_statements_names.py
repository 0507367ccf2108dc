"""Whatever tables are called, and whatever is said between their names: a definition names all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.binlog.statements import Kind, read

_ODD = "ab#-*/'\"` \\\n;,.!M()=Ü€to"
names = st.text(_ODD, min_size=1, max_size=8)
said = st.text(_ODD, max_size=8)
comments = st.one_of(
    st.just(" "),
    said.map(lambda text: f" /*{text.replace('*', '').replace('!', '').replace('M', '')}*/ "),
    said.map(lambda text: f" -- {text}".replace("\n", "") + "\n"),
    said.map(lambda text: f" #{text}".replace("\n", "") + "\n"),
)


def quoted(name: str, mark: str) -> str:
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@st.composite
def definitions(draw: st.DrawFn) -> tuple[str, list[str]]:
    tables = draw(st.lists(names, min_size=1, max_size=4))
    # A backslash in double quotes may be a string's, which is no name at all.
    spelled = [quoted(name, draw(st.sampled_from("`" if "\\" in name else '`"'))) for name in tables]
    gap = [draw(comments) for _ in range(4)]
    kind = draw(st.sampled_from(["drop", "rename", "alter", "executable"]))
    if kind == "drop":
        return f"DROP{gap[0]}TABLE{gap[1]}" + f"{gap[2]},{gap[3]}".join(spelled), tables
    if kind == "rename":
        pairs = [f"{one}{gap[2]}TO{gap[3]}`{number}`" for number, one in enumerate(spelled)]
        return f"RENAME TABLE{gap[0]}" + f",{gap[1]}".join(pairs), [*tables, *map(str, range(len(tables)))]
    comment = draw(st.sampled_from([quoted(draw(said), "'"), escaped(draw(said))]))
    rename = f"COMMENT {comment},{gap[1]}RENAME TO{gap[2]}{spelled[-1]}"
    more = rename if kind == "alter" else f"/*!80000 {rename} */"
    return f"ALTER TABLE{gap[0]}{spelled[0]}{gap[3]}{more}", [tables[0], tables[-1]]


@given(definitions())
def test_every_table_of_a_definition_is_named(definition: tuple[str, list[str]]) -> None:
    sql, tables = definition
    found = read(sql, "db")
    assert found.kind is Kind.CHANGE
    told = {one.table.name for one in found.blind if one.table is not None}
    if "\\" in sql or None in {one.table for one in found.blind}:  # where it can be read in more than one way
        assert set(tables) <= told or None in {one.table for one in found.blind}
    else:
        assert told == set(tables)


@given(st.text("abDROPTABLE `'\"#-/*!\\\n;,X", max_size=60))
def test_any_text_is_read(sql: str) -> None:
    found = read(sql, "db")
    assert found.kind is not Kind.CHANGE or found.blind
