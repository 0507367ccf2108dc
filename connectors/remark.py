"""One fact about a server, a connector or a setting, and what to do about it: for `doctor` and `connector status`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """`level` is `ok`, `note` (could be better), `warning` (something will be missing) or `error` (does not work);
    `cure` says what to do."""

    level: str
    what: str
    cure: str = ""
