"""Which keys a place in the document may hold: the settings models, walked along a pydantic error's location."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The known keys of the mapping at `location` (the steps of a pydantic location); empty if any key goes."""
    kinds: list[Any] = [model]
    for step in location:
        kinds = [inner for kind in kinds for inner in _step(kind, step)]
    return sorted({name for kind in kinds if _is_model(kind) for name in kind.model_fields})


def _step(kind: Any, step: str | int) -> Iterator[Any]:
    if _is_model(kind):
        if isinstance(step, str) and step in kind.model_fields:
            yield from _unwrapped(kind.model_fields[step].annotation)
        elif _tag(kind) == step:
            yield kind
    elif get_origin(kind) in (tuple, list) and isinstance(step, int):
        yield from _unwrapped(get_args(kind)[0])
    elif get_origin(kind) is dict:
        yield from _unwrapped(get_args(kind)[1])


def _unwrapped(kind: Any) -> Iterator[Any]:
    """The members of a union, without what annotates them."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _unwrapped(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _unwrapped(member)
    else:
        yield kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _tag(kind: type[BaseModel]) -> str | None:
    """The value of `kind` that selects this member of a discriminated union."""
    field = kind.model_fields.get("kind")
    values = get_args(field.annotation) if field else ()
    return values[0] if len(values) == 1 else None
