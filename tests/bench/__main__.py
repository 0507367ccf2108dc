"""`python -m bench [PART ...]`: measure, print, and write docs/benchmarks.md. Parts: see --help."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from bench import commands, cost, decode, live, machine, page, scale, since, speed, startup, truth

PARTS = (*speed.CONTESTS, "detect")
STARTS = {"stack": startup, "commands": commands}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    choices = [*PARTS, "truth", "scale", "decode", "since", "cost", "causes", *STARTS, []]
    parser.add_argument("part", nargs="*", choices=choices, help=f"what to measure (default: {', '.join(PARTS)})")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the audited table")
    parser.add_argument("--rounds", type=int, default=3, help="how often the audited and their rivals take turns")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the leader is busy, per stream")
    parser.add_argument("--keys", type=int, default=200_000, help="keys judged per method and follower, for truth")
    parser.add_argument("--through", nargs="*", choices=truth.THROUGH, help="which followers, for truth (default: all)")
    parser.add_argument("--each", type=int, default=25, help="wrong applications of every kind, for causes")
    parser.add_argument("--rate", type=float, default=1_000.0, help="row changes per second beside them, for causes")
    parser.add_argument("--tables", type=int, default=5_000, help="tables of one audit, for scale")
    parser.add_argument("--drifted", type=int, default=1_000_000, help="rows that all differ, for scale")
    parser.add_argument("--events", type=int, default=1_000_000, help="row changes in the topics, for decode")
    parser.add_argument("--dry", action="store_true", help="print only, leave the page alone")
    told = parser.parse_args(words)
    for part in told.part or PARTS:
        if part in speed.CONTESTS:
            found = {part: _speed(speed.CONTESTS[part], told.rows, told.rounds)}
        elif part == "truth":
            found = _truth(told.keys, told.through or list(truth.THROUGH))
        elif part == "causes":
            found = {part: _causes(told.each, told.rate)}
        elif part == "scale":
            found = {part: _scale(told.tables, told.drifted)}
        elif part == "decode":
            found = {part: _decode(told.events, told.rounds)}
        elif part == "since":
            found = {part: _since(told.rows, told.rounds)}
        elif part in STARTS:
            found = {part: _start(part, told.rounds)}
        elif part == "cost":
            found = {"servers": _cost(told.rows, told.seconds)}
        else:
            found = _live(told.seconds)
        for section, text in found.items():
            print(f"\n## {section}\n{text}")
            if not told.dry:
                page.replace(section, text)
    return 0


def _when(load_before: str) -> str:
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Measured {at} on {machine.shape()}; load average {load_before} before, {machine.load()} after."


def _speed(contest: speed.Contest, rows: int, rounds: int) -> str:
    before = machine.load()
    equal, spoiled, remarks = speed.bench(contest, rows, rounds)
    found = "all listed" if contest.lists else f"all listed by trueup, their chunks named by {contest.rival}"
    return "\n\n".join([
        f"{rows:,} rows x 10 columns, {contest.title}, on the same machine, all cached. {remarks}".strip(),
        "Equal tables:", page.series_table(equal, contest.rival),
        f"{speed.spoilt(rows):,} rows differ, evenly spread, {found}:", page.series_table(spoiled, contest.rival),
        _when(before),
    ])  # fmt: skip


def _causes(each: int, rate: float) -> str:
    before = machine.load()
    return f"{page.table(truth.CAUSES, truth.causes(each, rate))}\n\n{_when(before)}"


def _truth(keys: int, through: list[str]) -> dict[str, str]:
    """A section for each way of following."""
    found = {}
    for one in through:
        before = machine.load()
        rows = page.table(truth.HEADER, truth.bench(keys, one))
        found["truth" if one == "log" else f"truth-{one}"] = f"{rows}\n\n{keys:,} keys asked for. {_when(before)}"
    return found


def _start(part: str, rounds: int) -> str:
    before = machine.load()
    return f"{page.table(STARTS[part].HEADER, STARTS[part].bench(rounds))}\n\n{_when(before)}"


def _scale(tables: int, drifted: int) -> str:
    before = machine.load()
    return f"{page.table(scale.HEADER, scale.bench(tables, drifted))}\n\n{_when(before)}"


def _since(rows: int, rounds: int) -> str:
    before = machine.load()
    return f"{page.table(since.HEADER, since.bench(rows, rounds))}\n\n{_when(before)}"


def _cost(rows: int, seconds: float) -> str:
    before = machine.load()
    found = [cost.bench(stream, rows, seconds) for stream in live.NAMES]
    table = page.table(cost.HEADER, [line for one in found for line in one.table()])
    remarks = " ".join(one.remark() for one in found)
    alone = "`alone` is the mean of a run before and one after."
    return f"{table}\n\n{remarks} {alone} {seconds:g} s each. {_when(before)}"


def _decode(events: int, rounds: int) -> str:
    before = machine.load()
    found = page.table(decode.HEADER, decode.bench(events, rounds))
    return f"{decode.ROWS} rows of about 770 bytes in each transaction.\n\n{found}\n\n{_when(before)}"


def _live(seconds: float) -> dict[str, str]:
    """The sections on detection and on cost: both come from the same runs."""
    before = machine.load()
    runs = [live.bench(stream, seconds) for stream in ("kafka", "pgoutput")]
    when = _when(before)
    found = page.table(live.FOUND, [run.found_row() for run in runs])
    cost = page.table(live.COST, [run.cost_row() for run in runs])
    without = "Servers: leader, standby and subscriber together, without Kafka and Connect."
    return {"detect": f"{found}\n\n{seconds:g} s each. {when}", "cost": f"{cost}\n\n{without} {when}"}


if __name__ == "__main__":
    sys.exit(main())
