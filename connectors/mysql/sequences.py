"""MariaDB's sequences: which a column takes its values from, and where each stands. MySQL has none.

A sequence is read as the table of one row that it is, which takes no value from it. The row tells the value that will
be reserved next. Those before it may be reserved in the server's memory and not given yet, so a server that was started
again or promoted gives exactly that one next, and one that goes on gives no later one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pymysql

from connectors.mysql.errors import numbered, translate
from connectors.mysql.expressions import Quote
from connectors.mysql.session import Session
from verifier.sequences import SequenceState
from verifier.table import TableName

_NEXT = re.compile(r"nextval\(`((?:[^`]|``)+)`\.`((?:[^`]|``)+)`\)", re.IGNORECASE)
_STANDING = """
select next_not_cached_value, increment, minimum_value, maximum_value, cycle_option, cache_size from {sequence}
"""
_NAMES = (
    "select table_schema, table_name from information_schema.tables where table_schema = %s and table_type = 'SEQUENCE'"
)
_USES = """
select table_schema, table_name, column_name, column_default from information_schema.columns
where table_schema = %s and column_default like '%%nextval(%%'
"""
_INDEXED = """
select count(*) from information_schema.statistics
where table_schema = %s and table_name = %s and column_name = %s and seq_in_index = 1 and index_type = 'BTREE'
"""
_NOT_ALLOWED, _ABSENT = (1142, 1143), (1146, 4091)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a sequence stands. `cached`: values before `following` may be reserved and not given yet."""

    following: int
    step: int
    least: int
    most: int
    cycles: bool
    cached: bool

    @property
    def text(self) -> str:
        """What it gives, in words that compare."""
        return f"by {self.step} from {self.least} to {self.most}{' and again' if self.cycles else ''}"

    def problem(self, least: int | None, most: int | None, held: int | None) -> str | None:
        """What is wrong where it fills a column that takes values from `least` to `most` (None: any) and holds `held`
        at most (at least, where it counts down); None if nothing is."""
        if self.cycles:
            return None
        low = self.least if least is None else max(self.least, least)
        high = self.most if most is None else min(self.most, most)
        if not low <= self.following <= high:
            if self.cached:
                last = high if self.step > 0 else low
                return f"every value to {last} is reserved: a server that is started again or promoted gives none"
            return f"it is used up: the next value would be {self.following}"
        if held is not None and (self.following - held) * self.step <= 0:
            reach = f"at most {self.following}" if self.step > 0 else f"at least {self.following}"
            word = reach if self.cached else str(self.following)
            return f"its next value, {word}, is not beyond {held}, which the column holds already"
        return None


def sequence_of(default: str | None) -> TableName | None:
    """The sequence whose next value the default is; None if it is anything else."""
    found = _NEXT.fullmatch(default or "")
    return None if found is None else TableName(*(part.replace("``", "`") for part in found.groups()))


def standing(session: Session, name: TableName, quote: Quote) -> Standing:
    """Where it stands. Errors of the driver, as of any table."""
    row = session.one(_STANDING.format(sequence=f"{quote(name.schema)}.{quote(name.name)}"))
    following, step, least, most, cycles, cache = map(int, row)
    return Standing(following, step or 1, least, most, bool(cycles), cache > 1)  # 0: by auto_increment_increment


def filling(
    session: Session,
    place: tuple[str, str],
    column: str,
    within: tuple[int | None, int | None],
    sequence: TableName,
    quote: Quote,
) -> tuple[str, str | None]:
    """What the sequence that fills a column gives, in words, and what is wrong with it. `within`: what the column can
    hold. The furthest value comes from an index or is not asked for, and is read first: each value was reserved before
    it could be seen."""
    try:
        found, held = standing(session, sequence, quote), None
        if session.one(_INDEXED, (*place, column)) != ("0",):
            held = _furthest(session, TableName(*place), column, found.step, quote)
            found = standing(session, sequence, quote)
    except pymysql.MySQLError as error:
        number = numbered(error)[0]
        if number in _ABSENT:
            return "absent", f"there is no sequence {sequence}, so the default fails"
        if number in _NOT_ALLOWED:
            return "not to be read with this login", None
        raise
    return found.text, found.problem(*within, held if isinstance(held, int) else None)


def states(
    session: Session, tables: Collection[TableName], schemas: Sequence[str], quote: Quote, where: str
) -> Iterator[SequenceState]:
    """Those that fill a column of `tables`, once for each, and those of the schemas that fill no column."""
    for schema in schemas:
        uses = [
            (TableName(row[0], row[1]), row[2], sequence)
            for row in session.all(_USES, (schema,))
            if (sequence := sequence_of(row[3])) is not None
        ]
        taken = {sequence for _, _, sequence in uses}
        for table, column, sequence in uses:
            if table in tables:
                yield _state(session, sequence, (table, column), quote, where)
        for row in session.all(_NAMES, (schema,)):
            if (name := TableName(row[0], row[1])) not in taken:
                yield _state(session, name, None, quote, where)


def _state(
    session: Session, name: TableName, used_by: tuple[TableName, str] | None, quote: Quote, where: str
) -> SequenceState:
    reach: int | str | None = None
    try:
        found = standing(session, name, quote)
        if used_by is not None:
            reach = _furthest(session, *used_by, found.step, quote)
            found = standing(session, name, quote)
    except pymysql.MySQLError as error:
        if not session.usable:
            raise
        return SequenceState(name, used_by, problem=str(translate(error, f"reading the sequence {name}", where)))
    if isinstance(reach, str):
        return SequenceState(name, used_by, step=found.step, problem=reach)
    spelled = f"{quote(name.schema)}.{quote(name.name)}".replace("%%", "%")
    return SequenceState(name, used_by, found.following, found.step, reach, f"select setval({spelled}, {{last}})")


def _furthest(session: Session, table: TableName, column: str, step: int, quote: Quote) -> int | str | None:
    """The furthest value of the column in the direction of the sequence: None if there is no row, words if it is no
    integer."""
    source = f"{quote(table.schema)}.{quote(table.name)}"
    (held,) = session.one(f"select {'max' if step > 0 else 'min'}({quote(column)}) from {source}")
    if held is None:
        return None
    try:
        return int(Decimal(held))
    except (InvalidOperation, TypeError):
        return f"{column} holds no integers"
