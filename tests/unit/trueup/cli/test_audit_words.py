"""The options that narrow and map, read as they are typed, over what a configuration says."""

from __future__ import annotations

import pytest

from config.replica import Tables
from trueup.audit.recheck import as_in
from trueup.audit.request import Request
from trueup.cli.asking import Words, planned
from trueup.cli.audit_words import Narrowing
from verifier.errors import Misconfigured
from verifier.tolerance import Tolerance


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


def test_tolerances_that_are_typed_win_place_by_place() -> None:
    tables = Tables.model_validate({"tolerances": {"*": {"time_digits": 3}, "a.b": {"strict_scale": True}}})
    typed = Narrowing(
        tolerate=["a.b=ignore_trailing_spaces,time_digits:0", "a.b.c=float_relative:1e-9", "a.b=strict_scale"]
    )
    request = typed.applied(Request(), tables)
    assert request.tolerances == {
        "*": Tolerance(time_digits=3),
        "a.b": Tolerance(time_digits=0, ignore_trailing_spaces=True, strict_scale=True),
        "a.b.c": Tolerance(float_relative=1e-9),
    }
    assert request.named() == {"a.b"}
    assert as_in(request.told(), Request()).tolerances == request.tolerances


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
        (Narrowing(tolerate=["time_digits:3"]), "needs PLACE="),
        (Narrowing(tolerate=["a=time_digits:3"]), "needs PLACE="),
        (Narrowing(tolerate=["a.b=time_digits"]), "'time_digits' is none of"),
        (Narrowing(tolerate=["a.b=strict_scale:1"]), "'strict_scale:1' is none of"),
        (Narrowing(tolerate=["a.b=time_digits:x"]), "'x' is no number for time_digits"),
        (Narrowing(tolerate=["a.b=time_digits:12"]), "time_digits is 12: needs"),
        (Narrowing(tolerate=["*=float_relative:2"]), "float_relative is 2: needs"),
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
            [[], [], [], [], ["a.b=time_digits:3"]],
            [[], [], [], [], ["a.b=time_digits:4"]],
        )
    }
    assert len(prints) == 8


@pytest.mark.parametrize("tables", [["public.t"], ["*"], ["public.t", "public.u"], ["public.?"], ["t"]])
def test_only_one_table_that_is_named_whole_may_be_left_out(tables: list[str]) -> None:
    typed = Narrowing(columns=["a,b"])
    words = Words(
        leader="sqlite:///a.db", followers=["sqlite:///b.db"], tables=tables, keys=["id,n"], excluded=["note"],
        narrowing=typed,
    )  # fmt: skip
    if tables != ["public.t"]:
        with pytest.raises(Misconfigured, match=r"needs schema\.table"):
            planned(words)
        return
    request = planned(words).request
    assert request.keys == {"public.t": ("id", "n")}
    assert request.excluded == {"public.t": ("note",)}
    assert request.included == {"public.t": ("a", "b")}


def test_so_may_it_before_what_is_tolerated() -> None:
    typed = ["strict_scale", "seen=time_digits:0", "u=ignore_trailing_spaces,time_digits:3", "*=time_digits:6"]
    whole = ["public.t.ratio=float_relative:1e-9", "public.u=time_digits:1"]

    def request(tables: list[str], tolerate: list[str]) -> Request:
        narrowing = Narrowing(tolerate=tolerate)
        return planned(Words(None, None, "sqlite:///a.db", ["sqlite:///b.db"], tables, narrowing=narrowing)).request

    assert request(["public.t"], typed + whole).tolerances == {
        "public.t": Tolerance(strict_scale=True),
        "public.t.seen": Tolerance(time_digits=0),
        "public.t.u": Tolerance(ignore_trailing_spaces=True, time_digits=3),
        "*": Tolerance(time_digits=6),
        "public.t.ratio": Tolerance(float_relative=1e-9),
        "public.u": Tolerance(time_digits=1),
    }
    for word in typed[:3]:
        with pytest.raises(Misconfigured, match="needs PLACE="):
            request(["public.t", "public.u"], [word])
