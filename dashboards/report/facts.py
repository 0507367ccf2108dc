"""What is told around the rows: figures, how each table was read, what was left out, and how to look again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dashboards.report.values import plain
from dashboards.report.words import SCHEMES

Facts = list[tuple[str, str]]
"""Names and what is said of them, with whatever comes from outside already spelled out (`values.plain`)."""
_SERVER_OPTIONS = ("--config", "--group", "--leader", "--follower", "--journal")


def figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures on top: number, what it counts, and how it is coloured."""
    tables = report["tables"]
    compared = len({entry["table"] for entry in tables})
    differing = sum(sum(entry["drift"].values()) for entry in tables)
    doubtful = sum(entry["verdict"] == "unverified" or bool(entry["reason"]) for entry in tables)
    followers = len(report.get("followers", ()))
    schema = sum(len(entry["schema"]) for entry in tables)
    found = [
        (number(compared), "table" if compared == 1 else "tables", ""),
        (number(followers), "follower" if followers == 1 else "followers", ""),
        (number(sum(entry["rows"]["leader"] for entry in tables)), "rows compared", ""),
        (number(differing), "row differs" if differing == 1 else "rows differ", "drift" if differing else ""),
        (number(doubtful), "not fully verified", "unverified" if doubtful else ""),
    ]
    if schema:
        found.append((number(schema), "definition differs" if schema == 1 else "definitions differ", "unverified"))
    violated = sum(entry["verdict"] == "violated" for entry in report["invariants"])
    if report["invariants"]:
        words = f"of {len(report['invariants'])} invariants violated"
        found.append((number(violated), words, "drift" if violated else ""))
    return found


def about_table(entry: Mapping[str, Any]) -> Facts:
    """How one table was read."""
    rows, spent = entry["rows"]["leader"], entry["seconds"]
    rate = f", {number(round(rows / spent))} rows/s" if rows and spent >= 0.5 else ""
    told: Facts = [("rows", f"{number(rows)} on the leader, {number(entry['rows']['follower'])} here")]
    told.append(("time", f"{seconds(spent)}{rate}"))
    if entry.get("key"):
        told.append(("key", ", ".join(map(plain, entry["key"]))))
    if entry["chunks"]["total"]:
        told.append(("digests", f"{entry['scheme']}: {SCHEMES[entry['scheme']]}"))
        if entry.get("columns_compared"):
            told.append(("columns", f"{entry['columns_compared']} compared"))
    if entry.get("scheme_why"):
        told.append(("why not cheaper", plain(entry["scheme_why"])))
    told += [("left out", plain(f"{column}: {_why(entry, column)}")) for column in entry["excluded_columns"]]
    told += [("tolerated", plain(f"{column}: {what}")) for column, what in entry.get("tolerances", {}).items()]
    if entry.get("where"):
        told.append(("only rows", plain(entry["where"])))
    if entry.get("table_on_follower"):
        told.append(("name there", plain(entry["table_on_follower"])))
    told += [("name there", plain(f"{ours} is {theirs}")) for ours, theirs in entry.get("renamed_columns", {}).items()]
    if entry.get("restore"):
        rows, percent = entry["restore"]["rows"], entry["restore"]["percent"]
        since = ", ".join(f"{number(rows[name])} {name}" for name in ("changed", "gone", "new") if rows[name])
        proven = f"{percent:g} % proven: {number(rows['proven'])} of {number(rows['backup'])} rows"
        told.append(("restored", proven + (f"; since then {since}" if since else "")))
    told += [("note", plain(remark)) for remark in entry.get("remarks", ())]
    return told


def left_out(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Table, what of it was not compared or is called otherwise, and why; each once, whatever the follower."""
    told: dict[tuple[str, str, str], None] = {}
    for entry in report["tables"]:
        for column in entry["excluded_columns"]:
            told[entry["table"], f"column {column} was not compared", _why(entry, column)] = None
        for column, what in entry.get("tolerances", {}).items():
            told[entry["table"], f"column {column} was compared with a tolerance", what] = None
        if entry.get("where"):
            told[entry["table"], f"only rows with {entry['where']}", "asked for with a condition"] = None
        if entry.get("table_on_follower"):
            what = f"is {entry['table_on_follower']} on {entry['follower']}"
            told[entry["table"], what, "mapped, or the server's own default schema"] = None
        for ours, theirs in entry.get("renamed_columns", {}).items():
            told[entry["table"], f"column {ours} is {theirs} on {entry['follower']}", "mapped as asked"] = None
    return list(told)


def _why(entry: Mapping[str, Any], column: str) -> str:
    return str(entry.get("excluded_why", {}).get(column, "excluded as asked"))


def settings(asked: Mapping[str, Any]) -> Facts:
    """Each setting as words; what was left empty is not told."""
    return [
        (plain(name.replace("_", " ")), plain(_words(value)))
        for name, value in asked.items()
        if value not in ({}, [], None)
    ]


def again(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What to do next, and the command for it."""
    command = report.get("by", {}).get("command", "")
    servers = _servers(command) or "--config FILE"
    if report["finished_at"] is None:
        yield "finish this run", f"{command or 'trueup audit …'} --resume {report['run']}"
    if any(sum(entry["drift"].values()) for entry in report["tables"]):
        yield "look again at the rows that differ", f"trueup recheck {servers} --run {report['run']}"
        journal = _servers(command, ("--config", "--group", "--journal")) or "--journal trueup.db"
        yield "list all of them", f"trueup drift {journal} --run {report['run']} --format json"
    yield "audit again", command or f"trueup audit {servers}"


def duration(began: str, ended: str | None) -> str | None:
    if ended is None:
        return None
    return seconds((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def number(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def seconds(spent: float) -> str:
    if spent < 60:
        return f"{spent:.1f} s"
    minutes, rest = divmod(round(spent), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def moment(at: str) -> str:
    """`2026-01-01T00:00:00.000Z` for people."""
    return at[:19].replace("T", " ") + " UTC" if at.endswith("Z") else at


def _servers(command: str, wanted: Sequence[str] = _SERVER_OPTIONS) -> str:
    """Those of the command's options that name servers and journal."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    kept: list[str] = []
    for place, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name in wanted and (equals or place + 1 < len(words)):
            kept += [word] if equals else [word, words[place + 1]]
    return shlex.join(kept)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_words(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
