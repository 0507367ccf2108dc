"""In what MySQL and MariaDB differ: settings of a session, and who answers."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.errors import Misconfigured
from verifier.policy import Limits

GROUP_CONCAT_BYTES = 1 << 25  # no more is made or held at once; an answer that was cut off comes in parts
_SORTED_BYTES = 16_384  # keys are at most 3,072 bytes long (InnoDB), and must be sorted by all of them

# STRICT_TRANS_TABLES alone: no mode that pads CHAR, changes what quotes and || mean, or how unsigned numbers subtract.
_TEXT = (
    "time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES', sql_big_selects = 1, sql_safe_updates = 0, "
    f"group_concat_max_len = {GROUP_CONCAT_BYTES}, max_sort_length = {_SORTED_BYTES}"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """`name` is the scheme of its URLs and the engine whose native hash a replica computes. `tuning`: settings that
    keep long lists of keys on the index."""

    name: str
    title: str
    tuning: str

    def pins(self, limits: Limits) -> list[str]:
        """Statements that pin a session."""
        lock = max(1, round(limits.lock_seconds))
        return [
            "set session transaction isolation level repeatable read, read only",
            f"set {_TEXT}, {self.tuning}, lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}",
            self.time_limit(limits.statement_seconds),
        ]

    def time_limit(self, seconds: float) -> str:
        """The statement that limits the next ones to `seconds`."""
        if self.name == "mariadb":
            return f"set max_statement_time = {max(0.001, seconds):.3f}"
        return f"set max_execution_time = {max(1, round(seconds * 1000))}"

    def confirm(self, version: str, where: str) -> None:
        """Misconfigured if the server that greets with `version` is the other of the two."""
        found = "mariadb" if "mariadb" in version.lower() else "mysql"
        if found != self.name:
            raise Misconfigured(f"{where} answers as {_OF[found].title} ({version}); write {found}://... in its URL")


_OF = {
    # Above this many values MariaDB would turn IN into a join with a table, whose collation is not the column's.
    "mariadb": Dialect("mariadb", "MariaDB", "in_predicate_conversion_threshold = 0"),
    "mysql": Dialect("mysql", "MySQL", "range_optimizer_max_mem_size = 0"),
}


def dialect_of(name: str) -> Dialect:
    return _OF[name]
