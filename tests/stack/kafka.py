"""A Kafka broker (KRaft, one node) and a Kafka Connect worker, with settings for a machine that runs everything."""

from __future__ import annotations

import base64
import socket
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from connectors.embedded.cluster import free_port
from stack.certificates import Certificates
from stack.download import Jars
from stack.java import JavaServer, java
from stack.rest import ConnectRest
from verifier.errors import Permanent

PASSWORD = "right word"
"""Of the user `trueup` at the secured listener."""


class Broker:
    """Listens on 127.0.0.1:`port`, and on another port for those who log in over an encrypted connection. Data and log
    in `home`."""

    def __init__(self, home: Path, jars: Jars, *, port: int | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        self._jars = jars
        self._settings = home / "server.properties"
        home.mkdir(parents=True, exist_ok=True)
        self._secured_port = free_port()
        self.certificates = Certificates.make(home)
        _write(self._settings, {**self._properties(free_port()), **self._secured()})
        self.server = JavaServer(home, jars.libs, "kafka.Kafka", [self._settings])

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def secured(self) -> str:
        """Where PLAIN lets the user `trueup` in, and SCRAM-SHA-256 whomever the broker was told of. A login lasts for
        two seconds, then it is asked for anew."""
        return f"127.0.0.1:{self._secured_port}"

    def admit(self, user: str, password: str) -> None:
        """Let this user in by SCRAM-SHA-256 with this password and no other, which the broker knows when it returns."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        change = UserScramCredentialUpsertion(user, info, password.encode())
        admin = AdminClient({"bootstrap.servers": self.bootstrap})  # let go of, it would answer nobody any more
        admin.alter_user_scram_credentials([change])[user].result(30)
        login = {
            "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": user,
            "sasl.password": password, "ssl.ca.location": str(self.certificates.ca),
        }  # fmt: skip
        for _ in range(30):
            try:
                AdminClient({"bootstrap.servers": self.secured, "log_level": 0, **login}).list_topics(timeout=1)
                return
            except KafkaException:
                continue
        raise Permanent(f"the broker does not let {user} in")

    def start(self) -> None:
        """Format the storage the first time, then start; does not wait."""
        if not (self.home / "data").exists():
            self._format()
        self.server.start()

    def wait(self) -> None:
        self.server.wait(self.is_ready)

    def is_ready(self) -> bool:
        """Whether it accepts connections and describes itself."""
        if not _listens(self.port):
            return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *self.server.options(self._jars.libs)]
        # One word: the id may begin with a hyphen.
        words = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._settings)]
        done = subprocess.run([java(), *options, *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Permanent(f"kafka storage could not be formatted: {(done.stdout + done.stderr)[-800:]}")

    def _properties(self, controller: int) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},SECURED://{self.secured},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port},SECURED://{self.secured}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL",
            "log.dirs": self.home / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # With the defaults a broker killed with -9 takes 16 to 18 s to come back, with these 5 s.
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 2000,
        }

    def _secured(self) -> dict[str, object]:
        login, listener = "org.apache.kafka.common.security", "listener.name.secured"
        return {
            f"{listener}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            f"{listener}.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_trueup="{PASSWORD}";',
            f"{listener}.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            f"{listener}.scram-sha-256.connections.max.reauth.ms": 2000,  # a second login within a second is refused
            f"{listener}.ssl.keystore.type": "PEM",
            f"{listener}.ssl.keystore.location": self.certificates.server,
            f"{listener}.ssl.truststore.type": "PEM",
            f"{listener}.ssl.truststore.location": self.certificates.ca,
            f"{listener}.ssl.client.auth": "requested",
        }


class Connect:
    """A distributed Connect worker with Debezium's plugins; REST on 127.0.0.1:`port`."""

    def __init__(
        self, home: Path, jars: Jars, bootstrap: str, *, port: int | None = None, group: str = "stack-connect"
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.rest = ConnectRest(self.url)
        home.mkdir(parents=True, exist_ok=True)
        settings = home / "connect.properties"
        _write(settings, self._properties(bootstrap, group, jars.plugins))
        main_class = "org.apache.kafka.connect.cli.ConnectDistributed"
        self.server = JavaServer(home, jars.libs, main_class, [settings], heap="1g")

    def start(self) -> None:
        """Start; does not wait. It may start together with its broker."""
        self.server.start()

    def wait(self) -> None:
        self.server.wait(self.rest.is_ready)

    def _properties(self, bootstrap: str, group: str, plugins: Path) -> dict[str, object]:
        kinds = ("config", "offset", "status")
        json = "org.apache.kafka.connect.json.JsonConverter"
        return {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "listeners": self.url,
            "rest.advertised.host.name": "127.0.0.1",
            "rest.advertised.port": self.port,
            **{f"{kind}.storage.topic": f"_{group}_{kind}" for kind in kinds},
            **{f"{kind}.storage.replication.factor": 1 for kind in kinds},
            "offset.storage.partitions": 1,
            "status.storage.partitions": 1,
            "offset.flush.interval.ms": 2000,
            # For so long it waits for a broker that starts together with it and with everything else.
            "default.api.timeout.ms": 180_000,
            "key.converter": json,
            "value.converter": json,
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "plugin.path": plugins,
            "plugin.discovery": "service_load",
            "connector.client.config.override.policy": "All",
            "topic.creation.enable": "true",
        }


def _write(path: Path, properties: Mapping[str, object]) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
