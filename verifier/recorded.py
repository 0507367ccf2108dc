"""What is noted down when a backup begins, so that the restored copy can be held against its leader later, although the
leader went on.

The rule. A row that the leader shows now, in a version that was written by a transaction which had ended before the
moment was noted, has been there unchanged ever since. So every consistent state of the leader between then and now
contains it, and a backup that was begun after the moment was noted must hold it exactly. That is proof without a
position of the backup itself. Of everything else nothing follows: a row that was written since may have been anything
at the time, and a row that only the backup has may have been deleted since.

`floor` is the id below which every transaction had ended: the snapshot's `xmin`. Not its list of those in progress:
that list does not name their subtransactions, whose rows would look as if they had been there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from verifier.errors import Misconfigured
from verifier.position import Position, Tick, parse
from verifier.table import Table
from verifier.view import Mark, Snapshot, View

_PLAIN = ":/,.-="
"""What a shell leaves alone, and no field is parted by; the rest is written as in a URL."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A moment of the leader. `floor`: transactions with ids below it had ended (None: this engine's rows do not tell
    who wrote them). `quiet`: none was running, so that as long as the leader's mark is `mark` nothing has changed."""

    system: str
    timeline: int
    position: Position
    mark: Mark
    floor: int | None
    quiet: bool

    def text(self) -> str:
        """One word that `read` reads back."""
        mark = str(self.mark) if isinstance(self.mark, int) else self.mark.text()
        floor = "none" if self.floor is None else str(self.floor)
        fields = (self.system, str(self.timeline), self.position.text(), mark, floor, "quiet" if self.quiet else "busy")
        return "@".join(quote(one, safe=_PLAIN) for one in fields)

    @property
    def lasting(self) -> bool:
        """Whether another process can tell by it that the leader has moved: the server has a log, and the position is
        a place in it (a `Tick` counts what one process has noticed)."""
        return not isinstance(self.position, Tick) and self.position.covers(self.position)

    @classmethod
    def read(cls, text: str) -> Recorded:
        """Misconfigured if it is not what `text` writes, or not lasting."""
        try:
            system, timeline, position, mark, floor, quiet = map(unquote, text.strip().split("@"))
            if quiet not in ("quiet", "busy"):
                raise ValueError(quiet)
            found = cls(
                system,
                int(timeline),
                parse(position),
                int(mark) if mark.isdigit() else parse(mark),
                None if floor == "none" else int(floor),
                quiet == "quiet",
            )
            if not found.lasting:
                raise ValueError(position)
            return found
        except ValueError as problem:
            raise Misconfigured(
                "not a recorded position; need the `restored-at` word that `trueup position` printed for the leader "
                "before the backup began"
            ) from problem


def floor_of(view: View) -> int | None:
    """Below which id every transaction had ended when this was seen; None if the view does not know ids."""
    return view.xmin if isinstance(view, Snapshot) else None


def surely_older(written_by: int, *, last: int, floor: int) -> bool:
    """Whether a visible row whose 32-bit `xmin` is `written_by` was certainly written by an id below `floor` (64 bits).
    `last` is the greatest id that the statement can show. The true id is the greatest at or below `last` with these 32
    bits, or 2^32 or a multiple of it less; ids below 3 mark rows older than all transactions. The reference of the SQL
    that asks the server."""
    return written_by < 3 or ((last - written_by) & 0xFFFFFFFF) > last - floor


@dataclass(slots=True)
class Counted:
    """Rows of a restored copy (`backup` of them), by what is known of them. `proven`: in the backup as the leader had
    them. `changed`: in both, and written to on the leader since. `gone`: in the backup alone, deleted since or extra.
    `new`: on the leader alone, written since, which says nothing about the backup."""

    backup: int = 0
    proven: int = 0
    changed: int = 0
    gone: int = 0
    new: int = 0

    def add(self, other: Counted) -> None:
        self.backup += other.backup
        self.proven += other.proven
        self.changed += other.changed
        self.gone += other.gone
        self.new += other.new

    @property
    def doubtful(self) -> bool:
        """Something in the backup could not be proven."""
        return self.proven < self.backup

    @property
    def percent(self) -> float:
        """Of the backup's rows that are proven, cut and not rounded: 100 means all of them."""
        return 100.0 if not self.doubtful else self.proven * 1000 // self.backup / 10

    def words(self) -> str:
        parts = [f"{self.percent:g} % of the backup's {self.backup:,} rows are proven"]
        parts += [f"{self.changed:,} changed since the backup"] if self.changed else []
        parts += [f"{self.gone:,} deleted since or extra"] if self.gone else []
        parts += [f"{self.new:,} inserted since"] if self.new else []
        return ", ".join(parts)


class Dated(Protocol):
    """An engine whose rows tell which transaction wrote them."""

    def older(self, floor: int) -> str:
        """A condition for `Table.where`: true for rows in versions surely written by transactions below `floor`."""
        ...

    def redefined(self, table: Table, floor: int) -> str:
        """Why the age of the table's rows proves nothing: its definition may have changed since, so that old rows show
        other columns, or other rows show under this name. '' if it has not. Temporary, Permanent as any read."""
        ...
