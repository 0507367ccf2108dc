"""What type a column has: from the catalog where it is known, else from the schema inside the message.

The catalog knows the type, the message schema (if there is one) knows how this event spells it; both together are
exact. Without a catalog the schema must do, without either a value is taken as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from verifier.table import Column, Family

_DECLARED = re.compile(r"(?P<base>[^(\[]+)(?:\((?P<modifiers>[\d, -]+)\))?(?P<rest>[^\[]*)(?P<array>(?:\[\d*\])*)")

_BASES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "character",
    "char": "character",
    "varchar": "character varying",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "varbit": "bit varying",
    "decimal": "numeric",
}

_OF_EXTENSIONS = frozenset({"citext", "hstore", "ltree"})
"""The catalog names their schema, too, which may be any."""

_FAMILIES = {
    Family.INTEGER: "integer",
    Family.BOOLEAN: "boolean",
    Family.TEXT: "text",
    Family.CHAR: "character",
    Family.ENUM: "text",
    Family.UUID: "uuid",
    Family.JSON: "json",
    Family.DATE: "date",
    Family.TIMESTAMPTZ: "timestamp with time zone",
    Family.COMPOSITE: "composite",
}

_SEMANTIC = {
    "io.debezium.time.Date": ("date", "days"),
    "io.debezium.time.IsoDate": ("date", "iso"),
    "org.apache.kafka.connect.data.Date": ("date", "days"),
    "io.debezium.time.Time": ("time without time zone", "ms"),
    "io.debezium.time.MicroTime": ("time without time zone", "us"),
    "io.debezium.time.NanoTime": ("time without time zone", "ns"),
    "io.debezium.time.IsoTime": ("time without time zone", "iso"),
    "org.apache.kafka.connect.data.Time": ("time without time zone", "ms"),
    "io.debezium.time.Timestamp": ("timestamp without time zone", "ms"),
    "io.debezium.time.MicroTimestamp": ("timestamp without time zone", "us"),
    "io.debezium.time.NanoTimestamp": ("timestamp without time zone", "ns"),
    "io.debezium.time.IsoTimestamp": ("timestamp without time zone", "iso"),
    "org.apache.kafka.connect.data.Timestamp": ("timestamp without time zone", "ms"),
    "io.debezium.time.ZonedTimestamp": ("timestamp with time zone", "iso"),
    "io.debezium.time.ZonedTime": ("time with time zone", "iso"),
    "io.debezium.time.MicroDuration": ("interval", "us"),
    "io.debezium.time.Interval": ("interval", "iso"),
    "org.apache.kafka.connect.data.Decimal": ("numeric", "unscaled"),
    "io.debezium.data.VariableScaleDecimal": ("numeric", "variable"),
    "io.debezium.data.Bits": ("bit varying", "bits"),
    "io.debezium.data.Uuid": ("uuid", ""),
    "io.debezium.data.Json": ("json", ""),
    "io.debezium.data.Xml": ("xml", ""),
    "io.debezium.data.Enum": ("text", "label"),
    "io.debezium.data.EnumSet": ("text", ""),
    "io.debezium.time.Year": ("integer", ""),
    "io.debezium.data.geometry.Point": ("point", ""),
}

_PRIMITIVE = {
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "boolean": "boolean",
    "float": "real",
    "double": "double precision",
    "bytes": "bytea",
    "string": "text",
}


@dataclass(frozen=True, slots=True)
class Type:
    """`base` is PostgreSQL's long name; `modifiers` its typmod numbers (precision, scale, length).

    `spelling` is what the message schema says about this column (`ms`, `us`, `ns`, `iso`, `days`, `unscaled`,
    `variable`, `bits`), empty if there is none; `scale` the decimal scale that goes with `unscaled`.
    `whole` marks columns of the integer family, whose keys are Python ints. `widened`: a real is told as the double
    that it widens to, as rows spell it that meet another engine's. Of MySQL and MariaDB alone: `base` is the
    server's short name, `unsigned`, `nullable`, the `labels` of an enum as declared, and
    whether values come as the server spells them (`spelled`; else only as one that is equal).
    """

    base: str
    modifiers: tuple[int, ...] = ()
    array: bool = False
    spelling: str = ""
    scale: int | None = None
    whole: bool = False
    widened: bool = False
    unsigned: bool = False
    nullable: bool = True
    labels: tuple[str, ...] = ()
    spelled: bool = True

    def element(self) -> Type:
        return replace(self, array=False, whole=False, widened=False)


def of_column(column: Column, schema: Mapping[str, object] | None = None) -> Type:
    """The catalog's type, with the spelling of the message schema where there is one."""
    found = _DECLARED.fullmatch(column.declared.strip())
    if found is None:
        return Type("")
    base = (found["base"] + found["rest"]).strip().lower()
    known = _BASES.get(base, base)
    if (unqualified := base.rpartition(".")[2]) in _OF_EXTENSIONS:
        known = unqualified
    modifiers = tuple(int(number) for number in (found["modifiers"] or "").split(",") if number.strip())
    array = bool(found["array"])
    if not array and known not in KNOWN and column.family in _FAMILIES:
        known = _FAMILIES[column.family]  # a domain or an enum: the family is that of the type below
    seen = of_schema(schema)
    if known not in KNOWN and seen is not None and seen.spelling == "label":
        known = "text"  # an enum, or an array of its labels
    whole = column.family is Family.INTEGER and not array
    return Type(known, modifiers, array, seen.spelling if seen else "", seen.scale if seen else None, whole)


def of_schema(schema: Mapping[str, object] | None) -> Type | None:
    """What a Connect schema says; None if it says nothing we know."""
    if schema is None:
        return None
    if schema.get("type") == "array":
        items = schema.get("items")
        element = of_schema(items if isinstance(items, Mapping) else None)
        return replace(element, array=True, whole=False) if element else None
    name, primitive = schema.get("name"), str(schema.get("type"))
    if isinstance(name, str) and name in _SEMANTIC:
        base, spelling = _SEMANTIC[name]
        parameters = schema.get("parameters")
        scale = parameters.get("scale") if isinstance(parameters, Mapping) else None
        return Type(base, (), False, spelling, int(scale) if scale is not None else None)
    base = _PRIMITIVE.get(primitive, "")
    return Type(base, whole=primitive in ("int16", "int32", "int64")) if base else None


VERBATIM = frozenset(
    {
        "text", "character varying", "name", "citext", "xml", "ltree", "tsvector", "json", "jsonb", "uuid",
        "macaddr", "macaddr8", '"char"', "cidr",
        "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
    }
)  # fmt: skip
"""Types whose events carry the server's own text."""

PRINTED = frozenset(
    {
        "box", "lseg", "path", "polygon", "circle", "line", "xid", "pg_lsn", "pg_snapshot", "composite",
        "int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange",
    }
)  # fmt: skip
"""Types that the connector does not know: with `include.unknown.datatypes` it passes on the bytes of their text."""

KNOWN = VERBATIM | PRINTED | {
    "smallint", "integer", "bigint", "oid", "boolean", "bit", "bit varying", "real", "double precision", "numeric",
    "character", "bytea", "date", "time without time zone", "timestamp without time zone",
    "timestamp with time zone", "time with time zone", "interval", "inet", "money", "hstore", "point",
}  # fmt: skip
