"""What is known of a table's key while its description is being asked for anew, and what its values may differ by."""

from __future__ import annotations

from fixtures.memory_group import MemoryServers, T, described

from verifier.table import Scheme
from verifier.tolerance import Tolerance


def test_a_forgotten_table_keeps_its_key_until_it_is_described_anew() -> None:
    book = MemoryServers(described(T)).grouped().book
    assert book.cached_key(T) == ()
    book.table(T)
    for name in (T, None):
        book.forget(name)
        assert book.cached_key(T) == ("id",)


def test_a_daemon_keeps_to_tolerances_and_tells_which_it_cannot_keep_to() -> None:
    blanks = Tolerance(ignore_trailing_spaces=True)
    book = MemoryServers(described(T)).grouped(tolerances={str(T): blanks}).book
    (follower,) = book.followers
    compared = book.pair(follower, T).compared
    assert compared is not None
    assert {column.name: column.tolerance for column in compared.leader.columns} == {"id": None, "v": blanks}
    assert (compared.leader.scheme, compared.follower.scheme) == (Scheme.CLIENT, Scheme.CLIENT)
    wrong = MemoryServers(described(T)).grouped(tolerances={f"{T}.id": Tolerance(strict_scale=True)}).book
    pair = wrong.pair(follower, T)
    assert pair.compared is None
    assert "is part of the key" in (pair.problem or "")
