"""Where results go: standard output or a file, in the format that was asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from verifier.errors import Misconfigured


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"
    JUNIT = "junit"


class Listing(StrEnum):
    """How a list is written."""

    TABLE = "table"
    JSON = "json"


_LEVELS = 4
"""Of a report: its fields, its tables, their fields, the rows that drifted."""


@contextmanager
def target(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file (written whole or not at all). Misconfigured if it cannot be written."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("w", encoding="utf-8") as out:
            yield out
        draft.replace(path)
    except OSError as problem:
        raise Misconfigured(f"cannot write {str(path)!r}: {problem.strerror}; name another --output") from problem


def writable(path: Path | None) -> None:
    """Misconfigured, before any work is done, if the file could not be written in the end."""
    if path is None:
        return
    with target(path.with_name(path.name + ".try")):
        pass
    path.with_name(path.name + ".try").unlink()


def write(value: Any, how: Format | Listing, path: Path | None, as_text: Callable[[TextIO], None]) -> None:
    """`value` as JSON, or whatever `as_text` writes."""
    with target(path) as out:
        if how.value == "json":
            out.writelines(_lines(value, _LEVELS, ""))
            out.write("\n")
        else:
            as_text(out)


def json_text(value: Any) -> str:
    """The value as JSON on one line, which can be written as UTF-8 whatever is in it."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which only an escape can hold
        return json.dumps(value)
    return text


def _lines(value: Any, levels: int, indent: str) -> Iterator[str]:
    """The value as JSON: what is nested deeper than `levels` stays on one line. A report lists ten thousand rows: one
    line each is how they are read, and ten times as fast to write."""
    if not levels or not value or not isinstance(value, dict | list):
        yield json_text(value)
        return
    named = isinstance(value, dict)
    within, comma = indent + "  ", ""
    yield "{" if named else "["
    for one in value:
        name = f"{json_text(one)}: " if named else ""
        yield f"{comma}\n{within}{name}"
        yield from _lines(value[one] if named else one, levels - 1, within)
        comma = ","
    yield f"\n{indent}" + ("}" if named else "]")


@contextmanager
def nobody_reads() -> Iterator[None]:
    """Standard output may be gone, with its pipe or its terminal: what was to be written is lost, and nothing else.
    What is left in its buffer goes nowhere, for Python would end with a code of its own if it could not be written."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(message: str) -> None:
    """A word to the user that is not the result: standard error, if somebody still reads it. A signal may have come
    while something else was being said there: Python refuses the second word with a RuntimeError, and it is lost."""
    with suppress(OSError, ValueError, RuntimeError):
        print(message, file=sys.stderr, flush=True)
