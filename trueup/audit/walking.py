"""What an audit needs of whoever walks a table: what came of it per follower."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from trueup.audit.report import Tally
from trueup.audit.tools import RowBudget, Tools
from verifier.compare import Comparison
from verifier.ports import Replica
from verifier.table import Table


class Walking(Protocol):
    """One table on some followers. After `run`: what was counted in `tallies`, why a follower is not verified in
    `problems`; `interrupted` if the user stopped it or the budget was spent, `resumable` if a server stayed away."""

    @property
    def tallies(self) -> Mapping[str, Tally]: ...
    @property
    def problems(self) -> dict[str, str]: ...
    @property
    def interrupted(self) -> bool: ...
    @property
    def resumable(self) -> bool: ...
    def run(self) -> None: ...


Walker: TypeAlias = Callable[[Tools, Table, dict[str, tuple[Replica, Comparison]], RowBudget], Walking]
