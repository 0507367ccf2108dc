"""A first configuration, for `trueup init`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from config.address import Address

_HEAD = """\
# yaml-language-server: $schema=./trueup.schema.json
# trueup's configuration. 'trueup config check' judges it, 'trueup config show' prints what is in force,
# 'trueup doctor' asks the servers whether they allow it. For an editor that completes keys:
# trueup config schema > trueup.schema.json

journal: trueup.db            # trueup's own state: a path, or postgresql://user@host/database for several daemons
http: {listen: 127.0.0.1:9187}   # /metrics, /livez, /readyz

groups:
"""

_COLUMNS = (
    "      # exclude_columns: {public.orders: [note]}      # may differ; printed in every report",
    "      # mask_columns: {public.customers: [email]}     # compared, but nobody is told their values",
    "      # tolerances:                                   # equal all the same; printed in every report",
    '      #   "*": {time_digits: 3, ignore_trailing_spaces: true}',
    "      #   public.orders.ratio: {float_relative: 1e-9}",
)


@dataclass(frozen=True, slots=True)
class KafkaSource:
    """Where Debezium's events are."""

    bootstrap_servers: str
    topic_prefix: str
    connect_url: str | None = None


def draft(
    leader: str,
    followers: Mapping[str, str],
    *,
    group: str = "main",
    tables: Sequence[str] = ("public.*",),
    stream: KafkaSource | str | None = None,
    repair_user: str | None = None,
) -> str:
    """Commented YAML for one group: `followers` maps names to URLs; `stream` is a KafkaSource, `pgoutput`, `binlog` or
    None; `repair_user` is who writes repairs to followers.

    A password in a URL is not written down: its place takes a reference and the comment says which variable to set.
    """
    lines = [_HEAD.rstrip("\n"), f"  - name: {group}", "    leader:", *_endpoint("leader", leader, group, "      ")]
    lines.append("    followers:")
    for name, url in followers.items():
        lines += [f"      - name: {name}", *_endpoint(name, url, group, "        ")]
        if repair_user is not None:
            variable = _variable(group, name, "REPAIR_PASSWORD")
            lines.append(f"        repair: {{user: {_quoted(repair_user)}, password: env:{variable}}}")
    lines += ["    tables:", f"      include: [{', '.join(_quoted(pattern) for pattern in tables)}]"]
    lines.append('      # exclude: ["public.audit_*"]')
    lines += _COLUMNS
    lines += _stream(stream)
    lines += [
        "    scan: {period: 24h, chunk_time: 500ms}   # every row compared at least daily, in reads of half a second",
        "    lag: {warn: 10s, max: 60s}",
        "    repair: {mode: propose}                  # off, propose, approve, apply",
        "    # invariants:",
        "    #   - {name: no_orphans, kind: violations, endpoint: leader, every: 1m,",
        '    #      sql: "select i.id from items i left join orders o on o.id = i.order_id where o.id is null"}',
    ]
    return "\n".join(lines) + "\n"


def _endpoint(name: str, url: str, group: str, indent: str) -> list[str]:
    address = Address(url)
    parts = urlsplit(url)
    bare = url
    if address.password_in_clear:
        login, _, place = parts.netloc.rpartition("@")
        bare = url.replace(parts.netloc, f"{login.partition(':')[0]}@{place}", 1)
    lines = [f"{indent}url: {_quoted(bare)}"]
    variable = _variable(group, name, "PASSWORD")
    if address.password_in_clear:
        lines.append(f"{indent}password: env:{variable}   # export {variable}=..., or file:/path")
    else:
        lines.append(f"{indent}# password: env:{variable}   # or file:/path")
    return lines


def _variable(*words: str) -> str:
    return "_".join(words).upper().replace("-", "_").replace(".", "_")


def _stream(stream: KafkaSource | str | None) -> list[str]:
    if isinstance(stream, KafkaSource):
        more = f", connect_url: {_quoted(stream.connect_url)}" if stream.connect_url else ""
        servers, prefix = _quoted(stream.bootstrap_servers), _quoted(stream.topic_prefix)
        return [
            "    stream:",
            "      kind: kafka",
            f"      kafka: {{bootstrap_servers: {servers}, topic_prefix: {prefix}{more}}}",
        ]
    if stream == "pgoutput":
        return [
            "    stream:",
            "      kind: pgoutput",
            "      pgoutput: {slot: trueup, publication: trueup, create: true}   # the slot retains log while away",
        ]
    if stream == "binlog":
        return ["    stream: {kind: binlog}                   # needs binlog_format=ROW, binlog_row_metadata=FULL"]
    return [
        "    # stream:                                # without one: scans only, nothing is verified within seconds",
        "    #   kind: kafka",
        "    #   kafka: {bootstrap_servers: 127.0.0.1:9092, topic_prefix: shop, connect_url: http://127.0.0.1:8083}",
    ]


def _quoted(text: str) -> str:
    """Double-quoted YAML where a plain word would mean something else."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
