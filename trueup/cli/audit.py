"""`trueup audit`: compare once, now, and say with evidence what differs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.asking import Words, planned
from trueup.cli.audit_words import Narrowing
from trueup.cli.careful import Careful
from trueup.cli.discretion import hide_arguments, without_passwords
from trueup.cli.output import Format, nobody_reads, say, writable
from trueup.cli.reports import write_report
from trueup.cli.watermark_words import OrderedOption, TableOption, Watermarking, WriteOption
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from trueup.audit.progress import Watcher
    from trueup.bootstrap.auditing import OpenAudit, Plan


def register(app: typer.Typer) -> None:
    app.command(help="Compare once, now; exit 0 equal, 1 drift, 4 not all could be verified.")(audit)


def audit(
    config: options.Config = None,
    group: options.Group = None,
    leader: options.Leader = None,
    follower: options.Followers = None,
    table: Annotated[list[str] | None, typer.Option(help="Pattern schema.table with * and ?; ! excludes.")] = None,
    exclude: options.Exclude = None,
    mask: options.Mask = None,
    key: options.Key = None,
    columns: options.Columns = None,
    where: options.Where = None,
    map_table: options.MapTable = None,
    map_column: options.MapColumn = None,
    tolerate: options.Tolerate = None,
    how: Annotated[Format, typer.Option("--format", help="How the result is written.")] = Format.TABLE,
    output: options.Output = None,
    journal: Annotated[str | None, typer.Option(help="Journal path or URL (default: ./trueup.db).")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this interrupted run.")] = None,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Stop after about this many rows.")] = None,
    settle: Annotated[float | None, typer.Option(min=0.1, help="Seconds a suspect may stay in flight.")] = None,
    chunk_time: Annotated[float | None, typer.Option(min=0.01, help="Target seconds per chunk.")] = None,
    max_load: Annotated[int | None, typer.Option(min=1, help="Wait while more statements run on a server.")] = None,
    max_load_sql: Annotated[list[str] | None, typer.Option(help="SQL=NUMBER: wait while it tells more.")] = None,
    max_lag: Annotated[float | None, typer.Option(min=0.01, help="Wait while a follower lags by more seconds.")] = None,
    max_rows_per_second: Annotated[float | None, typer.Option(min=1, help="Read no more of the leader's rows.")] = None,
    pause_file: Annotated[Path | None, typer.Option(help="Wait while this file exists.")] = None,
    max_connections: Annotated[int | None, typer.Option(min=1, help="Connections per server (default: 4).")] = None,
    tables_at_once: Annotated[int | None, typer.Option(min=1, help="Tables (default: half the connections).")] = None,
    watermark: TableOption = None,
    watermark_write: WriteOption = False,
    watermark_ordered: OrderedOption = False,
    stream: Annotated[str | None, typer.Option(help="pgoutput:PUBLICATION, binlog, config: judge by it.")] = None,
    restored_at: Annotated[str | None, typer.Option(help="Followers are backups begun after this `position`.")] = None,
    since: Annotated[str | None, typer.Option(help="Only what was touched since this `run`, where known.")] = None,
    cutover: Annotated[bool, typer.Option("--cutover", help="Checklist: leader stopped, may we go?")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> int:
    """Compare every row of every chosen table on every follower with the leader, while writers write."""
    from trueup.audit.keeping import JournalLost
    from trueup.audit.report import ran_by
    from trueup.bootstrap.auditing import open_audit

    hide_arguments()
    words = Words(config, group, leader, follower or [], table or [], exclude or [], key or [], journal, stop_after)
    narrowing = Narrowing(where or [], columns or [], map_table or [], map_column or [], tolerate or [])
    limits = (max_load, max_load_sql or [], max_lag, max_rows_per_second, pause_file, max_connections, tables_at_once)
    words = replace(words, narrowing=narrowing, masked=mask or [])
    plan = Careful(*limits).applied(_tuned(planned(words), settle, chunk_time))
    plan = replace(Watermarking(watermark, watermark_write, watermark_ordered).applied(plan), stream=stream)
    if cutover or restored_at is not None:
        plan = replace(plan, watermark=None, stream=None)  # both are proven at rest, and a tick would be a write
    prepare = _proof(plan, cutover, restored_at, since, resume, stop_after)
    writable(output)
    watcher, begun = _watcher(quiet), resume
    with stopping() as stop:
        try:
            opened = open_audit(plan, run=resume, watcher=watcher, stop=stop)
            opened.audit.by = ran_by(f"trueup audit {_again(sys.argv[2:])}")
            try:
                for remark in opened.remarks:
                    watcher.note(f"note: {remark}")
                prepare(opened, watcher)
                run = opened.audit.begin(resume)
                begun = run.id
                if restored_at is None and plan.followed is not None:
                    from trueup.bootstrap.since import note_baseline

                    note_baseline(opened, plan.followed, run, watcher)
                watcher.note(f"run {run.id}")
                report = opened.audit.run(run)
                opened.tell(watcher.note)
            except JournalLost:
                if begun is not None:  # one that the journal did not take is known to nobody
                    say(f"go on with: trueup audit {_again(sys.argv[2:])} --resume {begun}")
                raise
            finally:
                opened.close()
        finally:
            watcher.close()
    with nobody_reads():  # the verdict is the exit code all the same, and the report is in the journal
        write_report(report, how, output)
    if opened.audit.unfinished:
        why = "stopped" if opened.audit.interrupted else "not everything could be reached"
        say(f"{why}; go on with: trueup audit {_again(sys.argv[2:])} --resume {run.id}")
    if opened.audit.interrupted and stop():
        return exits.INTERRUPTED
    return exits.of_verdict(report["verdict"])


def _proof(
    plan: Plan, cutover: bool, restored_at: str | None, since: str | None, resume: str | None, rows_max: int | None
) -> Callable[[OpenAudit, Watcher], None]:
    """What makes the opened audit a cutover's, a restore drill, or one since another run, where that was asked for."""
    asked = [cutover, restored_at is not None, since is not None].count(True)
    if asked == 0:
        return lambda opened, watcher: None
    if asked > 1:
        raise Misconfigured("--cutover, --restored-at and --since are different proofs; ask for one of them")
    if resume is not None or rows_max is not None:
        raise Misconfigured(
            "--cutover, --restored-at and --since speak of one moment: they take neither --resume nor --stop-after; "
            "audit anew"
        )
    if since is not None:
        from trueup.bootstrap.since import since_of

        return lambda opened, watcher: since_of(opened, plan.followed, since).noted(watcher)
    if restored_at is None:
        from trueup.bootstrap.cutover import cutover_of

        return lambda opened, watcher: cutover_of(opened, plan, watcher).begin()
    from trueup.bootstrap.restore import drill_of
    from verifier.recorded import Recorded

    recorded = Recorded.read(restored_at)
    return lambda opened, watcher: drill_of(opened, recorded, watcher).begin()


