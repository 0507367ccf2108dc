"""From a file to `Settings`, or to the list of everything that is wrong with it.

Searched: the path given, `$TRUEUP_CONFIG`, `./trueup.yaml`, `$XDG_CONFIG_HOME/trueup/trueup.yaml`,
`/etc/trueup/trueup.yaml`. Relative paths inside are relative to the file's own folder, so that a daemon and a
person at a prompt mean the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.consistency import findings
from config.document import Document, read
from config.known import keys_at
from config.problem import Path as Steps
from config.problem import Problem, Severity, dotted, nearest
from config.settings import Settings
from config.warn import warnings
from config.wording import message_of
from verifier.errors import Misconfigured

_FILE = "trueup.yaml"
OVERRIDES = ("TRUEUP_INSTANCE", "TRUEUP_JOURNAL", "TRUEUP_HTTP", "TRUEUP_LOG")
"""How variables begin that say something over the file (`config.environment`)."""


def load(path: Path | str | None = None) -> Settings:
    """The settings of the first file found. Misconfigured with every problem, one a line."""
    file = find(path)
    settings, problems = _judge(file)
    if settings is None:
        raise _misconfigured(problems)
    return settings


def check(path: Path | str | None = None) -> list[Problem]:
    """Every problem of the file, warnings included, in the order of its lines. Misconfigured if there is no file."""
    return _judge(find(path))[1]


def parse(text: str, *, file: str = _FILE, folder: Path | None = None) -> Settings:
    """The settings that `text` holds, as if it stood in `file`; no environment. Misconfigured with every problem."""
    settings, problems = _parsed(read(text, file), folder or Path(), {})
    if settings is None:
        raise _misconfigured(problems)
    return settings


def find(path: Path | str | None = None) -> Path:
    """The file to read. Misconfigured names every place that was looked at."""
    named = path or os.environ.get("TRUEUP_CONFIG")
    if named:
        file = Path(named).expanduser()
        if not file.is_file():
            source = "" if path else " ($TRUEUP_CONFIG)"
            raise Misconfigured(f"no configuration file {str(file)!r}{source}; 'trueup init' writes one")
        return file
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    places = [Path(_FILE), Path(home) / "trueup" / _FILE, Path("/etc/trueup") / _FILE]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise Misconfigured(f"no configuration file found (looked for {looked}); name one with --config, or 'trueup init'")


def _judge(file: Path) -> tuple[Settings | None, list[Problem]]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return None, [Problem(str(file), 0, 0, "", f"not UTF-8 text: {error.reason} at byte {error.start}")]
    except OSError as error:
        return None, [Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror}")]
    document = read(text, str(file))
    try:
        sources = _overlaid(document)
    except ValueError as error:
        return None, [*document.problems, Problem("environment", 0, 0, "", f"cannot be read: {error}")]
    return _parsed(document, file.parent.absolute(), sources)


def _overlaid(document: Document) -> dict[Steps, str]:
    """What the environment says set over the file. The library for that takes a tenth of a second to load, which most
    commands need not wait for."""
    if not any(name.upper().startswith(OVERRIDES) for name in os.environ):
        return {}
    from config.environment import overlay

    return overlay(document.value)


def _parsed(document: Document, folder: Path, sources: dict[Steps, str]) -> tuple[Settings | None, list[Problem]]:
    problems = list(document.problems)
    if document.value is None and not problems:
        message = "is empty; 'trueup init' writes a first configuration"
        problems.append(Problem(document.file, 1, 1, "", message))
    if document.value is None:
        return None, problems
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(document.value, context={"folder": folder})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            if not _follows(document, detail):
                problems.append(_problem(document, detail, sources))
    problems += [document.problem(path, message) for path, message in findings(document.value)]
    broken = bool(problems)
    if settings is not None:
        problems += warnings(settings, document)
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return None if broken else settings, problems


def _follows(document: Document, detail: ErrorDetails) -> bool:
    """Whether this only repeats others: a list is too short because its items failed."""
    return detail["type"] == "too_short" and bool(_value(document.value, _standing(document.value, detail["loc"])))


def _value(value: object, path: Steps) -> object:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return value


def _problem(document: Document, detail: ErrorDetails, sources: dict[Steps, str]) -> Problem:
    location = detail["loc"]
    path = _standing(document.value, location)
    if detail["type"] == "extra_forbidden":
        message = f"unknown key{nearest(str(location[-1]), keys_at(Settings, location[:-1]))}"
        return document.problem(path, message, at_key=True)
    message = message_of(detail)
    for source, variable in sources.items():
        if path[: len(source)] == source:
            return Problem(f"environment variable {variable}", 0, 0, dotted(path), message)
    return document.problem(path, message, at_key=detail["type"] == "missing")


def _standing(value: object, location: Sequence[str | int]) -> Steps:
    """A pydantic location as a path of the document: without the tags of unions, which do not stand in it."""
    path: list[str | int] = []
    if location and location[-1] == "[key]":
        location = location[:-1]
    for index, step in enumerate(location):
        if isinstance(value, dict):
            last = index == len(location) - 1
            if step not in value and not last and value.get("kind") == step:
                continue
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        elif isinstance(value, str):
            break  # a short form, such as `journal: trueup.db`
        path.append(step)
    return tuple(path)


def _misconfigured(problems: list[Problem]) -> Misconfigured:
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    return Misconfigured("\n".join(str(problem) for problem in errors))
