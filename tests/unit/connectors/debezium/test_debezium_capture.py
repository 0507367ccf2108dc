"""What a connector's own configuration keeps from the stream."""

from __future__ import annotations

from connectors.debezium.capture import captured
from connectors.debezium.template import Source, postgres_connector
from verifier.table import TableName

ORDERS, ODD, OTHER = TableName("public", "orders"), TableName("we ird", "a.b$"), TableName("public", "others")
ALL = (ORDERS, ODD, OTHER)
EVERY = {"skipped.operations": "none"}


def test_the_template_tells_everything_of_its_tables_and_nothing_of_others() -> None:
    config = postgres_connector("shop", Source("h", 1, "u", "p", "d"), [ORDERS, ODD], slot="s", publication="p")
    assert captured(config, ALL) == {ORDERS, ODD}


def test_a_connector_without_lists_tells_of_all() -> None:
    assert captured(EVERY, ALL) == set(ALL)


def test_truncates_are_skipped_unless_the_connector_is_told_otherwise() -> None:
    assert captured({}, ALL) == set()
    assert captured({"skipped.operations": "t"}, ALL) == set()


def test_lists_match_whole_names() -> None:
    assert captured(EVERY | {"table.include.list": "public.order,public\\.other.*"}, ALL) == {OTHER}
    assert captured(EVERY | {"table.exclude.list": "PUBLIC\\.orders"}, ALL) == {ODD, OTHER}
    assert captured(EVERY | {"schema.include.list": "public"}, ALL) == {ORDERS, OTHER}
    assert captured(EVERY | {"schema.exclude.list": "public"}, ALL) == {ODD}


def test_lists_of_which_one_pattern_has_flags_of_its_own_are_read() -> None:
    listed = "public\\.nobody, (?i)PUBLIC\\.(orders|nothing) ,public\\.other."
    assert captured(EVERY | {"table.include.list": listed}, ALL) == {ORDERS, OTHER}


def test_a_pattern_that_cannot_be_read_tells_of_nothing() -> None:
    assert captured(EVERY | {"table.include.list": "\\Qpublic.orders\\E["}, ALL) == set()


def test_a_transformation_may_drop_anything() -> None:
    assert captured(EVERY | {"transforms": "filter"}, ALL) == set()
