"""MariaDB's numbers where nobody demands that they grow (`gtid_strict_mode` off): two servers that write one domain.

A position tells the last number of each domain. That says what a server has logged or applied only as long as numbers
grow along the log; where one does not, every position up to the highest number before it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from verifier.gtid import DomainGtids, Logged
from verifier.position import Position


class DomainNumbers:
    """Of the transactions of a window, in the order of the log. MySQL's ids, each given once, are passed over."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str | int, int], int] = {}
        """Which server made the transaction of that number in its domain."""
        self._last: dict[int, int] = {}
        self._place: tuple[str, int, int] | None = None

    def note(self, commit: Position) -> None:
        for domain, server, number in _domains(commit):
            self._servers[domain, number] = server
            self._last[domain] = max(number, self._last.get(domain, -1))
        self._place = _place(commit) or self._place

    def forget(self, ids: Iterable[tuple[str | int, int]]) -> None:
        """These are no longer in the window."""
        for one in ids:
            self._servers.pop(one, None)

    def disordered(self, commit: Position, through: Position | None) -> DomainGtids | None:
        """What a position must pass before numbers tell anything again: `commit` came later in the log than another
        transaction of its domain with the same or a higher number. None: it did not, as far as is told. `through` is
        how far the log was read before."""
        if len(ours := _domains(commit)) != 1:
            return None
        ((domain, server, number),) = ours
        known = {one: last for one, _, last in _domains(through)}
        last = max(known.get(domain, -1), self._last.get(domain, -1))
        if number > last:
            return None
        place = _place(commit)
        before = [one for one in (_place(through), self._place) if one is not None]
        later = place is not None and bool(before) and all(place[0] == one[0] and place > one for one in before)
        twice = self._servers.get((domain, number), server) != server
        return DomainGtids(((domain, server, last),)) if later or twice else None


def passed(disorder: DomainGtids, through: Position) -> bool:
    """Whether everything through there has higher numbers in the domains of `disorder`."""
    numbers = {domain: number for domain, _, number in _domains(through)}
    return all(numbers.get(domain, -1) > number for domain, _, number in disorder.last)


def _domains(position: Position | None) -> tuple[tuple[int, int, int], ...]:
    """MariaDB's ids of it; none of another kind."""
    gtids = position.gtids if isinstance(position, Logged) else position
    return gtids.last if isinstance(gtids, DomainGtids) else ()


def _place(position: Position | None) -> tuple[str, int, int] | None:
    return position.binlog.place() if isinstance(position, Logged) else None
