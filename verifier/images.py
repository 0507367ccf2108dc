"""Hot keys: what the change stream said the row became, so that a follower's look at it can be judged while it changes.

A key that is in flight at every look never comes to rest between two looks of ours, but the stream tells every state
that it went through (DESIGN 3.1, last paragraph). A faithful follower's look shows one of them: the last one that it
surely shows, or one of those behind it that it may show already. Any other value is drift. The leader's look is not
needed for that; it is the stream's proof that it spells this row as the servers do.

Images are kept for watched keys alone, from the first one that arrives after the watch began, and only as far back as
some look may still need them. Where something may be missing nothing is said: before the first image, behind a gap, in
a table that was truncated, altered or joined since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from verifier.canonical import differing_columns
from verifier.change import Batch, Change, Operation, Transaction
from verifier.drift import Evidence, Kind
from verifier.look import Row
from verifier.outcome import Differs, Equal, Moving, Outcome
from verifier.position import Position
from verifier.table import Key, Table, TableName, Value

KEYS_MAX = 1_000
CHARACTERS_MAX = 16_000_000

_Place = tuple[TableName, Key]


@dataclass(frozen=True, slots=True)
class Image:
    """The row as one transaction left it. `row` None: it left none. Not `told`: the stream did not carry its values;
    a column that `row` lacks was not told either. `passing`: the transaction changed the row once more, so only who
    shows transactions row by row ever shows this."""

    commit: Position
    row: Mapping[str, Value] | None
    told: bool = True
    passing: bool = False

    @property
    def size(self) -> int:
        return 50 + sum(len(value) for value in (self.row or {}).values() if value is not None)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which commits a follower's look stands: it surely shows everything through `surely` (None: nothing is
    certain), and possibly what any of `possibly` covers. Changes of the table that committed at or below one of
    `floors` may not all be known (None among them: no end of that is known yet). `by_rows`: of a transaction in between
    it may show a part."""

    surely: Position | None
    possibly: tuple[Position, ...]
    floors: tuple[Position | None, ...] = ()
    by_rows: bool = False


@dataclass(frozen=True, slots=True)
class States:
    """`shown`: the images of a key one of which a faithful follower's look shows; `later` those behind them."""

    shown: tuple[Image, ...]
    later: tuple[Image, ...]


