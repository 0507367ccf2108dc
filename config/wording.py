"""pydantic's findings in the house's words. Never repeats a value: it may be secret."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from config.problem import nearest

_PLAIN = {
    "missing": "is required",
    "tuple_type": "must be a list",
    "string_type": "must be text; quote it",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "needs at least one",
    "union_tag_not_found": "needs 'kind': equal_by_key, violations or non_negative",
}


def message_of(detail: ErrorDetails) -> str:
    """One sentence: what the value must be."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "value_error":
        return str(context["error"])
    if kind == "union_tag_invalid":
        known = str(context["expected_tags"]).replace("'", "").split(", ")
        return f"unknown kind {context['tag']!r}{nearest(str(context['tag']), known)}"
    if kind == "string_pattern_mismatch" and context["pattern"].startswith(r"^[^.]+\."):
        return "must be 'schema.table'" + (" or '*'" if context["pattern"].endswith(r"|^\*$") else "")
    if kind == "string_pattern_mismatch":
        return "must be letters, digits, '_', '.' or '-', beginning with a letter or digit"
    message = detail["msg"].replace("Input should be ", "must be ")
    return message[0].lower() + message[1:]
