"""Loading a configuration: what is found, where each problem stands, and what is never printed."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from config.load import OVERRIDES
from config.problem import Severity
from verifier.errors import Misconfigured

MINIMAL = """\
groups:
  - name: shop
    leader: {url: postgresql://t@h/shop}
    followers:
      - {name: standby, url: postgresql://t@h2/shop}
"""

BROKEN = """\
instnce: a
journal: "ftp://x"
http: {listen: nowhere}
groups:
  - name: shop
    leader: {url: "postgresql://t:hunter2@h/db", password: hunter2}
    followers: []
    scan:
      chunk_tme: 5s
      period: 24
      period: 25h
    lag: {warn: 2m}
    stream: {kind: kafka}
    invariants:
      - {name: a, kind: violation, endpoint: leader, sql: "select 1"}
      - {name: b, kind: violations, endpoint: leder, sql: "delete from x"}
      - {name: b, endpoint: leader, sql: "select 1"}
      - {name: c, kind: violations, endpoint: leader, sqll: "select 1"}
    tables: {keys: {v: [id]}, include: public.x}
    repair: {mode: off, per_hour: true}
"""

TOLD = """\
1:1: instnce: unknown key, did you mean 'instance'?
2:10: journal: unknown engine 'ftp' (known: mariadb, mysql, postgresql, sqlite)
3:16: http.listen: must be 'host:port', such as '127.0.0.1:9187'
6:60: groups[0].leader.password: a password is given by reference: 'env:NAME' or 'file:/path', never in clear
7:16: groups[0].followers: needs at least one
9:7: groups[0].scan.chunk_tme: unknown key, did you mean 'chunk_time'?
10:15: groups[0].scan.period: 24 has no unit: write '24s', '24ms' or '24m'
11:7: groups[0].scan.period: key given twice, first on line 10
12:17: groups[0].lag.warn: must not be above lag.max
13:5: groups[0].stream.kafka: kind is kafka: give bootstrap_servers and topic_prefix under 'kafka'
15:9: groups[0].invariants[0]: unknown kind 'violation', did you mean 'violations'?
16:47: groups[0].invariants[1].endpoint: no database of this group is called 'leder', did you mean 'leader'?
16:59: groups[0].invariants[1].sql: must be one SELECT (or WITH, VALUES, TABLE): invariants only read
17:9: groups[0].invariants[2]: needs 'kind': equal_by_key, violations or non_negative
17:16: groups[0].invariants[2].name: 'b' already names invariant 1
18:9: groups[0].invariants[3].sql: is required
18:55: groups[0].invariants[3].sqll: unknown key, did you mean 'sql'?
19:24: groups[0].tables.keys.v: must be 'schema.table'
19:40: groups[0].tables.include: must be a list
20:35: groups[0].repair.per_hour: must be a whole number
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "trueup.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, BROKEN)
    told = "".join(f"{problem}\n".removeprefix(f"{file}:") for problem in config.check(file))
    assert told == TOLD
    with pytest.raises(Misconfigured) as caught:
        config.load(file)
    assert str(caught.value).count("\n") == TOLD.count("\n") - 1
    assert "hunter2" not in str(caught.value)


def test_defaults_are_complete_and_relative_to_the_file(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, MINIMAL))
    assert settings.journal.address() == f"sqlite:///{tmp_path}/trueup.db"
    assert settings.http.place() == ("127.0.0.1", 9187)
    group = settings.groups[0]
    assert (group.leader.name, group.leader.address()) == ("leader", "postgresql://t@h/shop")
    assert group.tables.patterns() == ("*",)
    assert (group.scan.chunk_time, group.scan.period, group.lag.max) == (0.5, 86_400.0, 60.0)
    assert (group.stream, group.repair.mode, group.events.kind) == (None, "propose", "none")


def test_the_example_is_complete_and_loads(tmp_path: Path) -> None:
    settings = config.parse(config.example(), folder=tmp_path)
    group = settings.groups[0]
    assert [invariant.kind for invariant in group.invariants] == ["equal_by_key", "violations", "non_negative"]
    assert group.stream is not None
    assert group.stream.kafka is not None
    assert group.stream.kafka.heartbeat == 1.0
    assert group.tables.patterns() == ("public.*", "!public.audit_*")
    # Complete: every setting's name stands in it, as a value or in a comment.
    from config.reference import page

    names = {line.split("`")[1] for line in page().splitlines() if line.startswith("| `")}
    missing = {name for name in names if f"{name}:" not in config.example()}
    assert missing == set()


def test_what_is_shown_loads_to_the_same_settings(tmp_path: Path) -> None:
    settings = config.parse(config.example(), folder=tmp_path)
    assert config.parse(config.show(settings), folder=tmp_path / "elsewhere") == settings


def test_a_password_in_a_url_is_warned_of_and_never_shown(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL.replace("t@h2", "t:hun%40ter2@h2"))
    problems = config.check(file)
    assert [(problem.severity, problem.line, problem.path) for problem in problems] == [
        (Severity.WARNING, 5, "groups[0].followers[0].url")
    ]
    settings = config.load(file)
    assert settings.groups[0].followers[0].address() == "postgresql://t:hun%40ter2@h2/shop"
    for text in (config.show(settings), repr(settings), str(settings), str(problems[0])):
        assert "ter2" not in text
    assert "postgresql://t:***@h2/shop" in config.show(settings)


def test_secrets_are_looked_up_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINIMAL.replace("t@h/shop}", "t@h/shop, password: 'env:NOT_SET'}")
    text = text.replace("t@h2/shop}", "t@h2/shop, password: 'file:word', repair: {user: w r, password: 'env:W'}}")
    settings = config.load(write(tmp_path, text))
    group = settings.groups[0]
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(Misconfigured, match="'NOT_SET' is not set"):
        group.leader.address()
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        group.followers[0].address()
    (tmp_path / "word").write_text("p@ss/ word\n")
    assert group.followers[0].address() == "postgresql://t:p%40ss%2F%20word@h2/shop"
    monkeypatch.setenv("NOT_SET", "xyzzy")
    assert group.leader.address() == "postgresql://t:xyzzy@h/shop"
    monkeypatch.setenv("W", "x")
    assert group.followers[0].repair_address() == "postgresql://w%20r:x@h2/shop"
    assert "xyzzy" not in repr(settings) + config.show(settings)


def test_a_password_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL.replace("t@h/shop}", "t@h/shop, password: 'file:word'}"))
    word = tmp_path / "word"
    word.touch(mode=0o600)
    assert config.check(file) == []
    word.chmod(0o644)
    (problem,) = config.check(file)
    assert str(problem) == (
        f"{file}:3:52: warning: groups[0].leader.password: everybody on this machine can read it: chmod o-r {word}"
    )
    with pytest.raises(Misconfigured, match="is empty"):
        config.load(file).groups[0].leader.address()