class AfterImages:
    """Fed with every batch that the transaction window takes in, after it. Not safe for several threads.

    At most `keys_max` keys are watched, and about `characters_max` characters of values kept; beyond either the keys
    that were asked about longest ago go first.
    """

    def __init__(self, *, keys_max: int = KEYS_MAX, characters_max: int = CHARACTERS_MAX) -> None:
        self._keys_max = keys_max
        self._characters_max = characters_max
        self._kept: dict[_Place, list[Image]] = {}  # in the order of their last use
        self.characters = 0
        self.begin(None)

    def begin(self, valid_from: Position | None) -> None:
        """The stream starts at `valid_from` (None: its first `read_through` will say where): no image is known."""
        self._begun = valid_from is not None
        self._empty(list(self._kept))

    def watch(self, table: TableName, keys: Iterable[Key]) -> None:
        """Keep the images of these keys from now on."""
        for place in [(table, key) for key in keys]:
            self._kept[place] = self._kept.pop(place, [])
        while len(self._kept) > self._keys_max:
            self._drop_oldest()

    def watched(self, table: TableName, keys: Collection[Key]) -> frozenset[Key]:
        return frozenset(key for key in keys if (table, key) in self._kept)

    def add(self, batch: Batch, taken: Iterable[Transaction]) -> None:
        """Take in what one poll brought; `taken` are the transactions that were new to the window."""
        if self._begun:
            for transaction in taken:
                self._record(transaction)
        else:  # what lies at or below the first barrier may be incomplete
            self._begun = batch.read_through is not None
        for blindness in batch.blind:
            self._lose(blindness.table)
            if blindness.table is None:
                self._begun = batch.read_through is not None
        while self.characters > self._characters_max and self._kept:
            self._drop_oldest()

    def prune(self, lows: Collection[Position]) -> None:
        """Forget what no look can need that shows at least one of `lows`. The last commit at or below a position may
        not be shown yet, so one image more is kept."""
        for images in self._kept.values():
            shown = 0
            while shown < len(images) and all(low.covers(images[shown].commit) for low in lows):
                shown += 1
            final = [index for index in range(shown) if not images[index].passing]
            if len(final) > 2:
                self.characters -= sum(image.size for image in images[: final[-2]])
                del images[: final[-2]]

    def states(self, table: TableName, key: Key, bounds: Bounds) -> States | None:
        """What a look between these bounds may show of the key; None if that is not all known."""
        images = [one for one in self._kept.get((table, key), ()) if bounds.by_rows or not one.passing]
        if not images or bounds.surely is None:
            return None
        self.watch(table, [key])
        base = -1
        while base + 1 < len(images) and bounds.surely.covers(images[base + 1].commit):
            base += 1
        if base < 0 or any(floor is None or floor.covers(images[base].commit) for floor in bounds.floors):
            return None
        end = base + 1
        while end < len(images) and any(one.covers(images[end].commit) for one in bounds.possibly):
            end += 1
        return States(tuple(images[base:end]), tuple(images[end:]))

    def _record(self, transaction: Transaction) -> None:
        blind = {blindness.table for blindness in transaction.blind}
        for table in blind:
            self._lose(table)
        if None in blind or not self._kept:
            return
        found: dict[_Place, list[Change]] = {}
        for change in transaction.changes:
            if change.table not in blind and (change.table, change.key) in self._kept:
                found.setdefault((change.table, change.key), []).append(change)
        for place, changes in found.items():
            images = [_image(transaction.commit, change) for change in changes]
            images[:-1] = [replace(one, passing=True) for one in images[:-1]]
            self._kept[place].extend(images)
            self.characters += sum(image.size for image in images)

    def _lose(self, table: TableName | None) -> None:
        self._empty([place for place in self._kept if table in (None, place[0])])

    def _empty(self, places: Sequence[_Place]) -> None:
        for place in places:
            self.characters -= sum(image.size for image in self._kept[place])
            self._kept[place] = []

    def _drop_oldest(self) -> None:
        place = next(iter(self._kept))
        self._empty([place])
        del self._kept[place]


def judge_image(table: Table, states: States, ours: Row | None, theirs: Row | None, evidence: Evidence) -> Outcome:
    """A follower's look at a key in flight. `ours`: what the leader's look showed at about that time. `Moving` where
    the stream does not tell enough."""
    closest: Mapping[str, object] | None = None
    nearest: Image | None = None
    for image in states.shown:
        if not image.told:
            return Moving("in flight, and the stream carries no values")
        if image.row is None or theirs is None:
            if image.row is None and theirs is None:
                return Equal()
            continue
        known = _known(table, image.row)
        differs = differing_columns(known, image.row, theirs.values)
        if not differs:
            untold = [column.name for column in table.columns if column.name not in image.row]
            return Moving(f"in flight, and the stream does not tell {', '.join(untold)}") if untold else Equal()
        if closest is None or len(differs) <= len(closest):
            closest, nearest = differs, image
    if not any(_shows(table, image, ours) for image in (*states.shown, *states.later)):
        return Moving("in flight, and the leader's own row is none that the stream told")
    if theirs is None:
        last = states.shown[-1].row or {}
        return Differs(Kind.MISSING, differing_columns(_known(table, last), last, None), evidence)
    if nearest is None or nearest.row is None:
        return Differs(Kind.EXTRA, differing_columns(table, None, theirs.values), evidence)
    columns = differing_columns(_known(table, nearest.row), nearest.row, theirs.values)
    return Differs(Kind.MISMATCHED, columns, evidence)


def _shows(table: Table, image: Image, row: Row | None) -> bool:
    """Is the row this image, as far as the image is known?"""
    if not image.told:
        return False
    if image.row is None or row is None:
        return image.row is None and row is None
    return not differing_columns(_known(table, image.row), image.row, row.values)


def _known(table: Table, row: Mapping[str, Value]) -> Table:
    return replace(table, columns=tuple(column for column in table.columns if column.name in row))


def _image(commit: Position, change: Change) -> Image:
    if change.operation is Operation.DELETE:
        return Image(commit, None)
    return Image(commit, change.after, told=change.after is not None)
