"""Kafka Connect's REST interface as far as the stack needs it: trueup is not tested by means of its own client."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from verifier.errors import Permanent, Temporary


class ConnectRest:
    """Calls to one worker at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def is_ready(self) -> bool:
        try:
            self.call("GET", "/connectors", timeout=5)
        except Temporary:
            return False
        return True

    def register(self, name: str, config: Mapping[str, str]) -> None:
        """Create or change a connector and wait until it and its task say RUNNING."""
        self.call("PUT", f"/connectors/{name}/config", config)
        self.wait_running(name)

    def wait_running(self, name: str, seconds: float = 120.0) -> None:
        """RUNNING may be an old story after a crash of the worker: there, wait for an event instead."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states(name)
            if len(states) > 1 and set(states) == {"RUNNING"}:
                return
            if "FAILED" in states:
                raise Permanent(f"connector {name} failed: {self.trace(name)[:1000]}")
            if time.monotonic() > deadline:
                raise Temporary(f"connector {name} is not running after {seconds:g} s: {states}")
            time.sleep(0.1)

    def states(self, name: str) -> list[str]:
        """The state of the connector and of its tasks; empty while the worker does not know it yet."""
        try:
            status = self.call("GET", f"/connectors/{name}/status")
        except Temporary:
            return []
        return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]

    def trace(self, name: str) -> str:
        status = self.call("GET", f"/connectors/{name}/status")
        return " ".join(part.get("trace", "") for part in [status["connector"], *status["tasks"]])

    def delete(self, name: str) -> None:
        self.call("DELETE", f"/connectors/{name}")

    def call(self, method: str, path: str, body: object = None, *, timeout: float = 30.0) -> Any:
        """One request; the decoded answer. Raises `Temporary` when nobody answers, on 404, 409 and 5xx, else
        `Permanent`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace")[:500]
            kind = Temporary if error.code in (404, 409) or error.code >= 500 else Permanent
            raise kind(f"connect answered {error.code} to {method} {path}: {said}") from error
        except OSError as error:
            raise Temporary(f"connect at {self.url} does not answer: {error}") from error
        return json.loads(text) if text else None
