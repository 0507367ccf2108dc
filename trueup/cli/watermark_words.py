"""The options that say how followers are judged which tell no position: `--watermark` and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from trueup.bootstrap.auditing import Plan

TableOption = Annotated[str | None, typer.Option("--watermark", help="schema.table: a replicated row that counts up.")]
WriteOption = Annotated[bool, typer.Option("--watermark-write", help="trueup counts it up, on the leader.")]
OrderedOption = Annotated[bool, typer.Option("--watermark-ordered", help="Commits reach followers in order, once.")]


@dataclass(frozen=True, slots=True)
class Watermarking:
    """These options as they were typed."""

    table: str | None = None
    write: bool = False
    ordered: bool = False

    def applied(self, plan: Plan) -> Plan:
        """The plan with its watermark, which is never compared. Misconfigured if there is none to speak of."""
        known = plan.watermark
        if self.table is not None:
            from verifier.watermark import WatermarkPolicy

            known = WatermarkPolicy(self.table, self.write, self.ordered, () if known is None else known.followers)
        elif self.write or self.ordered:
            if known is None:
                raise Misconfigured("--watermark-write and --watermark-ordered need --watermark schema.table")
            known = replace(known, write=known.write or self.write, ordered=known.ordered or self.ordered)
        if known is None:
            return plan
        patterns = (*(one for one in plan.request.patterns if one != known.excluded), known.excluded)
        return replace(plan, watermark=known, request=replace(plan.request, patterns=patterns))
