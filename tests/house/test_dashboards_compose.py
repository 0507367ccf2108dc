"""`docker-compose.yml`: valid by the compose specification, closed to the outside, and made of parts that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import config

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def accepted(file: Path) -> subprocess.CompletedProcess[str]:
    """The verdict of the specification's own JSON Schema, which check-jsonschema carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_valid_by_the_compose_specification(tmp_path: Path) -> None:
    run = accepted(FILE)
    assert run.returncode == 0, run.stdout
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text().replace("    restart: unless-stopped\n", "    restarts: always\n", 1))
    assert accepted(wrong).returncode == 1


def test_nothing_listens_outside_and_no_port_is_given_twice() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    hosts = [port.split(":")[1] for port in ports]
    assert len(hosts) == len(set(hosts))


def test_images_are_pinned_or_built_here() -> None:
    for name, service in SERVICES.items():
        if "build" not in service:
            pinned = re.search(r":v?\d+(\.\d+)*(\.Final)?$", service["image"])
            assert pinned, f"{name}: {service['image']} has no version"


def test_kafka_and_debezium_are_those_that_the_tests_run() -> None:
    tested = re.sub(r"\s", "", (ROOT / "tests" / "stack" / "pom.xml").read_text())
    versions = {name: found for name, found in re.findall(r"<(kafka|debezium\.postgres)>([^<]+)</", tested)}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{versions['kafka']}"
    assert SERVICES["connect"]["image"] == f"quay.io/debezium/connect:{versions['debezium.postgres']}"


def test_every_mounted_file_and_volume_exists() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: no {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: no volume {source}"


def test_what_a_service_waits_for_exists_and_says_when_it_is_ready() -> None:
    for name, service in SERVICES.items():
        waits = service.get("depends_on", {})
        for other in waits:
            assert other in SERVICES, f"{name} waits for {other}"
            if isinstance(waits, dict) and waits[other]["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}"


def test_no_password_is_written_down() -> None:
    text = "".join(file.read_text() for file in [FILE, *(ROOT / "deploy" / "compose").iterdir()])
    for found in re.findall(r"(?i)password\s*[:=]\s*\"?([^\s,;}]+)", text):
        assert found.startswith(("$", "env:", "'password'", "letters-and-digits")), found
    for variable in re.findall(r"\$\{SHOP_PASSWORD(.*?)\}", FILE.read_text()):
        assert variable.startswith(":?")


def test_trueups_configuration_names_the_services(tmp_path: Path) -> None:
    file = ROOT / "deploy" / "compose" / "trueup.yaml"
    assert config.check(file) == []
    settings = config.load(file)
    group = settings.groups[0]
    for address in (group.leader.url, *(follower.url for follower in group.followers)):
        host = re.search(r"@(\w+):5432/shop$", str(address))
        assert host is not None
        assert host[1] in SERVICES
    assert group.stream is not None
    assert group.stream.kafka is not None
    assert group.stream.kafka.bootstrap_servers.split(":")[0] in SERVICES
    assert settings.http.place() == ("0.0.0.0", 9187)


def test_the_image_holds_every_package() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text()
    for package in ("verifier", "reconciler", "connectors", "config", "dashboards", "trueup"):
        assert f"COPY {package} {package}\n" in dockerfile
        assert f"!{package}\n" in ignored
    assert "USER 10001" in dockerfile


@pytest.mark.parametrize("script", sorted((ROOT / "deploy" / "compose").glob("*.sh")), ids=lambda file: file.name)
def test_scripts_are_shell(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)], check=False, timeout=10).returncode == 0
