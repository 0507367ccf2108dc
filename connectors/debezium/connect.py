"""Kafka Connect's REST interface, as far as trueup drives a connector: small, and honest about what it answers.

A connector may say RUNNING while its task has FAILED; `Status.running` is true only if all of it runs. Connect gives
configurations back with passwords in clear: everything that leaves here is redacted.
"""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable

REDACTED = "[hidden]"
_SECRET = re.compile(r"password|passphrase|secret|sasl\.jaas|\.key$|credential|token", re.IGNORECASE)
_TRACE_MAX = 8000
_REBALANCE_PAUSE = 0.25


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
        return self.all("RUNNING")

    def all(self, state: str) -> bool:
        """Whether the connector and every task say so; a connector that runs without any task brings nothing."""
        told = {self.state, *(task.state for task in self.tasks)}
        return told == {state} and (bool(self.tasks) or state != "RUNNING")

    @property
    def traces(self) -> tuple[str, ...]:
        """Of the connector and the tasks that failed."""
        parts = [(self.state, self.trace), *((task.state, task.trace) for task in self.tasks)]
        return tuple(trace.strip() or "failed without a trace" for state, trace in parts if state == "FAILED")

    @property
    def failure(self) -> str | None:
        """Why it failed, by its first line; None if nothing failed."""
        return self.traces[0].split("\n", 1)[0] if self.traces else None


class Rebalancing(Temporary):
    """The workers are dividing their work anew, which takes seconds."""


class NotRegistered(Permanent):
    """Kafka Connect knows no connector of that name."""


class Connect:
    """One Connect cluster at `url` (`http://host:8083`, perhaps with `user:password@`). Calls take at most
    `seconds_max`; Unreachable if nobody answers, NotRegistered for an unknown name, Permanent for what must be changed,
    Temporary while it rebalances: that is waited for up to `rebalance_seconds`, by asking again."""

    def __init__(self, url: str, *, seconds_max: float = 10.0, rebalance_seconds: float = 0.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured("kafka connect url must be http://host:port or https://host:port")
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        self._seconds_max = seconds_max
        self._rebalance_seconds = rebalance_seconds
        self._login = None
        if parts.username is not None:
            name, word = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
            self._login = (name, word)

    def register(self, name: str, config: Mapping[str, str]) -> None:
        """Create it, or change it to this configuration; doing it again is harmless."""
        self._call("PUT", self._of(name, "config"), dict(config))

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

    def stop(self, name: str) -> None:
        """It lets go of its source, tasks and all; only then can what it remembers be forgotten."""
        self._call("PUT", self._of(name, "stop"))

    def forget(self, name: str) -> None:
        """What Connect remembers of the source of a connector that is stopped: the next one of the name begins anew."""
        self._call("DELETE", self._of(name, "offsets"))

    def delete(self, name: str) -> None:
        """The connector alone: its slot and publication stay on the leader and keep its log until they are dropped."""
        self._call("DELETE", self._of(name))

    def _of(self, name: str, rest: str = "") -> str:
        return f"/connectors/{urllib.parse.quote(name, safe='')}" + (f"/{rest}" if rest else "")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        until = time.monotonic() + self._rebalance_seconds
        while True:
            try:
                return self._ask(method, path, body)
            except Rebalancing:
                if time.monotonic() >= until:
                    raise
                time.sleep(_REBALANCE_PAUSE)

    def _ask(self, method: str, path: str, body: object) -> Any:
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
            return Rebalancing(f"{where}: it is rebalancing; try again in a few seconds")
        if code == 404 and not _in_its_words(body):  # its web server is up seconds before what answers there
            return Temporary(f"{where}, not in its own words: it is starting, or this is another service")
        if code == 404:
            return NotRegistered(f"{where}: {said}; is the connector registered under that name")
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


def _in_its_words(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _message(body: bytes) -> str:
    """What Connect complains of, without the values of secrets that it may quote."""
    try:
        said = str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        said = body.decode("utf-8", "replace")
    return _without_secrets(said)[:_TRACE_MAX]


def _without_secrets(text: str) -> str:
    return re.sub(r"(?i)((?:password|secret)\S*\s*[=:]\s*)\S+", rf"\1{REDACTED}", text)


def _basic(name: str, word: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()


def _short(trace: object) -> str:
    """Without secrets. The end of a long trace stays, too: there stands what caused it all."""
    text = _without_secrets(str(trace or ""))
    half = _TRACE_MAX // 2
    return text if len(text) <= _TRACE_MAX else f"{text[:half]}\n...\n{text[-half:]}"