def test_another_user_for_repairs_never_gets_the_readers_password() -> None:
    text = MINIMAL.replace("t@h2/shop}", "t@h2/shop, password: 'env:R', repair: {user: writer}}")
    assert config.parse(text).groups[0].followers[0].repair_address() == "postgresql://writer@h2/shop"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, MINIMAL)
    monkeypatch.setenv("TRUEUP_HTTP__LISTEN", "0.0.0.0:1234")
    monkeypatch.setenv("TRUEUP_JOURNAL", "other.db")
    monkeypatch.setenv("TRUEUP_LOG__LEVEL", "loud")
    assert [str(problem) for problem in config.check(file)] == [
        "environment variable TRUEUP_LOG__LEVEL: log.level: must be 'debug', 'info', 'warning' or 'error'"
    ]
    monkeypatch.setenv("TRUEUP_LOG__LEVEL", "debug")
    settings = config.load(file)
    assert settings.http.place() == ("0.0.0.0", 1234)
    assert settings.journal.address() == f"sqlite:///{tmp_path}/other.db"
    assert settings.log.level == "debug"


def test_every_variable_that_may_say_something_is_looked_for() -> None:
    from config.environment import Variables

    assert {f"TRUEUP_{name.upper()}" for name in Variables.model_fields} == set(OVERRIDES)


@pytest.mark.parametrize("value", ["x", "[1"])
def test_an_unreadable_variable_is_a_problem_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TRUEUP_HTTP", value)
    assert len(config.check(write(tmp_path, MINIMAL))) == 1


