"""The options that narrow and map, read as they are typed, over what a configuration says."""

from __future__ import annotations

import pytest

from config.replica import Tables
from trueup.audit.request import Request
from trueup.cli.audit_words import Narrowing
from verifier.errors import Misconfigured


@pytest.mark.parametrize(
    ("typed", "conditions"),
    [
        (["a.b=x = 1"], {"a.b": "x = 1"}),
        (["status = 'open'"], {"*": "status = 'open'"}),
        (["id=5"], {"*": "id=5"}),
        (["a.b > 1 and c=2"], {"*": "a.b > 1 and c=2"}),
        (["lower(a.b)='x=y'"], {"*": "lower(a.b)='x=y'"}),
        (["a.b=='x'"], {"*": "a.b=='x'"}),
        (["x.y=a = 1\nor b = 2", "c = 3"], {"x.y": "a = 1\nor b = 2", "*": "c = 3"}),
    ],
)
def test_a_condition_is_of_one_table_only_if_it_says_so(typed: list[str], conditions: dict[str, str]) -> None:
    assert Narrowing(where=typed).applied(Request()).conditions == conditions


def test_what_is_typed_wins_over_the_configuration() -> None:
    tables = Tables(
        columns={"a.b": ("x",), "a.c": ("y",)},
        where={"*": "one", "a.b": "two"},
        map_tables={"a.*": "z.*", "a.b": "z.c"},
        map_columns={"a.b": {"x": "p", "y": "q"}},
    )
    typed = Narrowing(["a.b=three"], ["a.c=v,w"], ["a.b=y.y"], ["a.b.x=r"])
    request = typed.applied(Request(), tables)
    assert request.included == {"a.b": ("x",), "a.c": ("v", "w")}
    assert request.conditions == {"*": "one", "a.b": "three"}
    assert dict(request.table_names) == {"a.*": "z.*", "a.b": "y.y"}
    assert request.column_names == {"a.b": {"x": "r", "y": "q"}}
    assert request.named() == {"a.b", "a.c"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (Narrowing(where=["a.b= "]), "needs an SQL condition"),
        (Narrowing(where=[" "]), "needs an SQL condition"),
        (Narrowing(where=["a = 1", "b = 1"]), "twice for all tables"),
        (Narrowing(where=["a.b=1", "a.b=2"]), "twice for a.b"),
        (Narrowing(columns=["orders"]), "needs schema.table=column,column"),
        (Narrowing(columns=["orders=a"]), "needs schema.table=column,column"),
        (Narrowing(map_tables=["a=b"]), "--map-table 'a=b': needs schema.table=schema.table"),
        (Narrowing(map_tables=["a.*=b.c"]), "the same number of"),
        (Narrowing(map_columns=["a.b=c"]), "needs schema.table.column=column"),
        (Narrowing(map_columns=["a.b.c=z", "a.b.d=z"]), "mapped to one and the same"),
    ],
)
def test_what_cannot_be_understood_is_refused(typed: Narrowing, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        typed.applied(Request())


def test_another_condition_or_name_is_another_run() -> None:
    from verifier.look import Role
    from verifier.ports import Identity

    leader = Identity("memory", "1", "x", 1, Role.LEADER)
    prints = {
        Narrowing(*words).applied(Request()).fingerprint(leader, {})
        for words in (
            [],
            [["a = 1"]],
            [["a.b=a = 1"]],
            [[], ["a.b=c"]],
            [[], [], ["a.b=c.d"]],
            [[], [], [], ["a.b.c=d"]],
        )
    }
    assert len(prints) == 6
