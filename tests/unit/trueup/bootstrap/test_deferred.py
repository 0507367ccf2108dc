"""A stream that its source refused is made anew, so that another password counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from trueup.bootstrap.deferred import Deferred
from verifier.change import Batch
from verifier.errors import Forbidden, Misconfigured
from verifier.position import Position


class Login:
    """A stream that lets in whoever has the password of the door."""

    ended: ClassVar[list[str]] = []
    door = "right"

    def __init__(self, password: str) -> None:
        self.password = password

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        self.poll(changes_max=1, seconds_max=0.0)
        return read_through

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        if self.password != self.door:
            raise Forbidden("refused")
        return Batch((), None)

    def acknowledge(self, offsets: Mapping[str, int]) -> None: ...

    def close(self) -> None:
        self.ended.append(self.password)


def test_after_a_refusal_the_next_start_looks_the_password_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Login, "ended", [])
    words = iter(["wrong", "right", "newer"])
    stream = Deferred(lambda: Login(next(words)))
    with pytest.raises(Forbidden):
        stream.start({}, None)
    stream.start({}, None)
    stream.poll(changes_max=1, seconds_max=0.0)
    assert Login.ended == ["wrong"]
    monkeypatch.setattr(Login, "door", "newer")
    with pytest.raises(Forbidden):
        stream.poll(changes_max=1, seconds_max=0.0)
    with pytest.raises(Misconfigured, match="not started"):
        stream.poll(changes_max=1, seconds_max=0.0)
    stream.start({}, None)
    assert Login.ended == ["wrong", "right"]
