"""`trueup check`: the invariants, once."""

from __future__ import annotations

from typing import Annotated

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.output import Listing, write
from verifier.errors import Misconfigured


def register(app: typer.Typer) -> None:
    app.command(help="Check invariants once; exit 0 all hold, 1 violated, 4 not all could be checked.")(check)


def check(
    name: Annotated[list[str] | None, typer.Argument(help="Invariants (default: all).")] = None,
    config: options.Config = None,
    group: options.Group = None,
    how: options.How = Listing.TABLE,
    output: options.Output = None,
) -> int:
    """Evaluate the invariants now, waiting for their grace where something is unequal."""
    from trueup.audit.render import render_invariants
    from trueup.audit.report import finding_entry, overall
    from trueup.bootstrap.groups import chosen
    from trueup.bootstrap.invariants import checkers
    from trueup.bootstrap.journal import known_masking
    from trueup.bootstrap.watching import open_watched, settled

    settings, wanted = chosen(config, group)
    unknown = sorted(set(name or ()) - {one.name for one in wanted.invariants})
    if unknown:
        known = ", ".join(one.name for one in wanted.invariants) or "none"
        raise Misconfigured(f"no invariant {unknown[0]!r} in group {wanted.name!r}; there are: {known}")
    servers = open_watched(wanted)
    try:
        settled(wanted, servers)
        found = [
            finding_entry(checker.settled())
            for invariant, checker in checkers(wanted, servers, known_masking(settings, wanted)).items()
            if not name or invariant in name
        ]
    finally:
        servers.close()
    if not found:
        raise Misconfigured(
            f"group {wanted.name!r} of {settings.instance!r} has no invariants; add some to its configuration"
        )
    result = {"version": 1, "group": wanted.name, "verdict": overall((), found), "invariants": found}
    write(result, how, output, lambda out: render_invariants(result, out))
    return exits.of_verdict("match" if result["verdict"] == "match" else str(result["verdict"]))