def _tuned(plan: Plan, settle: float | None, chunk_time: float | None) -> Plan:
    if settle is not None:
        plan = replace(plan, settle=replace(plan.settle, give_up_seconds=settle))
    if chunk_time is not None:
        plan = replace(plan, scan=replace(plan.scan, chunk_seconds=chunk_time))
    return plan


def _watcher(quiet: bool) -> Watcher:
    from trueup.audit.progress import Bar, Lines, Silent
    from trueup.clock import SystemClock

    if quiet:
        return Silent()
    if sys.stderr.isatty():
        return Bar()
    clock = SystemClock()
    return Lines(clock.now(), clock)


def _again(words: list[str]) -> str:
    """The same command line without an earlier --resume and without passwords."""
    import shlex

    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("--resume="):
            skip = False
            continue
        if word == "--resume":
            skip = True
            continue
        kept.append(without_passwords(word))
    return shlex.join(kept)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM and SIGHUP ask to stop at the next chunk; a second Ctrl-C ends at once. Under `nohup`, which is
    SIGHUP ignored from the start, a closed terminal stops nothing."""
    asked = False

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not asked:
            say("stopping after this chunk; once more to end at once")
        asked = True

    hung_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    numbers = (signal.SIGINT, signal.SIGTERM, *hung_up)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
