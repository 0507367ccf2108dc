"""trueup's own state store: SQLite by default, PostgreSQL for several daemons."""
