"""What all settings models share: frozen, strict about keys, described by the docstring under each field."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

Count = Annotated[int, Strict(), Field(ge=1)]
Switch = Annotated[bool, Strict()]
Share = Annotated[float, Strict(), Field(gt=0, le=1)]
"""A ratio: 0.01 is one in a hundred."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]
TableText = Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$", examples=["public.orders"])]
Filtered = Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$|^\*$", examples=["public.orders", "*"])]
Condition = Annotated[str, Field(min_length=1, examples=["region = 'eu'"])]
Columns = Annotated[tuple[str, ...], Field(min_length=1)]


class Model(BaseModel):
    """Base of every settings model. What its fields mean stands below each as text, which only `config.schema` reads:
    to look for it in the source of every model takes a command a twentieth of a second."""

    model_config = ConfigDict(frozen=True, extra="forbid")
