"""How careful to be: small frozen values, checked when built."""

from __future__ import annotations

from dataclasses import dataclass, replace

from verifier.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """How a table is walked.

    `chunk_seconds`: what one chunk's digest should take on the slower side (0.5 s: pt-table-checksum's default).
    `rows_first`, `rows_max`: rows of the first chunk and of any. `packed_max`: rows of a chunk that is asked for the
    digests of its rows; a larger one whose digest differs is divided. So equal tables cost few questions, and memory is
    bounded by the smaller number. `suspects_max`: keys waiting to settle above which no new chunk is read, which bounds
    memory, too. `keys_bytes`: text of keys in one such answer; long keys make it one of fewer rows. Up to 80 bytes a
    key it changes nothing. A server and trueup hold about three times as much while the answer is made and read.
    """

    chunk_seconds: float = 0.5
    rows_first: int = 4_000
    rows_max: int = 400_000
    rows_min: int = 100
    packed_max: int = 100_000
    suspects_max: int = 20_000
    keys_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        if self.chunk_seconds <= 0:
            raise Misconfigured(f"chunk time is {self.chunk_seconds} s; it must be above 0")
        if not 1 <= self.rows_min <= self.rows_first <= self.rows_max:
            raise Misconfigured("chunk rows must satisfy 1 <= least <= first <= most")
        if self.packed_max < 1 or self.keys_bytes < 1:
            raise Misconfigured(
                f"{self.packed_max} rows or {self.keys_bytes} bytes of a packed answer; both must be at least 1"
            )

    @property
    def rows_packed(self) -> int:
        """Rows of a chunk that is asked for the digests of its rows, at most."""
        return min(self.packed_max, self.rows_max)

    def by_rows(self) -> ScanPolicy:
        """For a walk that asks for the digests of a chunk's rows without dividing it."""
        most = self.rows_packed
        return replace(self, rows_max=most, rows_first=min(self.rows_first, most), rows_min=min(self.rows_min, most))


@dataclass(frozen=True, slots=True)
class SettlePolicy:
    """How long suspects are looked at again.

    The wait before the next look starts at `wait_first_seconds`, doubles each time and is capped at
    `wait_max_seconds`; a suspect older than `give_up_seconds` becomes `unverified`. `batch_keys` per look.
    """

    wait_first_seconds: float = 0.05
    wait_max_seconds: float = 2.0
    give_up_seconds: float = 60.0
    batch_keys: int = 1_000

    def wait(self, tries: int) -> float:
        """Seconds before look number `tries` + 1 (the first look is number 0)."""
        return min(self.wait_max_seconds, self.wait_first_seconds * (2.0 ** min(tries, 30)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one replica's sessions may take. Seconds; `connections` is the size of the pool."""

    connections: int = 4
    connect_seconds: int = 5
    statement_seconds: float = 60.0
    lock_seconds: float = 1.0
    pool_seconds: float = 60.0
