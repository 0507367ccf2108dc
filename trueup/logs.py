"""Logging: one line per event on standard error, text on a terminal and JSON elsewhere.

`action` names the event for machines; a house test keeps docs/operations.md's list of actions complete. Row values are
never logged, and URLs lose their passwords on the way out, whoever wrote them into a message.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from typing import Any, Literal

ROOTS = ("trueup", "verifier", "reconciler", "connectors", "dashboards", "config")
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}
_PASSWORD = re.compile(r"(\w+://[^\s:/@]*):[^\s@]+@|(password\s*=\s*)\S+", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without the passwords of URLs and of libpq's key=value strings."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] else f"{found[2]}***", text)


def calls(problem: BaseException) -> str:
    """The calls that led to it and to what caused it, without the words of either: those may quote a row."""
    told: list[str] = []
    one: BaseException | None = problem
    while one is not None:
        told.append(f"{type(one).__name__}\n{''.join(traceback.format_tb(one.__traceback__))}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "because of ".join(told)


class TextLines(logging.Formatter):
    """`12:00:01 warning drift confirmed  action=drift_confirmed table=public.orders`."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        extras = " ".join(f"{name}={value}" for name, value in _extras(record).items())
        line = f"{at} {record.levelname.lower():8}{record.getMessage()}" + (f"  {extras}" if extras else "")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redacted(line)


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the extras."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "logger": record.name}
        line |= {"message": redacted(record.getMessage())}
        line |= {name: redacted(str(value)) for name, value in _extras(record).items()}
        if record.exc_info:
            line["trace"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str = "info", how: Literal["auto", "text", "json"] = "auto") -> None:
    """Send trueup's own logs to standard error; other libraries' only from warning on."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = how == "text" or (how == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextLines() if as_text else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ROOTS:
        logging.getLogger(name).setLevel(level.upper())


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
