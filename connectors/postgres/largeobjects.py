"""What large objects hold, hashed by the server: they have no tables of the application, and replication does not carry
them.

`lo_get` needs SELECT on each object, superuser, or `lo_compat_privileges`; it gives at most 1 GB. Numbers stay the same
in a dump, so objects are compared by number (https://www.postgresql.org/docs/current/lo-funcs.html).
"""

from __future__ import annotations

import hashlib

from connectors.postgres.errors import translated
from connectors.postgres.session import Session
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.surroundings import NAMED_MAX, Contents

_AT_ONCE = 100
_SQL = """
select oid::bigint, md5(lo_get(oid)) from pg_largeobject_metadata
where oid::bigint > %s order by oid limit %s
"""


def contents(session: Session, where: str) -> Contents:
    """Of all objects, a batch at a time so that no statement takes long; whatever stands in the way is the answer's
    `problem`."""
    whole, named, after, at_once = hashlib.md5(usedforsecurity=False), dict[int, str](), 0, _AT_ONCE
    while True:
        try:
            with translated("reading large objects", where):
                found = session.all(_SQL, (after, at_once))
        except Forbidden as problem:
            return Contents(problem=f"{problem} (SELECT on each large object, or a superuser)")
        except Temporary as problem:
            if at_once == 1 or not session.usable:
                return Contents(problem=str(problem))
            at_once = max(1, at_once // 10)
            continue
        except Permanent as problem:
            return Contents(problem=str(problem))
        if not found:
            return Contents(whole.hexdigest(), named if len(named) <= NAMED_MAX else {})
        for number, digest in found:
            whole.update(f"{number}:{digest};".encode())
            if len(named) <= NAMED_MAX:
                named[number] = digest
        after = found[-1][0]