def test_the_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRUEUP_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    with pytest.raises(Misconfigured, match="no configuration file found"):
        config.find()
    (tmp_path / "xdg" / "trueup").mkdir(parents=True)
    home = write(tmp_path / "xdg" / "trueup", MINIMAL)
    assert config.find() == home
    write(tmp_path, MINIMAL)
    assert config.find() == Path("trueup.yaml")
    monkeypatch.setenv("TRUEUP_CONFIG", str(home))
    assert config.find() == home
    assert config.find(tmp_path / "trueup.yaml") == tmp_path / "trueup.yaml"
    with pytest.raises(Misconfigured, match="no configuration file '/nowhere'"):
        config.find("/nowhere")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: is empty; 'trueup init' writes a first configuration"),
        ("# nothing\n", "1:1: is empty; 'trueup init' writes a first configuration"),
        ("groups: [\n", "2:1: not YAML: while parsing a flow node expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2\n", "2:1: not YAML: expected a single document in the stream but found another document"),
        ("- a\n", "1:1: must be a mapping"),
        ("groups: !!set {a}\n", "1:9: groups: must be a list"),
        ("groups: &a [*a]\n", "1:9: groups[0]: an alias that contains itself"),
        ("groups:\n  - \x07\n", "2:5: not YAML: character U+0007 is not allowed"),
    ],
)
def test_documents_that_are_no_configuration(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)
    assert told in str(config.check(file)[0])


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "trueup.yaml"
    file.write_bytes(b"a: \xff\xfe")
    assert [str(problem) for problem in config.check(file)] == [f"{file}: not UTF-8 text: invalid start byte at byte 3"]


def test_off_is_a_word_and_ten_is_ten() -> None:
    settings = config.parse(MINIMAL + "    repair: {mode: off, per_hour: 010}\n")
    assert (settings.groups[0].repair.mode, settings.groups[0].repair.per_hour) == ("off", 10)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("    stream: {kind: pgoutput, kafka: {}}\n", "kind is pgoutput: remove this, or set kind: kafka"),
        (
            "    stream: {kind: kafka, kafka: {bootstrap_servers: k, topic_prefix: p, connect_password: env:A, "
            "connect_password_reference: '${file:/a:b}'}}\n",
            "the password is given twice",
        ),
        ("    events: {kind: jsonl}\n", "kind is jsonl: give the path of the file"),
        ("    events: {kind: kafka}\n", "there is no Kafka stream to take the servers from"),
        ("  - {name: shop, leader: {url: postgresql://x/y}, followers: []}\n", "'shop' already names group 0"),
        ("      - {name: leader, url: postgresql://a/b}\n", "already names another database of this group"),
        ("      - {name: third, url: postgresql://t@h/shop}\n", "is the leader's own address"),
    ],
)
def test_parts_that_do_not_fit(more: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        config.parse(MINIMAL + more)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("connect_password_reference: hunter2", "never the password itself"),
        (
            "connector_settings: {database.password: hunter2}",
            "database.password holds a secret: give it as a reference",
        ),
        ("connector_settings: {sasl.jaas.config: hunter2}", "holds a secret"),
    ],
)
def test_the_connectors_secrets_are_references(setting: str, told: str) -> None:
    stream = f"    stream: {{kind: kafka, kafka: {{bootstrap_servers: k, topic_prefix: p, {setting}}}}}\n"
    with pytest.raises(Misconfigured, match=told) as caught:
        config.parse(MINIMAL + stream)
    assert "hunter2" not in str(caught.value)


def test_two_groups_cannot_read_one_slot() -> None:
    stream = "    stream: {kind: pgoutput}\n"
    second = MINIMAL.removeprefix("groups:\n").replace("name: shop", "name: other").replace("h/shop", "h/other")
    with pytest.raises(Misconfigured, match="slot 'trueup' of this server is read by group 0 already"):
        config.parse(MINIMAL + stream + second + stream)
    assert len(config.parse(MINIMAL + stream + second + stream.replace("}", ", pgoutput: {slot: b}}")).groups) == 2


def test_settings_cannot_be_changed() -> None:
    settings = config.parse(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        settings.instance = "other"  # type: ignore[misc]
