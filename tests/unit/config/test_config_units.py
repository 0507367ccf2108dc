"""Durations and sizes with their unit; drafts for `trueup init`."""

from __future__ import annotations

import doctest

import pytest

import config
from config import units
from verifier.tolerance import Tolerance


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(units) == (0, 3)


@pytest.mark.parametrize("value", [5, 5.0, True, None, "", "5", "5 s", "s", "-5s", "5x", "1h 5m", "1e3s", ["5s"]])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError):
        units.seconds(value)


@pytest.mark.parametrize("text", ["1ms", "1s", "1m30s", "1h", "1d2h3m4s5ms", "0s"])
def test_a_duration_is_written_as_it_was_read(text: str) -> None:
    assert units.duration(units.seconds(text)) == text


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 << 20), ("1.5 KiB", 1536), ("1MB", 10**6), ("7B", 7)])
def test_sizes(text: str, size: int) -> None:
    assert units.size_bytes(text) == size
    assert units.size_bytes(units.size(size)) == size


@pytest.mark.parametrize("value", [64, "64", "64 mib", None])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError):
        units.size_bytes(value)


@pytest.mark.parametrize("stream", [None, "pgoutput", config.KafkaSource("k:9092", "shop", "http://c:8083")])
def test_a_draft_loads_and_holds_no_password(stream: config.KafkaSource | str | None) -> None:
    text = config.draft(
        "postgresql://u:hun%22ter2@h:5432/db?sslmode=require",
        {"eu-2": "postgresql://u:hunter3@h2/db", "sub": "postgresql://h3/db"},
        group="shop",
        tables=("public.*", 'odd."x"'),
        stream=stream,
    )
    assert "ter2" not in text
    assert "hunter3" not in text
    group = config.parse(text).groups[0]
    assert str(group.leader.url) == "postgresql://u@h:5432/db?sslmode=require"
    assert group.leader.password == config.Secret("env:SHOP_LEADER_PASSWORD")
    assert group.followers[0].password == config.Secret("env:SHOP_EU_2_PASSWORD")
    assert group.followers[1].password is None
    assert group.tables.include == ("public.*", 'odd."x"')
    assert (group.stream.kind if group.stream else None) == (
        "kafka" if isinstance(stream, config.KafkaSource) else stream
    )


def test_a_draft_names_the_binlog_and_who_repairs() -> None:
    followers = {"eu-2": "mariadb://u@h2/db"}
    group = config.parse(config.draft("mariadb://u@h/db", followers, stream="binlog", repair_user="fixer")).groups[0]
    assert group.stream is not None
    assert group.stream.kind == "binlog"
    assert group.followers[0].repair is not None
    assert (group.followers[0].repair.user, group.followers[0].repair.password) == (
        "fixer",
        config.Secret("env:MAIN_EU_2_REPAIR_PASSWORD"),
    )


def test_what_a_draft_shows_in_comments_holds_when_it_is_taken_in() -> None:
    text = config.draft("postgresql://u@h/db", {"one": "postgresql://h2/db"}, stream="pgoutput")
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.lstrip().startswith("# exclude:"))
    end = next(number for number, line in enumerate(lines) if line.startswith("    stream:"))
    lines[begin:end] = [line.replace("# ", "", 1) for line in lines[begin:end]]
    tables = config.parse("\n".join(lines)).groups[0].tables
    assert tables.exclude == ("public.audit_*",)
    assert tables.exclude_columns == {"public.orders": ("note",)}
    assert tables.mask_columns == {"public.customers": ("email",)}
    assert tables.tolerated() == {
        "*": Tolerance(time_digits=3, ignore_trailing_spaces=True),
        "public.orders.ratio": Tolerance(float_relative=1e-9),
    }
