"""Passwords that were typed into a URL: kept out of what is printed, and out of the process list.

Better not to type them: `PGPASSWORD`, `PGPASSFILE` and `~/.pgpass` work, and a configuration refers to its secrets.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

_IN_TEXT = re.compile(r"(?P<head>://[^/@:\s]*):[^@\s]*(?=@)|(?P<query>[?&]password=)[^&\s]*")
_IN_MEMORY = re.compile(rb"(?<=:)//[^/@:\0]*:([^@\0]*)@|[?&]password=([^&\0]*)")
_ARG_START, _ARG_END = 45, 46
"""Places in /proc/self/stat behind the program's name: where the kernel keeps the arguments that `ps` shows."""


def without_passwords(text: str) -> str:
    """The text with every URL's password left out."""
    return _IN_TEXT.sub(lambda found: found["head"] or found["query"], text)


def hide_arguments() -> None:
    """Overwrite passwords in the arguments that other users see in the process list; where the system does not keep
    them in our own memory, nothing is done."""
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        begin, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, IndexError, ValueError):
        return
    if not 0 < begin < end:
        return
    memory = (ctypes.c_char * (end - begin)).from_address(begin)
    for found in _IN_MEMORY.finditer(memory.raw):
        for group in (1, 2):
            for place in range(*found.span(group)) if found[group] else ():
                memory[place] = b"*"
