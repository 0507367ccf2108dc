"""Deterministic identifiers: the same thing found twice has the same name, so redelivery and reruns are harmless."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from verifier.table import Key, KeyValue, TableName

_spelled = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: that costs more than a key


def key_text(key: Key) -> str:
    """The key as compact JSON, `[42,"eu"]`: unambiguous, and read back by `parse_key`."""
    return _spelled(list(key))


def listed(key: Key) -> tuple[tuple[bool, KeyValue], ...]:
    """What lists of keys for people are sorted by: numbers by size and before texts. It is no engine's order."""
    return tuple((isinstance(value, str), value) for value in key)


def parse_key(text: str) -> Key:
    """The key that `key_text` wrote; ValueError if it is not a list of integers and strings."""
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(v, int | str) and not isinstance(v, bool) for v in values):
        raise ValueError(f"not a key: {text!r}")
    return tuple(values)


def stable_id(*parts: str) -> str:
    """32 hexadecimal digits of SHA-256 over the parts with their lengths: no two lists of parts share a spelling."""
    return hashlib.sha256(_lengthy(*parts).encode()).hexdigest()[:32]


def drift_id(group: str, follower: str, table: TableName, key: Key) -> str:
    """The name of a key's drift on one follower, whatever its kind and whenever it was found."""
    key_is = _lengthy(key_text(key))
    return hashlib.sha256((_drift_of(group, follower, table.schema, table.name) + key_is).encode()).hexdigest()[:32]


@lru_cache(maxsize=64)
def _drift_of(*parts: str) -> str:
    """What the names of all drift of one table on one follower begin with."""
    return _lengthy("drift", *parts)


def _lengthy(*parts: str) -> str:
    return "".join([f"{len(part)}:{part}" for part in parts])
