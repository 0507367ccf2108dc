"""Which local transaction wrote a row version that `statements` tells."""

from __future__ import annotations


def writer(version: str) -> int | None:
    """`xmin` of `tableoid:xmin:ctid`, 32 bits; None if the text is another's."""
    parts = version.split(":")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else None
