"""What is known of a table's key while its description is being asked for anew."""

from __future__ import annotations

from fixtures.memory_group import MemoryServers, T, described


def test_a_forgotten_table_keeps_its_key_until_it_is_described_anew() -> None:
    book = MemoryServers(described(T)).grouped().book
    assert book.cached_key(T) == ()
    book.table(T)
    for name in (T, None):
        book.forget(name)
        assert book.cached_key(T) == ("id",)
