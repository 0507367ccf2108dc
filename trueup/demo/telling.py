"""How the demo speaks: one line per step with its time, plain text where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text


@dataclass(slots=True)
class Teller:
    """Speaks to standard output."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    _began: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        """A step: said when it begins, and again with its time and what was noted when it is done."""
        notes: list[str] = []
        self.console.print(Text.assemble((self._clock(), "dim"), ("  ... ", "dim"), what))
        began = time.monotonic()
        yield notes.append
        took = f"{time.monotonic() - began:.1f} s"
        said = "; ".join(notes) or "done"
        self.console.print(Text.assemble((self._clock(), "dim"), ("  ok  ", "green"), said, (f"  ({took})", "dim")))

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text("            " + text, style=style))

    def heading(self, text: str) -> None:
        self.console.print(Text(text, style="bold"))

    def end(self, text: str) -> None:
        self.console.print(Text.assemble((self._clock(), "dim"), ("  ok  ", "bold green"), (text, "bold")))

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:6.1f}s"
