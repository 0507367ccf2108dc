"""When Python looks for garbage: seldom.

A busy stream makes hundreds of thousands of small objects a second, which are let go of batch by batch without any
search. By default the interpreter searches after every 700 new ones: a fifth to a quarter of the time that reading a
backlog took went into that (measured: `make bench ARGS=decode`).
"""

from __future__ import annotations

import gc

_NEW_OBJECTS = 200_000


def search_seldom() -> None:
    """For a process of our own. What exists now, mostly modules, is never searched again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 100)
