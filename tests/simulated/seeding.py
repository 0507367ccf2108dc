"""Many seeds, each over a journal of its own; one that fails says how to run it again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from connectors.journal.opening import open_journal


@contextmanager
def journals(group: str) -> Iterator[Path]:
    """A folder with an empty journal in it. In memory where there is such a place: the simulation kills processes, not
    machines."""
    shared = "/dev/shm"
    made = Path(tempfile.mkdtemp(prefix="trueup-simulation-", dir=shared if os.access(shared, os.W_OK) else None))
    try:
        open_journal(made / "template.db", group).close()
        yield made
    finally:
        shutil.rmtree(made)


def each(seeds: Sequence[int], folder: Path, simulate: Callable[[int, Path], Counter[str]], file: str) -> None:
    """Simulate every seed, and print what they came to together. `file`: of the test, below tests/simulation."""
    totals: Counter[str] = Counter()
    for seed in seeds:
        path = folder / f"{seed}.db"
        shutil.copy(folder / "template.db", path)
        try:
            totals.update(simulate(seed, path))
        except BaseException as problem:
            again = f"pytest tests/simulation/{file} --seed-from {seed} --seeds 1"
            problem.add_note(f"seed {seed}: run it again by: {again}")
            raise
        finally:
            for left in folder.glob(f"{seed}.db*"):
                left.unlink()
    print(dict(totals))
