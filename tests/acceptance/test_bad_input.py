"""Whatever is wrong with what trueup is told: one clear message that says what to do, and the right exit code."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from fixtures.program import PROGRAM, Done, ok, trueup
from fixtures.running import Served

from trueup.cli.main import application, outcome

GOOD = """\
journal: journal.db
groups:
  - name: shop
    leader: {url: "postgresql://trueup@127.0.0.1:1/shop"}
    followers: [{name: eu, url: "postgresql://trueup@127.0.0.1:2/shop"}]
    invariants: [{name: books, kind: violations, endpoint: leader, sql: select 1}]
"""
TWO = GOOD + GOOD.partition("groups:\n")[2].replace("name: shop", "name: other")


def commands() -> list[list[str]]:
    """Every command with the words that lead to it."""
    found: list[list[str]] = [[]]
    for name, command in typer.main.get_command(application()).commands.items():  # type: ignore[attr-defined]
        found.append([name])
        found += [[name, sub] for sub in getattr(command, "commands", {})]
    return found


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "trueup")
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome([*words, "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Usage: ")
    assert len(said.out.splitlines()) >= 5
    assert said.err == ""


def test_the_help_lists_every_command_and_cuts_no_word_off(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["repair"], ["connector"], ["config"]):
        assert outcome([*words, "--help"]) == 0
        assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def clear(done: Done, code: int, *words: str) -> None:
    """One message, no trace, these words in it."""
    assert done.code == code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


@pytest.mark.parametrize(
    ("text", "words", "code", "says"),
    [
        (GOOD, "lag --config missing.yaml", 3, ["no configuration file 'missing.yaml'", "'trueup init' writes one"]),
        (GOOD.replace("leader: {", "leader: {{", 1), "lag", 3, ["trueup.yaml:5:5: not YAML"]),
        (GOOD.replace("leader:", "leeder:"), "lag", 3, ["trueup.yaml:4:5", "did you mean 'leader'?"]),
        (GOOD, "lag --group nope", 3, ["no group 'nope'", "has shop"]),
        (TWO, "lag", 3, ["shop, other", "--group"]),
        (GOOD, "check nope", 3, ["no invariant 'nope'", "there are: books"]),
        (GOOD, "drift", 3, ["no journal at", "run an audit or the daemon first"]),
        (GOOD, "connector status", 3, ["no stream.kafka section"]),
        (GOOD, "lag", 5, ["127.0.0.1:1/shop", "refused"]),
        (GOOD, "repair approve", 2, ["name the repairs to approve, or say --all"]),
        (GOOD, "repairs --state nope", 2, ["planned", "verified"]),
        (GOOD, "drift --format html", 2, ["html", "table", "json"]),
        (GOOD, "lagg", 2, ["lagg"]),
        (GOOD, "lag --no-such-option", 2, ["--no-such-option"]),
        (GOOD, "init --leader postgresql://a@b/c --follower postgresql://a@d/c", 3, ["trueup.yaml exists"]),
        (
            GOOD,
            "init --leader postgresql://a@b/c --follower postgresql://a@d/c --stream x",
            2,
            ["none, pgoutput, binlog or kafka"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value.partition("\n")[0] else None,
)
def test_a_wrong_word_is_named_with_its_cure(tmp_path: Path, text: str, words: str, code: int, says: list[str]) -> None:
    (tmp_path / "trueup.yaml").write_text(text)
    clear(trueup(*words.split(), cwd=tmp_path), code, *says)
    assert not (tmp_path / "journal.db").exists(), "a question makes no journal"


def test_no_configuration_at_all_names_the_places(tmp_path: Path) -> None:
    clear(trueup("run", cwd=tmp_path, env={"HOME": str(tmp_path)}), 3, "looked for trueup.yaml", "'trueup init'")


def test_all_problems_at_once_each_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trueup.yaml").write_text(
        GOOD.replace("kind: violations", "kind: violation") + "    scan: {perod: 1h}\n"
    )
    done = trueup("config", "check", cwd=tmp_path)
    assert done.code == 3
    lines = done.out.splitlines()
    assert [line.partition(" ")[0].rsplit(":", 3)[1] for line in lines] == ["6", "7"], lines
    assert "did you mean 'period'?" in lines[1]


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "trueup.yaml").write_text(GOOD)
    (tmp_path / "journal.db").write_text("my diary, not a database, and longer than a database's header is")
    before = (tmp_path / "journal.db").read_bytes()
    clear(trueup("drift", cwd=tmp_path), 3, "journal.db")
    assert (tmp_path / "journal.db").read_bytes() == before


@pytest.mark.parametrize("stream", ["none", "pgoutput", "kafka"])
def test_init_writes_what_config_check_accepts_and_no_password(tmp_path: Path, stream: str) -> None:
    secret = "s3cret-Pa55"
    words = [
        "--leader",
        f"postgresql://auditor:{secret}@db1/shop",
        "--follower",
        f"eu=postgresql://trueup:{secret}@db2/s",
        "--table",
        "sales.*",
        "--repair-user",
        "fixer",
    ]
    made = ok("init", *words, "--stream", stream, cwd=tmp_path)
    file = tmp_path / "trueup.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text() + made.out + made.err
    assert ('CREATE ROLE "auditor" LOGIN REPLICATION;' in made.out) is (stream == "pgoutput")
    assert 'GRANT SELECT ON ALL TABLES IN SCHEMA "sales" TO "auditor";' in made.out
    assert 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "sales" TO "fixer";' in made.out
    assert '"public"' not in made.out
    before = file.read_text()
    clear(trueup("init", *words, cwd=tmp_path), 3, "exists")
    assert file.read_text() == before
    checked = ok("config", "check", cwd=tmp_path)
    assert "valid" in checked.err
    shown = ok("config", "show", cwd=tmp_path)
    assert secret not in shown.out


def test_init_wants_another_login_to_repair_with_than_to_read_with(tmp_path: Path) -> None:
    servers = ("--leader", "postgresql://db1/shop", "--follower", "eu=postgresql://db2/shop")
    clear(trueup("init", *servers, "--repair-user", "trueup", cwd=tmp_path), 2, "eu is read with that login")
    assert list(tmp_path.iterdir()) == []


def test_init_speaks_the_engines_own_sql(tmp_path: Path) -> None:
    words = ("--leader", "mariadb://auditor@db1/shop", "--follower", "mariadb://auditor@db2/shop")
    made = ok("init", *words, "--stream", "binlog", cwd=tmp_path)
    assert "GRANT SELECT ON `shop`.* TO 'auditor'@'%';" in made.out
    assert "GRANT REPLICATION SLAVE ON *.* TO 'auditor'@'%';" in made.out
    assert "ROLE" not in made.out
    assert 'include: ["shop.*"]' in (tmp_path / "trueup.yaml").read_text()
    assert "valid" in ok("config", "check", cwd=tmp_path).err


@pytest.mark.postgres
def test_logins_are_refused_and_rights_missing_with_code_5_and_no_secret(served: Served) -> None:
    role = f"r_{served.world.name}"
    for database in (served.leader, served.subscriber):
        database.sql(f"create role {role} login password 'Tr0mbone'")
    try:
        served.world.caught_up()
        (served.folder / "password").write_text("wr0ng-Guess")
        refused = served.ask("lag", "--seconds", "0.5")
        clear(refused, 5, "the login was refused", "check user, password")
        assert "wr0ng-Guess" not in refused.err
        for name in ("password", "password2"):
            (served.folder / name).write_text("Tr0mbone")
        served.write(edit=lambda text: text.replace("//postgres@", f"//{role}@"))
        done = served.ask("check")
        assert done.code == 4, done
        assert "permission denied for table ledger" in done.out
        doctor = served.ask("doctor")
        assert doctor.code == 4
        assert f"grant pg_monitor to {role}" in doctor.out
        assert "cannot read 4 of 4 tables" in doctor.out
        assert "grant select on them, and usage on their schemas" in doctor.out
        assert f'alter role "{role}" replication' in doctor.out
        run = trueup("run", "--config", served.file, "--seconds", "1")
        assert "grant select on it" in run.err
        for told in (done, doctor, run):
            assert "Tr0mbone" not in told.out + told.err
    finally:
        for database in (served.leader, served.subscriber):
            database.sql(f"drop owned by {role}; drop role {role}")


def test_connect_away_is_told_as_such(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        kafka = f"{{bootstrap_servers: 127.0.0.1:1, topic_prefix: shop, connect_url: 'http://127.0.0.1:{port}'}}"
        (tmp_path / "trueup.yaml").write_text(GOOD + f"    stream: {{kind: kafka, kafka: {kafka}}}\n")
        clear(trueup("connector", "status", cwd=tmp_path), 5, f"127.0.0.1:{port}")


def test_a_reader_that_goes_away_is_no_error_and_no_match(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([PROGRAM, "config", "schema"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("words", "code"), [("audit --config nowhere.yaml", 3), ("audit --nonsense", 2)])
@pytest.mark.parametrize("opened", [os.pipe, os.openpty])
def test_nobody_who_reads_does_not_change_the_exit_code(
    tmp_path: Path, opened: Callable[[], tuple[int, int]], words: str, code: int
) -> None:
    """An error that cannot be written would end Python with 1, which says that a row differs."""
    ours, theirs = opened()
    process = subprocess.Popen([PROGRAM, *words.split()], stdout=theirs, stderr=theirs, cwd=tmp_path)
    os.close(ours)
    os.close(theirs)
    assert process.wait(60) == code


def test_standard_output_that_was_closed_before_is_no_fault(tmp_path: Path) -> None:
    for words, code in (("--version", 0), ("config schema", 0), ("audit --nonsense", 2)):
        line = ["sh", "-c", f'"$0" {words} >&-', str(PROGRAM)]
        done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, "fault of trueup" in done.stderr) == (code, False), done.stderr


def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for words in (["config", "schema"], ["--version"], ["--help"]):
            done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
            assert done.stderr.startswith("trueup: what it found could not be written to standard output: ")
