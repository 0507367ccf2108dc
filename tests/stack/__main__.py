"""`python -m stack up|down|status`: the whole topology on this machine, without containers."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stack import residence
from verifier.errors import TrueupError


def main(words: list[str] | None = None) -> int:
    """0 done; for `status` 0 only when everything runs; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "status"])
    what = parser.parse_args(words).what
    folder = residence.state_folder()
    try:
        return {"up": _up, "down": _down, "status": _status}[what](folder)
    except TrueupError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1


def _up(folder: Path) -> int:
    started = time.monotonic()
    print("starting PostgreSQL, MariaDB, MySQL, Kafka, Kafka Connect and a schema registry ...", file=sys.stderr)
    print(residence.report(folder, residence.up(folder), started))
    return 0


def _down(folder: Path) -> int:
    residence.down(folder)
    print(f"stopped and removed: {folder}")
    return 0


def _status(folder: Path) -> int:
    found = residence.read(folder)
    if found is None:
        print(f"no stack at {folder}; start one with: make stack-up")
        return 1
    print(residence.report(folder, found))
    return 0 if all(residence.alive(folder).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
