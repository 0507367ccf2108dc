"""A YAML document that remembers where every value stood.

Read by YAML 1.2's core rules, not PyYAML's 1.1: `off` and `no` are words (`mode: off`), `010` is ten and `1:30` is
text. Duplicate keys, tags and non-text keys are problems, each with its place; parsing goes on behind them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml
from yaml.reader import ReaderError

from config.problem import Path, Problem, dotted

_TAG = "tag:yaml.org,2002:"
Place = tuple[int, int]
"""Line and column, from 1."""


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars as YAML 1.2 does."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # the base class declares it this way


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(slots=True)
class Document:
    """`value` is plain data; `keys` and `values` hold the places of each key or list item, and of each value."""

    file: str
    value: object = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem at `path`, or at its nearest ancestor that stands in the file."""
        place: Place | None = None
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            # Below the value itself the key is the better place: the value of a mapping starts at its first key.
            first, second = (self.keys, self.values) if at_key or length < len(path) else (self.values, self.keys)
            place = first.get(prefix) or second.get(prefix)
            if place is not None:
                break
        line, column = place or (1, 1)
        return Problem(self.file, line, column, dotted(path), message)


def read(text: str, file: str) -> Document:
    """Parse `text`; what is wrong with it as YAML is in `problems`."""
    document = Document(file)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        document.problems.append(Problem(file, line, column, "", f"not YAML: {what}"))
        return document
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not YAML: character U+{error.character:04X} is not allowed"
        document.problems.append(Problem(file, line, error.position - text.rfind("\n", 0, error.position), "", message))
        return document
    finally:
        if loader is not None:
            loader.dispose()
    if node is not None:
        document.value = _plain(node, (), document, frozenset())
    return document


def _plain(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> object:
    document.values.setdefault(path, _place(node))
    if id(node) in above:
        document.problems.append(document.problem(path, "an alias that contains itself"))
        return None
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document, above)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.keys[(*path, index)] = _place(item)
        return [_plain(item, (*path, index), document, above) for index, item in enumerate(node.value)]
    return _scalar(node, path, document)


def _mapping(node: yaml.MappingNode, path: Path, document: Document, above: frozenset[int]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            line, column = _place(key_node)
            document.problems.append(Problem(document.file, line, column, dotted(path), "a key must be a plain word"))
            continue
        key, here = key_node.value, (*path, key_node.value)
        if key in result:
            line, column = _place(key_node)
            before = document.keys[here][0]
            message = f"key given twice, first on line {before}"
            document.problems.append(Problem(document.file, line, column, dotted(here), message))
            continue
        document.keys[here] = _place(key_node)
        result[key] = _plain(value_node, here, document, above)
    return result


def _scalar(node: yaml.Node, path: Path, document: Document) -> object:
    tag, text = node.tag.removeprefix(_TAG), str(node.value)
    if tag == "str":
        return text
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    try:
        if tag == "int":
            return int(text)
        if tag == "float":
            return float(text)
    except ValueError:
        pass
    document.problems.append(document.problem(path, f"cannot read this as {node.tag!r}"))
    return None


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
