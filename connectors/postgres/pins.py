"""The settings that the text of a value depends on. Whoever reads values pins them, so that all read the same texts."""

from __future__ import annotations

from collections.abc import Mapping

TEXT: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "search_path": "pg_catalog",
}
