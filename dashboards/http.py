"""One small HTTP server in a thread: `/metrics`, `/livez`, `/readyz`.

`livez` asks "must this process be restarted?" and `readyz` "does it do its work?": a dead thread turns both red, a
blind stream or an unreachable follower only the second. The body says why. GET and HEAD only; there is no login, so
the default is the loopback address.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from verifier.errors import Misconfigured

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """`reasons` are sentences for people: what is wrong, without row values or secrets."""

    ok: bool
    reasons: tuple[str, ...] = ()


Probe = Callable[[], Health]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: HTTP status, content type, body."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pages:
    """What the server shows."""

    registry: CollectorRegistry
    live: Probe
    ready: Probe

    def page(self, path: str, accept: str) -> Page:
        """The page at `path`, in the format that `accept` prefers."""
        match path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                return Page(200, content_type, encode(self.registry))
            case "/livez":
                return _health(self.live())
            case "/readyz":
                return _health(self.ready())
            case "/":
                return Page(200, "text/plain; charset=utf-8", b"trueup: /metrics /livez /readyz\n")
            case _:
                return Page(404, "text/plain; charset=utf-8", b"not here: try /metrics, /livez, /readyz\n")


def _health(health: Health) -> Page:
    body = {"status": "ok" if health.ok else "failing", "reasons": list(health.reasons)}
    return Page(200 if health.ok else 503, "application/json", json.dumps(body).encode() + b"\n")


class Server:
    """Serves `pages` from `start` to `stop`."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Binds at once; port 0 takes a free one. Misconfigured if the place cannot be had."""
        handler = type("Handler", (_Handler,), {"pages": pages})
        kind = _SixServer if ":" in host else _Server
        try:
            self._server = kind((host, port), handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot listen on {host}:{port}: {reason}; set http.listen to a free address"
            raise Misconfigured(message) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that were bound."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def alive(self) -> bool:
        """Whether the thread serves."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting and free the port; harmless if never started or called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that went away is no fault of ours; anything else was answered and logged by the handler.
        logger.debug("connection ended early", exc_info=True, extra={"action": "http_connection_lost"})


class _SixServer(_Server):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[Pages]
    timeout = 10.0  # a client that sends nothing must not hold a thread for ever
    server_version = "trueup"
    sys_version = ""

    def do_GET(self) -> None:
        page = self._page()
        self._head(page)
        self.wfile.write(page.body)

    def do_HEAD(self) -> None:
        self._head(self._page())

    def _page(self) -> Page:
        try:
            return self.pages.page(self.path, self.headers.get("Accept", ""))
        except Exception:
            # The probe itself failed: the caller must see red, not a closed connection.
            logger.exception("page failed", extra={"action": "http_page_failed", "path": self.path})
            return Page(500, "text/plain; charset=utf-8", b"failed; the log has the reason\n")

    def _head(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        logger.debug(format, *args, extra={"action": "http_request"})
