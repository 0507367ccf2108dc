"""`trueup repair plan|approve|reject|apply`: a dry run unless told otherwise."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.audit.progress import visible
from trueup.cli.known import ConfigOption, FormatOption, GroupOption
from trueup.cli.listing import listed
from trueup.cli.output import Listing, say, write

if TYPE_CHECKING:
    from reconciler.repair import Repair
    from trueup.bootstrap.repairing import Repairing

FollowerOption = Annotated[str | None, typer.Option(help="Only this follower.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit table.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Plan, approve, reject and apply repairs.", no_args_is_help=True, rich_markup_mode=None)
    group.command(help="Plan repairs for open drift on freshly read rows; writes to no database.")(plan)
    group.command(help="Approve planned repairs.")(approve)
    group.command(help="Reject planned or approved repairs.")(reject)
    group.command(help="Show what would be written; with --yes write it, and look again afterwards.")(apply)
    app.add_typer(group, name="repair")


def plan(
    config: ConfigOption = None,
    group: GroupOption = None,
    follower: FollowerOption = None,
    how: FormatOption = Listing.TABLE,
) -> int:
    """A repair or a refusal with its reason for every open drift."""
    from trueup.bootstrap.repairing import open_repairing

    with open_repairing(config, group) as repairing:
        rows: list[dict[str, Any]] = []
        for name in repairing.followers(follower):
            planned = repairing.plan(name, actor=_actor())
            rows += [
                {
                    "id": one.id,
                    "decision": one.action.value,
                    "follower": name,
                    "table": str(one.table),
                    "key": ", ".join(map(str, one.key)),
                    "why": "",
                }
                for one in planned.repairs
            ]
            rows += [
                {"id": one.drift_id, "decision": "refused", "follower": name, "table": "", "key": "", "why": one.advice}
                for one in planned.refusals
            ]
    write({"version": 1, "plan": rows}, how, None, listed(rows, "no drift to repair"))
    return exits.EQUAL


def approve(
    repair: Annotated[list[str] | None, typer.Argument(help="Ids of repairs; none with --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All planned repairs.")] = False,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    group: GroupOption = None,
) -> int:
    """Approve; nothing is written to a database."""
    return _decide("approve", repair, everything, reason, config, group)


def reject(
    repair: Annotated[list[str] | None, typer.Argument(help="Ids of repairs; none with --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All planned repairs.")] = False,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    group: GroupOption = None,
) -> int:
    """Reject; a rejected repair is not planned again until the rows change."""
    return _decide("reject", repair, everything, reason, config, group)


def apply(
    config: ConfigOption = None,
    group: GroupOption = None,
    follower: FollowerOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really write.")] = False,
    how: FormatOption = Listing.TABLE,
) -> int:
    """Apply approved repairs as compare-and-set on freshly read rows, then look again by the rules of evidence."""
    from trueup.bootstrap.repairing import open_repairing

    with open_repairing(config, group) as repairing:
        names = repairing.followers(follower)
        daemon = repairing.daemon() if yes else None
        if daemon is not None:
            say(f"the daemon ({daemon}) applies what is approved; waiting for it")
            rows, failed = _watched(repairing, names)
        elif yes:
            with repairing.writing(_actor()):
                rows, failed = _applied(repairing, names, dry_run=False)
        else:
            rows, failed = _applied(repairing, names, dry_run=True)
    write({"version": 1, "dry_run": not yes, "repairs": rows}, how, None, lambda out: _statements(rows, out))
    if rows and not yes:
        say("nothing was written; with --yes it will be")
    return exits.DRIFT if failed else exits.EQUAL


def _applied(repairing: Repairing, followers: list[str], *, dry_run: bool) -> tuple[list[dict[str, Any]], bool]:
    """Apply here; the rows to show, and whether anything did not go well."""
    from reconciler.applying import Step

    rows: list[dict[str, Any]] = []
    failed = False
    for name in followers:
        taken = repairing.apply(name, dry_run=dry_run, actor=_actor())
        outcomes = {} if dry_run else repairing.look_again(name, taken)
        for one in taken:
            state = outcomes.get(one.repair.id, one.step.value)
            failed = failed or one.step in (Step.FAILED, Step.HELD, Step.WAITING) or state == "failed"
            rows.append(_row(one.repair, state, one.note, one.statement))
    return rows, failed


def _watched(repairing: Repairing, followers: list[str]) -> tuple[list[dict[str, Any]], bool]:
    """Let the daemon apply; as `_applied`."""
    from reconciler.repair import State

    found = repairing.watch(followers)
    rows = [_row(record.repair, record.state.value, record.note, "") for record in found]
    return rows, any(record.state not in (State.VERIFIED, State.SUPERSEDED, State.REJECTED) for record in found)


def _row(repair: Repair, result: str, note: str, statement: str) -> dict[str, Any]:
    key = ", ".join(map(str, repair.key))
    table = str(repair.table)
    return {"id": repair.id, "result": result, "table": table, "key": key, "note": note, "statement": statement}


def _decide(
    verb: str, ids: list[str] | None, everything: bool, reason: str, config: Path | None, group: str | None
) -> int:
    from trueup.bootstrap.repairing import open_repairing

    if bool(ids) == everything:
        raise typer.BadParameter(f"name the repairs to {verb}, or say --all (see: trueup repairs)")
    with open_repairing(config, group) as repairing:
        done = repairing.decide(verb, ids, actor=_actor(), note=reason, now=time.time())
    say(f"{verb}: {len(done)} repair(s)")
    return exits.EQUAL


def _statements(rows: list[dict[str, Any]], out: Any) -> None:
    if not rows:
        print("no approved repairs (see: trueup repair plan, trueup repair approve)", file=out)
    for row in rows:
        note = f" ({row['note']})" if row["note"] else ""
        print(visible(f"-- {row['id']} {row['table']} {row['key']}: {row['result']}{note}"), file=out)
        if row["statement"]:
            _statement(row["statement"], out)


def _statement(sql: str, out: Any) -> None:
    """The statement as it is; but for what would steer a terminal."""
    lines = sql.split("\n")
    shown = [visible(line) for line in lines] if out.isatty() else lines
    if shown != lines:
        print("-- with escapes in place of what cannot be printed; as it is with --format json", file=out)
    print("\n".join(shown), file=out)


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
