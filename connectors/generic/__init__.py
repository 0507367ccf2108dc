"""Any engine that SQLAlchemy has a dialect for, by its URL: `duckdb:///path`, and whatever else is installed.

What trueup knows of no engine it does not assume. Rows are read and hashed here; text that is a key is compared by the
bytes of its UTF-8 here too, unless the dialect is known to order so (`dialects`), which means reading the whole table
for each range: right, and slow. There are no positions and no row versions: equal is equal at rest, and a difference
that was found three times is `probable`. Give trueup a login that can only read: of a dialect that is not known, it
cannot make the session read-only. DuckDB lets nobody write a file that another process has open, so its application
waits until the audit has closed it.
"""
