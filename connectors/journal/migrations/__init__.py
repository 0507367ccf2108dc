"""Alembic's folder: how the journal's schema came to be, step by step."""
