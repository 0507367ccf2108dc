"""Whether anybody is there, asked before kafka-python's client is made: it does not tell what kept it out."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from verifier.errors import Misconfigured, Unreachable


def knock(servers: str, told: Mapping[str, object], seconds_max: float) -> None:
    """At these servers (`host:port`, with commas), as a client with these options of kafka-python would. Misconfigured
    for what can never work, Unreachable if nobody answers."""
    reasons: list[str] = []
    context = _encryption(told)
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), seconds_max) as door:
                if context is not None:
                    context.wrap_socket(door, server_hostname=host.strip("[]")).close()
        except ssl.SSLError as error:
            reasons.append(f"no encrypted connection: {error}; check ssl_ca and security_protocol")
        except OSError as error:
            reasons.append(str(error))
        except ValueError as error:
            raise Misconfigured(f"kafka server {server!r} must be host:port") from error
        else:
            return
    raise Unreachable(f"kafka at {servers} does not answer ({reasons[0]}): is it running")


def _encryption(told: Mapping[str, object]) -> ssl.SSLContext | None:
    """As the client makes it. Misconfigured if a file cannot be read."""
    if told.get("security_protocol") not in ("SSL", "SASL_SSL"):
        return None
    files = {name: str(told[name]) if name in told else None for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
    try:
        context = ssl.create_default_context(cafile=files["ssl_cafile"])
        context.check_hostname = bool(told.get("ssl_check_hostname", True))
        if files["ssl_certfile"] is not None:
            password = str(told.get("ssl_password", ""))  # with none at all the terminal would be asked, for ever
            context.load_cert_chain(files["ssl_certfile"], files["ssl_keyfile"], password)
    except OSError as error:  # wrong passwords and what is no PEM, too
        named = ", ".join(name for name in files.values() if name is not None)
        raise Misconfigured(f"kafka client cannot use {named}: {error.strerror or type(error).__name__}") from error
    return context
