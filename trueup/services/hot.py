"""Hot keys of one group: whose after-images are kept, and what they say of a look, behind the window's lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from verifier.images import AfterImages, States
from verifier.look import Look, Publishes
from verifier.table import Key, TableName
from verifier.window import Settled, TransactionWindow


@dataclass(slots=True)
class HotKeys:
    """Implements `verifier.seeing.Told`. `images` is fed by the owner of the window, under the same lock."""

    window: TransactionWindow
    lock: RLock
    images: AfterImages = field(default_factory=AfterImages)

    def watch(self, table: TableName, keys: Collection[Key], failed: Collection[Key]) -> frozenset[Key]:
        """Those of `keys` whose after-images are kept; from now on also those of the `failed` ones among them."""
        with self.lock:
            self.images.watch(table, failed)
            return self.images.watched(table, keys)

    def states(
        self,
        table: TableName,
        keys: Collection[Key],
        follower: Look[Any],
        publishes: Publishes,
        settled: Settled | None = None,
    ) -> Mapping[Key, States]:
        with self.lock:
            bounds = self.window.bounds(table, follower, publishes, settled)
            found = {key: self.images.states(table, key, bounds) for key in keys}
        return {key: states for key, states in found.items() if states is not None}
