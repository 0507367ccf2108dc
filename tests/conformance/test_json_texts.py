"""What PostgreSQL hashes in place of a JSON value has that value, whatever was stored; and it never fails."""

from __future__ import annotations

import pytest
from fixtures.servers import Servers

from connectors.postgres.canonical import canonical_sql
from verifier.canonical import canonical
from verifier.table import Column, Family, Verbatim

pytestmark = pytest.mark.postgres

HELD = [
    "null", "0", "-0", "-0.0", "1E2", "1.50", "1e-7", "12345678901234567890.000000001", "9007199254740993", '"a"',
    r'"\u00e9\\u0000"', r'"\ud83d\ude00"', '"\\/\\b\\f\\n\\r\\t\\u001f\x7f"', '{"b": 1, "a": [ ], "b": {"c":2}}',
    '{"é": 1, "zz": 2, "\\u0061": 3, "a": 4}', "[[[[[[{}]]]]]]", "[1e100, 1E+10]",
]  # fmt: skip
REFUSED = [r'"\u0000"', r'{"\ud800": 1}', r'"\uDE00\uD83D"', "1e400000", "[1E-99999]", "9" * 140_000]
"""By `jsonb`, or near to what it refuses."""


@pytest.mark.parametrize("declared", ["json", "jsonb", "text"])
@pytest.mark.parametrize("text", list(Verbatim))
def test_the_text_that_is_hashed_has_the_value(postgres_server: Servers, declared: str, text: Verbatim) -> None:
    sql = canonical_sql(Column("v", Family.JSON, declared, verbatim=text), "v")
    stored = HELD if declared == "jsonb" else [*HELD, *REFUSED]
    question = f"select n, v::text, {sql} from unnest(%s::{declared}[]) with ordinality t(v, n) order by n"
    found = postgres_server(15).sql(question, ([*stored, None],))
    assert len(found) == len(stored) + 1
    for n, spelled, hashed in found[:-1]:
        assert canonical(Family.JSON, hashed) == canonical(Family.JSON, spelled), stored[n - 1][:50]
        assert canonical(Family.JSON, hashed) == canonical(Family.JSON, stored[n - 1]), stored[n - 1][:50]
    assert found[-1][1:] == (None, None)


def test_json_is_spelled_as_jsonb_unless_as_stored(postgres_server: Servers) -> None:
    tidy, stored = (canonical_sql(Column("v", Family.JSON, "json", verbatim=text), "v") for text in Verbatim)
    (found,) = postgres_server(15).sql(f"""select {tidy}, {stored} from (select '{{"bb":1,"a":2}}'::json as v) t""")
    assert found == ('{"a": 2, "bb": 1}', '{"bb":1,"a":2}')
