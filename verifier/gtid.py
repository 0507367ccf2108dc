"""Positions in the logs of MariaDB and MySQL: global transaction ids, and places in binlog files.

MariaDB numbers transactions per domain, so a position is the last number of each domain. MySQL numbers them per origin
and a server may lack some in between, so a position is a set. The same moment also has a place in the leader's binlog;
`Logged` carries both where a server tells both, because the two sides of a comparison may each know only one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from verifier.position import Position

Interval = tuple[int, int]
"""First and last number, both included."""

_OWNED = re.compile(r"#\d+(?=[:,\s]|$)")
_OWNED_NEXT = re.compile(r"#\d+?(?=[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-)")
"""MySQL 8.0 tells what several origins own with nothing between them: the next origin follows the owner."""


@dataclass(frozen=True, slots=True)
class DomainGtids:
    """MariaDB: per domain the server and the number of the last transaction, `0-1-100,7-2-5`."""

    last: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, gtids: Iterable[tuple[int, int, int]]) -> DomainGtids:
        """From (domain, server, number); the highest number of a domain counts."""
        last: dict[int, tuple[int, int, int]] = {}
        for domain, server, number in gtids:
            if domain not in last or last[domain][2] < number:
                last[domain] = (domain, server, number)
        return cls(tuple(last[domain] for domain in sorted(last)))

    @classmethod
    def parse(cls, text: str) -> DomainGtids:
        """Read the server's form; ValueError if it is not numbers with dashes."""
        parts = [tuple(map(int, gtid.split("-"))) for gtid in re.split(r"[,\s]+", text) if gtid]
        if any(len(part) != 3 for part in parts):
            raise ValueError(f"not a position of MariaDB: {text!r}")
        return cls.of((domain, server, number) for domain, server, number in parts)

    def covers(self, other: Position, /) -> bool:
        if isinstance(other, Logged):
            return self.covers(other.gtids)
        if not isinstance(other, DomainGtids):
            return False
        numbers = {domain: number for domain, _server, number in self.last}
        return all(numbers.get(domain, -1) >= number for domain, _server, number in other.last)

    def union(self, other: DomainGtids) -> DomainGtids:
        """The later of both in every domain."""
        return DomainGtids.of((*self.last, *other.last))

    def text(self) -> str:
        return f"domains:{self}"

    def __str__(self) -> str:
        return ",".join(f"{domain}-{server}-{number}" for domain, server, number in self.last)


@dataclass(frozen=True, slots=True)
class GtidSet:
    """MySQL: by origin (a UUID, with a tag behind a colon where there is one) the numbers that were executed."""

    intervals: tuple[tuple[str, tuple[Interval, ...]], ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Iterable[Interval]]) -> GtidSet:
        joined = ((origin, _joined(intervals)) for origin, intervals in sorted(found.items()))
        return cls(tuple((origin, intervals) for origin, intervals in joined if intervals))

    @classmethod
    def parse(cls, text: str) -> GtidSet:
        """Read the server's form, `uuid:1-5:7, uuid:1-3`, and that of owned ids, `uuid:8#31:9#33`; ValueError if it is
        neither."""
        found: dict[str, list[Interval]] = {}
        for part in re.split(r"[,\n\s]+", _OWNED.sub("", _OWNED_NEXT.sub(",", text))):
            origin, *numbers = part.lower().split(":")
            if not origin:
                continue
            place = origin
            for number in numbers:
                if not number[:1].isdigit():
                    place = f"{origin}:{number}"  # a tag (MySQL 8.3 and later): its numbers follow
                    continue
                first, _, last = number.partition("-")
                found.setdefault(place, []).append((int(first), int(last or first)))
        return cls.of(found)

    def covers(self, other: Position, /) -> bool:
        if isinstance(other, Logged):
            return self.covers(other.gtids)
        if not isinstance(other, GtidSet):
            return False
        ours = dict(self.intervals)
        return all(
            any(first <= lower and upper <= last for first, last in ours.get(origin, ()))
            for origin, intervals in other.intervals
            for lower, upper in intervals
        )

    def union(self, other: GtidSet) -> GtidSet:
        found: dict[str, list[Interval]] = {}
        for origin, intervals in (*self.intervals, *other.intervals):
            found.setdefault(origin, []).extend(intervals)
        return GtidSet.of(found)

    def minus(self, other: GtidSet) -> GtidSet:
        """What the other one lacks."""
        theirs = dict(other.intervals)
        return GtidSet.of({origin: _cut(intervals, theirs.get(origin, ())) for origin, intervals in self.intervals})

    def text(self) -> str:
        return f"gtids:{self}"

    def __str__(self) -> str:
        return ",".join(
            ":".join([origin, *(str(first) if first == last else f"{first}-{last}" for first, last in intervals)])
            for origin, intervals in self.intervals
        )


@dataclass(frozen=True, slots=True)
class Binlog:
    """A place in one server's binlog: everything that ends at or before `offset` (bytes) of `file`, and all files
    before it. Files are ordered by the number behind the last dot, which outgrows its zeros."""

    file: str
    offset: int

    def covers(self, other: Position, /) -> bool:
        if isinstance(other, Logged):
            return self.covers(other.binlog)
        if not isinstance(other, Binlog):
            return False
        (ours, *place), (theirs, *other_place) = self.place(), other.place()
        return ours == theirs and place >= other_place

    def text(self) -> str:
        return f"binlog:{self}"

    def __str__(self) -> str:
        return f"{self.file}/{self.offset}"

    def place(self) -> tuple[str, int, int]:
        """Series of files, number of the file in it, offset."""
        series, _, number = self.file.rpartition(".")
        return series, int(number) if number.isdigit() else -1, self.offset


@dataclass(frozen=True, slots=True)
class Logged:
    """One moment in both coordinates. Each holds by itself, so either is enough to tell that one moment covers another.
    (Files also hold events that are no transactions: the places of two moments may differ where nothing happened.)"""

    gtids: DomainGtids | GtidSet
    binlog: Binlog

    def covers(self, other: Position, /) -> bool:
        return self.gtids.covers(other) or self.binlog.covers(other)

    def text(self) -> str:
        return f"logged:{self.binlog} {self.gtids.text()}"


def parse(kind: str, rest: str) -> Position | None:
    """What `text()` of one of these wrote, behind its kind; None for another kind, ValueError if it cannot be read."""
    if kind == "domains":
        return DomainGtids.parse(rest)
    if kind == "gtids":
        return GtidSet.parse(rest)
    if kind == "binlog":
        return _binlog(rest)
    if kind == "logged":
        place, _, gtids = rest.partition(" ")
        inner, _, numbers = gtids.partition(":")
        return Logged(DomainGtids.parse(numbers) if inner == "domains" else GtidSet.parse(numbers), _binlog(place))
    return None


def _binlog(text: str) -> Binlog:
    file, slash, offset = text.rpartition("/")
    if not slash:
        raise ValueError(f"not a place in a binlog: {text!r}")
    return Binlog(file, int(offset))


def _joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Sorted, with neighbours joined."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _cut(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """What is in the first and not in the others."""
    left = list(intervals)
    for lower, upper in others:
        pieces = [[(first, min(last, lower - 1)), (max(first, upper + 1), last)] for first, last in left]
        left = [(first, last) for both in pieces for first, last in both if first <= last]
    return left
