"""What kafka-python drops is closed: real sockets, and the client itself."""

from __future__ import annotations

import gc
import selectors
import socket
from collections.abc import Iterator

import pytest

from connectors.kafka.closing import ClosingSelector
from connectors.kafka.kafka_python import KafkaAdminClient, KafkaConsumer, kafka_errors, made


@pytest.fixture
def selector() -> Iterator[ClosingSelector]:
    one = ClosingSelector()
    yield one
    one.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def connecting(selector: ClosingSelector, port: int) -> socket.socket:
    """One that is waited for."""
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    selector.register(one, selectors.EVENT_WRITE)
    return one


def test_what_was_refused_is_closed_and_what_was_let_in_is_left(
    selector: ClosingSelector, listener: socket.socket
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    refused, met = connecting(selector, port), connecting(selector, listener.getsockname()[1])
    while len(selector.select(60)) < 2:
        assert (refused.fileno() > 0, met.fileno() > 0) == (True, True), "whoever waits for it hears what became of it"
    for one in (refused, met):
        selector.unregister(one)
    selector.select(0)
    assert (refused.fileno(), met.fileno() > 0) == (-1, True)
    selector.close()
    assert met.fileno() == -1


@pytest.mark.parametrize("client", [KafkaAdminClient, KafkaConsumer])
def test_a_client_that_gives_up_while_it_is_connecting_leaves_no_socket(client: type[object]) -> None:
    before = set(map(id, sockets()))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as busy:
        where = busy.getsockname()
        told = {"bootstrap_servers": [f"127.0.0.1:{where[1]}"]}
        with socket.create_connection(where), pytest.raises(kafka_errors.KafkaTimeoutError):  # nobody else gets in
            made(client, told, 0.2)
    assert [one for one in sockets() if id(one) not in before] == []


def sockets() -> list[socket.socket]:
    return [one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() >= 0]
