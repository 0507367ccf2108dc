"""What a daemon that follows Kafka needs beside the leader is taken from it: its login, and the registry of schemas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.program import DaemonProcess
from fixtures.proxy import TcpProxy
from fixtures.running import Served
from fixtures.watched import kafka_stream
from stack.debezium import avro
from stack.native import KafkaStack
from stack.registry import Registry

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def _found(served: Served, daemon: DaemonProcess, *keys: int) -> None:
    """These rows were damaged on the subscriber, and no other; nothing but the stream looks at them."""
    daemon.until(lambda: daemon.metric("trueup_drift_rows") == len(keys), f"drift of {keys}")
    assert served.drift().keys() == {("subscriber", "public.orders", (str(key),)) for key in keys}
    assert daemon.metric("trueup_stream_blind_tables") in (0, None)


_BEND = """
create function bend() returns trigger language plpgsql as $$ begin new.amount := 0; return new; end $$;
create trigger bend before update on orders for each row execute function bend();
alter table orders enable replica trigger bend;
"""


def _damaged(served: Served, key: int) -> None:
    """The leader changes this row, and the subscriber makes something else of it."""
    served.leader.sql("update orders set note = 'changed' where id = %s", (key,))


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.touch(0o600)
    path.write_text(text)
    return path


def test_a_login_that_expires_and_a_registry_that_is_away_cost_nothing_but_time(
    served: Served, kafka_stack: KafkaStack, schema_registry: Registry, proxy: Callable[[int], TcpProxy]
) -> None:
    between = proxy(schema_registry.port)
    registry = schema_registry.confluent_url.replace(f":{schema_registry.port}", f":{between.port}")
    broker, user = kafka_stack.broker, kafka_stack.prefix()
    broker.admit(user, "first word")
    word = _file(served.folder, "word", "first word")
    tables = [f"public.{name}" for name in ("orders", "items", "ledger", "balances")]
    more = {**avro(schema_registry.url), "snapshot.mode": "no_data"}
    name = kafka_stack.capture(served.world.trio.leader, served.world.name, tables, more=more)
    stream = kafka_stream(
        kafka_stack, name, f"schema_registry_url: '{registry}'", "security_protocol: SASL_SSL",
        "sasl_mechanism: SCRAM-SHA-256", f"sasl_user: {user}", f"sasl_password: 'file:{word}'",
        f"ssl_ca: '{broker.certificates.ca}'",
    ).replace(kafka_stack.bootstrap, broker.secured)  # fmt: skip

    def edit(text: str) -> str:
        return "\n".join(f"    {stream}" if "stream:" in line else line for line in text.splitlines()) + "\n"

    served.write(period="1h", edit=edit)
    served.subscriber.sql(_BEND)
    with served.daemon() as daemon:
        daemon.until_ready()
        _damaged(served, 1)
        _found(served, daemon, 1)

        broker.admit(user, "second word")
        reasons = daemon.until_red("shop: follow:", "refuses us")
        assert "word" not in reasons.replace("password", "")
        assert (daemon.metric("trueup_service_failures_total", service="follow") or 0) >= 1
        between.stop()  # whoever is let in again asks the registry for every schema anew
        _damaged(served, 2)
        word.write_text("second word")
        daemon.until_red("shop: follow:", "schema registry at")
        assert daemon.health("/livez") == (200, "")
        between.start()
        _found(served, daemon, 1, 2)
        daemon.until_ready()
        assert daemon.metric("trueup_dead_letters_total") in (0, None)
        assert "word" not in daemon.log.read_text().replace("password", "")
