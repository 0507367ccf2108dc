"""ENDs that are read many at a time are what each says by itself, or are left to that."""

from __future__ import annotations

import json

import pytest

from connectors.debezium.decoder import Decoder
from connectors.debezium.event import End
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.source_binlog import BinlogSource
from verifier.position import Lsn

ORDER = "p.transaction"


def end(xid: int, *counts: tuple[str, int], **changes: object) -> bytes:
    tables = [{"data_collection": name, "event_count": count} for name, count in counts]
    told = {"status": "END", "id": f"{xid}:{xid * 10}", "event_count": sum(count for _, count in counts)}
    return json.dumps(told | {"data_collections": tables, "ts_ms": 1_500 + xid} | changes).encode()


def decoder() -> Decoder:
    return Decoder("p", RECOMMENDED, {}.get)


def test_many_are_what_each_is() -> None:
    messages = [
        end(1, ("public.a", 2)),
        end(2, ("public.a", 2)),
        end(3, ("public.é", 1), ("s.b", 4)),
        end(4, later={"unknown": [1]}),
        end(5, data_collections=None),
    ]
    told = decoder().ends(messages)
    assert told == [decoder().decode(ORDER, None, message) for message in messages]
    assert told is not None
    assert told[0] == End(1, Lsn(10), 2, (("public.a", 2),), 1.501)
    assert [one.by_table for one in told[1:]] == [(("public.a", 2),), (("public.é", 1), ("s.b", 4)), (), ()]


@pytest.mark.parametrize(
    "odd",
    [
        end(9, ("public.a", 1))[:-1],
        b"",
        b"\0\0\0\0\1",
        end(9, status="BEGIN"),
        end(9, status="HALF"),
        end(9, id="9"),
        end(9, id="9:x"),
        end(9, event_count=None),
        end(9, ts_ms="1"),
        end(9, data_collections=[{"data_collection": "public.a"}]),
        end(9, data_collections={"public.a": 1}),
        b'{"schema":null,"payload":' + end(9) + b"}",
    ],
)
def test_one_that_is_not_as_usual_leaves_all_to_be_read_one_by_one(odd: bytes) -> None:
    one = decoder()
    assert one.ends([end(1, ("public.a", 1)), odd, end(2, ("public.a", 1))]) is None
    assert one.ends([end(2, ("public.a", 1))]) is not None


def test_ids_are_those_of_the_database_behind_the_connector() -> None:
    binlog = Decoder("p", RECOMMENDED, {}.get, BinlogSource(mariadb=True))
    message = end(1, ("shop.a", 1), id="0-1-5")
    assert binlog.ends([message]) == [binlog.decode(ORDER, None, message)]
    assert binlog.ends([end(1)]) is None
