"""`trueup repair plan|approve|reject|apply|undo`: a dry run unless told otherwise."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.audit.progress import visible
from trueup.cli import options
from trueup.cli.listing import stream_json, stream_table
from trueup.cli.output import Listing, say, target, write
from verifier.checklist import several

if TYPE_CHECKING:
    from reconciler.repair import Outline
    from trueup.bootstrap.repairing import Repairing
    from verifier.table import Key, TableName

FollowerOption = Annotated[str | None, typer.Option(help="Only this follower.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit table.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Plan, approve, reject, apply and undo repairs.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command(help="Plan repairs for open drift on freshly read rows; writes to no database.")(plan)
    group.command(help="Approve planned repairs.")(approve)
    group.command(help="Reject planned or approved repairs.")(reject)
    group.command(help="Show what would be written; with --yes write it, and look again afterwards.")(apply)
    group.command(help="Show what would bring repaired rows back to what they were; with --yes write it.")(undo)
    app.add_typer(group, name="repair")


def plan(
    config: options.Config = None,
    group: options.Group = None,
    follower: FollowerOption = None,
    how: options.How = Listing.TABLE,
) -> int:
    """A repair or a refusal with its reason for every open drift. Memory does not grow with their number."""
    from trueup.bootstrap.repairing import open_repairing

    with open_repairing(config, group, say) as repairing:
        rows = _planned(repairing, repairing.followers(follower))
        first = list(islice(rows, 1))  # who cannot be asked is told of before anything is written
        with target(None) as out:
            if how is Listing.JSON:
                stream_json({"version": 1}, "plan", chain(first, rows), dict, out)
            else:
                stream_table(chain(first, rows), "no drift to repair", out)
    return exits.EQUAL


def _planned(repairing: Repairing, followers: list[str]) -> Iterator[dict[str, Any]]:
    for name in followers:
        for planned in repairing.plan(name, actor=_actor()):
            for one in planned.repairs:
                yield _plan_row(one.id, one.action.value, name, one.table, one.key, "")
            for refused in planned.refusals:
                yield _plan_row(refused.drift_id, "refused", name, refused.table, refused.key, refused.advice)


def _plan_row(id_: str, decision: str, follower: str, table: TableName, key: Key, why: str) -> dict[str, Any]:
    shown = ", ".join(map(str, key))
    return {"id": id_, "decision": decision, "follower": follower, "table": str(table), "key": shown, "why": why}


def approve(
    repair: Annotated[list[str] | None, typer.Argument(help="Ids of repairs; none with --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All planned repairs.")] = False,
    reason: ReasonOption = "",
    config: options.Config = None,
    group: options.Group = None,
) -> int:
    """Approve; nothing is written to a database."""
    return _decide("approve", repair, everything, reason, config, group)


def reject(
    repair: Annotated[list[str] | None, typer.Argument(help="Ids of repairs; none with --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All planned repairs.")] = False,
    reason: ReasonOption = "",
    config: options.Config = None,
    group: options.Group = None,
) -> int:
    """Reject; a rejected repair is not planned again until the rows change."""
    return _decide("reject", repair, everything, reason, config, group)


def apply(
    config: options.Config = None,
    group: options.Group = None,
    follower: FollowerOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really write.")] = False,
    how: options.How = Listing.TABLE,
) -> int:
    """Apply approved repairs as compare-and-set on freshly read rows, then look again by the rules of evidence."""
    from trueup.bootstrap.repairing import open_repairing

    with open_repairing(config, group, say) as repairing:
        names = repairing.followers(follower)
        daemon = repairing.daemon() if yes else None
        if daemon is not None:
            say(f"the daemon ({daemon}) applies what is approved; waiting for it")
            rows, ended = _watched(repairing, names)
        elif yes:
            with repairing.writing(_actor()):
                rows, ended = _applied(repairing, names, dry_run=False)
        else:
            rows, ended = _applied(repairing, names, dry_run=True)
    write({"version": 1, "dry_run": not yes, "repairs": rows}, how, None, lambda out: _statements(rows, out))
    if rows and not yes:
        say("nothing was written; with --yes it will be")
    return ended


def undo(
    repair: Annotated[list[str], typer.Argument(help="Ids of verified repairs (trueup repairs --state verified).")],
    reason: ReasonOption = "",
    config: options.Config = None,
    group: options.Group = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really write.")] = False,
    how: options.How = Listing.TABLE,
) -> int:
    """Bring rows back to what they were before their repair, as compare-and-set. They are drift again; the same repair
    is not planned again."""
    from reconciler.applying import Step
    from trueup.bootstrap.repairing import open_repairing

    with open_repairing(config, group, say) as repairing, repairing.writing(_actor()) if yes else nullcontext():
        taken = repairing.undo(repair, dry_run=not yes, actor=_actor(), note=reason)
    good = {Step.PREVIEW: "would be undone", Step.APPLIED: "undone", Step.FOUND_APPLIED: "undone"}
    rows = [_row(one.repair, good.get(one.step, "not undone"), one.note, one.statement) for one in taken]
    write({"version": 1, "dry_run": not yes, "repairs": rows}, how, None, lambda out: _statements(rows, out))
    if not yes:
        say("nothing was written; with --yes it will be")
    return exits.EQUAL if all(one.step in good for one in taken) else exits.DRIFT


def _applied(repairing: Repairing, followers: list[str], *, dry_run: bool) -> tuple[list[dict[str, Any]], int]:
    """Apply here; the rows to show, and the exit code: 1 if something was not repaired, 4 if no look has told yet."""
    from reconciler.applying import Step
    from verifier.errors import Permanent, Temporary

    rows: list[dict[str, Any]] = []
    failed = unseen = False
    for name in followers:
        try:
            taken = repairing.apply(name, dry_run=dry_run, actor=_actor())
        except (Temporary, Permanent) as problem:
            if not rows:
                raise
            say(str(problem))  # what was written to others must be told all the same
            failed = True
            continue
        outcomes = {} if dry_run else repairing.look_again(name, taken)
        for one in taken:
            state = outcomes.get(one.repair.id, one.step.value)
            failed = failed or one.step in (Step.FAILED, Step.HELD, Step.WAITING) or state == "failed"
            unseen = unseen or state == "applied"
            rows.append(_row(one.repair, state, one.note, one.statement))
    return rows, _code(failed, unseen)


def _code(failed: bool, unseen: bool) -> int:
    if not failed and unseen:
        say("what was written could not be judged in time; it will be, by the daemon (see: trueup repairs)")
    return exits.DRIFT if failed else exits.UNVERIFIED if unseen else exits.EQUAL


def _watched(repairing: Repairing, followers: list[str]) -> tuple[list[dict[str, Any]], int]:
    """Let the daemon apply; as `_applied`."""
    from reconciler.repair import State

    found = repairing.watch(followers)
    rows = [_row(record.repair, record.state.value, record.note, "") for record in found]
    ended = (State.VERIFIED, State.SUPERSEDED, State.REJECTED, State.APPLIED)
    failed = any(record.state not in ended for record in found)
    return rows, _code(failed, any(record.state is State.APPLIED for record in found))


def _row(repair: Outline, result: str, note: str, statement: str) -> dict[str, Any]:
    key = ", ".join(map(str, repair.key))
    table = str(repair.table)
    return {"id": repair.id, "result": result, "table": table, "key": key, "note": note, "statement": statement}


def _decide(
    verb: str, ids: list[str] | None, everything: bool, reason: str, config: Path | None, group: str | None
) -> int:
    from reconciler.repair import State
    from trueup.bootstrap.repairing import open_repairing

    if bool(ids) == everything:
        raise typer.BadParameter(f"name the repairs to {verb}, or say --all (see: trueup repairs)")
    with open_repairing(config, group, say) as repairing:
        state = State.APPROVED if verb == "approve" else State.REJECTED
        done, left = repairing.decide(state, ids or None, actor=_actor(), note=reason, now=time.time())
    say(f"{verb}: {several(done, 'repair')}")
    if left:
        say(f"{left} more belong to tables that cannot be compared now; see: trueup explain TABLE")
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
