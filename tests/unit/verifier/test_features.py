"""What tables have beside their columns, held against each other: by definition, whatever its name, and in words that
two engines share."""

from __future__ import annotations

from verifier.compare import SchemaFinding, Severity
from verifier.features import UNTOLD, Feature, Lined, differences

SAME = Lined(alike=True, columns=frozenset({"id", "a", "b"}))
ABROAD = Lined(alike=False, columns=frozenset({"id", "a", "b"}))


def found(leader: list[Feature], follower: list[Feature], lined: Lined = SAME) -> list[SchemaFinding]:
    return list(differences(leader, follower, lined))


def test_equal_definitions_need_no_equal_names() -> None:
    ours = [Feature("i1", "index", "index (a)", "a"), Feature("u1", "unique", "unique (b)", "b")]
    theirs = [Feature("u9", "unique", "unique (b)", "b"), Feature("i9", "index", "index (a)", "a")]
    assert found(ours, theirs) == []


def test_what_only_one_side_has_is_a_finding_and_each_is_counted() -> None:
    twice = [Feature("i1", "index", "index (a)"), Feature("i2", "index", "index (a)")]
    assert found(twice, [Feature("i9", "index", "index (a)")]) == [
        SchemaFinding("i1", "index", "index (a)", None, Severity.NOTICE)
    ]
    assert found([], [Feature("c", "check", "CHECK (a > 0)")]) == [
        SchemaFinding("c", "check", None, "CHECK (a > 0)", Severity.WARNING)
    ]


def test_one_name_with_two_definitions_is_one_finding() -> None:
    assert found([Feature("f", "foreign key", "to x cascade")], [Feature("f", "foreign key", "to x")]) == [
        SchemaFinding("f", "foreign key", "to x cascade", "to x", Severity.WARNING)
    ]


def test_two_engines_compare_what_both_can_say() -> None:
    ours = [
        Feature("i", "index", "USING btree (a, b)", "a, b"),
        Feature("c", "check", "CHECK ((a > 0))"),
        Feature("f", "foreign key", "FOREIGN KEY (a) REFERENCES public.t(id)", "a -> t(id)"),
        Feature("a", "default", "'x'::text", "x"),
        Feature("b", "default", "lower('X'::text)"),
    ]
    theirs = [
        Feature("k", "index", "KEY k (a, b)", "a, b"),
        Feature("c", "check", "(`a` > 0)"),
        Feature("g", "foreign key", "foreign key", "a -> t(id)"),
        Feature("a", "default", "'x'", "x"),
        Feature("b", "default", "upper('x')", "X"),
    ]
    assert found(ours, theirs, ABROAD) == []
    theirs[0] = Feature("k", "index", "KEY k (b, a)", "b, a")
    theirs[3] = Feature("a", "default", "'y'", "y")
    assert found(ours, theirs, ABROAD) == [
        SchemaFinding("i", "index", "USING btree (a, b)", None, Severity.NOTICE),
        SchemaFinding("k", "index", None, "KEY k (b, a)", Severity.NOTICE),
        SchemaFinding("a", "default", "'x'::text", "'y'", Severity.NOTICE),
    ]


def test_a_default_on_one_side_alone_is_told_and_of_a_column_that_is_not_there_it_is_not() -> None:
    assert found([Feature("a", "default", "5")], []) == [SchemaFinding("a", "default", "5", None, Severity.NOTICE)]
    assert found([], [Feature("a", "default", "5", "5")], ABROAD) == [
        SchemaFinding("a", "default", None, "5", Severity.NOTICE)
    ]
    assert found([Feature("a", "default", "f()")], [], ABROAD) == []
    assert found([Feature("gone", "default", "5")], [Feature("more", "default", "6")]) == []


def test_what_an_engine_does_not_tell_is_not_called_absent() -> None:
    ours = [
        Feature("i", "index", "USING btree (a)", "a"), Feature("u", "unique", "unique (b)", "b"),
        Feature("f", "foreign key", "a -> t(id)", "a -> t(id)"), Feature("a", "default", "5", "5"),
    ]  # fmt: skip
    silent = [Feature("", UNTOLD, "index"), Feature("", UNTOLD, "foreign key"), Feature("", UNTOLD, "default")]
    unique = SchemaFinding("u", "unique", "unique (b)", None, Severity.WARNING)
    assert found(ours, silent, ABROAD) == [unique]
    assert found(silent, ours, ABROAD) == [SchemaFinding("u", "unique", None, "unique (b)", Severity.WARNING)]


def test_other_names_of_table_and_columns_are_seen_through() -> None:
    renamed = Lined(alike=True, columns=SAME.columns, table_renamed=True, renamed={"x": "a"})
    ours = [
        Feature("i", "index", "index (a, b)", "a, b"),
        Feature("f", "foreign key", "FOREIGN KEY (a) REFERENCES public.t(id)", "a -> t(id)"),
        Feature("c", "check", "CHECK (a > 0)"),
        Feature("a", "default", "5"),
    ]
    theirs = [
        Feature("i", "index", "index (x, b)", "x, b"),
        Feature("f", "foreign key", "FOREIGN KEY (x) REFERENCES archive.t(id)", "x -> t(id)"),
        Feature("c", "check", "CHECK (x > 0)"),
        Feature("x", "default", "6"),
    ]
    assert found(ours, theirs, renamed) == [SchemaFinding("a", "default", "5", "6", Severity.NOTICE)]
    moved = Lined(alike=True, columns=SAME.columns, table_renamed=True)
    assert found(ours[:2], [ours[0], Feature("f", "foreign key", "REFERENCES archive.t", "a -> t(id)")], moved) == []


def test_what_is_wrong_by_itself_weighs_more_where_writes_go() -> None:
    behind = Feature("x", "sequence", "by 1", problem="its next value 1 is not beyond 2")
    ours = Feature("a", "sequence", "by 1", problem="its next value 1 is not beyond 2")
    renamed = Lined(alike=True, columns=SAME.columns, renamed={"x": "a"})
    assert found([ours], [behind], renamed) == [
        SchemaFinding(
            "a", "sequence", "by 1", None, Severity.WARNING, "on the leader: its next value 1 is not beyond 2"
        ),
        SchemaFinding(
            "a", "sequence", None, "by 1", Severity.NOTICE, "on the follower: its next value 1 is not beyond 2"
        ),
    ]
