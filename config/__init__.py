"""Configuration: one YAML file, read into small frozen models, every problem at once with its line.

`load` gives `Settings`; `bootstrap` alone sees them and hands each room its own policy. Nothing here opens a
connection. Passwords are references (`env:NAME`, `file:/path`) that are looked up only when they are used.
"""

from config.beginning import KafkaSource, draft
from config.load import check, find, load, parse
from config.problem import Problem, Severity
from config.schema import schema
from config.secret import Secret
from config.settings import Settings
from config.show import example, show

__all__ = [
    "KafkaSource",
    "Problem",
    "Secret",
    "Settings",
    "Severity",
    "check",
    "draft",
    "example",
    "find",
    "load",
    "parse",
    "schema",
    "show",
]
