"""Kafka Connect's REST interface, as far as trueup drives a connector: small, and honest about what it answers.

A connector may say RUNNING while its task has FAILED; `Status.running` is true only if all of it runs. Connect gives
configurations back with passwords in clear: everything that leaves here is redacted.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable

REDACTED = "[hidden]"
_SECRET = re.compile(r"password|secret|sasl\.jaas|\.key$|credential|token", re.IGNORECASE)
_TRACE_MAX = 2000


@dataclass(frozen=True, slots=True)
class Task:
    """`state` as Connect says it (RUNNING, FAILED, PAUSED, UNASSIGNED, RESTARTING); `trace` why it failed."""

    id: int
    state: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """One connector with its tasks."""

    name: str
    state: str
    tasks: tuple[Task, ...]
    trace: str = ""

    @property
    def running(self) -> bool:
        """All of it: a connector that is RUNNING with a FAILED task brings nothing."""
        return self.state == "RUNNING" and bool(self.tasks) and all(task.state == "RUNNING" for task in self.tasks)

    @property
    def failure(self) -> str | None:
        """Why it failed, by its first line; None if nothing failed."""
        for state, trace in [(self.state, self.trace), *((task.state, task.trace) for task in self.tasks)]:
            if state == "FAILED":
                return trace.strip().split("\n", 1)[0] or "failed without a trace"
        return None


class Connect:
    """One Connect cluster at `url` (`http://host:8083`, perhaps with `user:password@`). Calls take at most
    `seconds_max`; Unreachable if nobody answers, Temporary while it rebalances, Permanent for what must be changed."""

    def __init__(self, url: str, *, seconds_max: float = 10.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured("kafka connect url must be http://host:port or https://host:port")
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        self._seconds_max = seconds_max
        self._login = None
        if parts.username is not None:
            name, word = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
            self._login = (name, word)

    def register(self, name: str, config: Mapping[str, str]) -> None:
        """Create it, or change it to this configuration; doing it again is harmless."""
        self._call("PUT", self._of(name, "config"), dict(config))

    def names(self) -> list[str]:
        return sorted(self._call("GET", "/connectors"))

    def status(self, name: str) -> Status:
        answer = self._call("GET", self._of(name, "status"))
        tasks = tuple(Task(task["id"], task["state"], _short(task.get("trace"))) for task in answer["tasks"])
        return Status(name, answer["connector"]["state"], tasks, _short(answer["connector"].get("trace")))

    def config(self, name: str) -> dict[str, str]:
        """Redacted: to read converter modes and to show to people, not to register again."""
        return redacted(self._call("GET", self._of(name, "config")))

    def offsets(self, name: str) -> list[dict[str, Any]]:
        """What Connect remembers of the source (`{"partition": .., "offset": {"lsn": ..}}`), flushed now and then."""
        return list(self._call("GET", self._of(name, "offsets"))["offsets"])

    def restart(self, name: str, *, only_failed: bool = False) -> None:
        """The connector and its tasks."""
        self._call("POST", self._of(name, f"restart?includeTasks=true&onlyFailed={str(only_failed).lower()}"))

    def pause(self, name: str) -> None:
        self._call("PUT", self._of(name, "pause"))

    def resume(self, name: str) -> None:
        self._call("PUT", self._of(name, "resume"))

    def delete(self, name: str) -> None:
        """The connector alone: its slot and publication stay on the leader and keep its log until they are dropped."""
        self._call("DELETE", self._of(name))

    def _of(self, name: str, rest: str = "") -> str:
        return f"/connectors/{urllib.parse.quote(name, safe='')}" + (f"/{rest}" if rest else "")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        if self._login is not None:
            request.add_header("Authorization", _basic(*self._login))
        try:
            with urllib.request.urlopen(request, timeout=self._seconds_max) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read(), f"{method} {path}") from error
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"kafka connect at {self._url} does not answer ({reason}): is it running") from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise Permanent(f"{self._url} does not speak as kafka connect does: is it another service") from error

    def _refusal(self, code: int, body: bytes, call: str) -> Exception:
        said = _message(body)
        where = f"kafka connect at {self._url} answered {code} to {call}"
        if code == 409:
            return Temporary(f"{where}: it is rebalancing; try again in a few seconds")
        if code == 404:
            return Permanent(f"{where}: {said}; is the connector registered under that name")
        if code in (401, 403):
            return Forbidden(f"{where}: check user and password in its url")
        if code == 400:
            return Misconfigured(f"{where}: {said}")
        if "is stopped" in said or code < 500:
            return Permanent(f"{where}: {said}")
        return Temporary(f"{where}: {said}")


def redacted(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration with every secret hidden; references such as `${file:...}` stay readable."""
    return {
        name: REDACTED if _SECRET.search(name) and not value.startswith("${") else value
        for name, value in config.items()
    }


def _message(body: bytes) -> str:
    """What Connect complains of, without the values of secrets that it may quote."""
    try:
        said = str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        said = body.decode("utf-8", "replace")
    return re.sub(r"(?i)((?:password|secret)\S*\s*[=:]\s*)\S+", rf"\1{REDACTED}", said)[:_TRACE_MAX]


def _basic(name: str, word: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()


def _short(trace: object) -> str:
    return str(trace or "")[:_TRACE_MAX]
