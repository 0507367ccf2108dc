"""The console script: the commands, the guard at the door, and how errors leave the house."""

from __future__ import annotations

import atexit
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

import trueup
from trueup import exits
from verifier.errors import Misconfigured, TrueupError

ROOMS = ("verifier", "reconciler", "connectors", "config", "dashboards")
_COMMANDS = (
    "demo", "audit", "runs", "drift", "recheck", "trace", "explain", "lag", "check", "position", "run", "pause",
    "known", "repair", "connector", "configuration", "doctor",
)  # fmt: skip
"""Modules of `trueup.cli`, in the order of the help; most have one command, of their name."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trueup {trueup.__version__}")
        raise typer.Exit


def front(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Proves that replicas equal their leader while writes go on, names every row that is not, and puts it right."""


def application(command: str | None = None) -> typer.Typer:
    """All commands; or the named one alone, if a module has its name: to make all of them takes a tenth of a second."""
    made = typer.Typer(
        name="trueup",
        help="Proves that replicas equal their leader while writes go on, names every row that is not, and puts it "
        "right.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    made.callback()(front)
    for module in (command,) if command in _COMMANDS else _COMMANDS:
        import_module(f"trueup.cli.{module}").register(made)
    _whole(made)
    return made


def _whole(app: typer.Typer) -> None:
    """Lists of commands say what each is for to the end: by default a line that is too long is cut."""
    for command in app.registered_commands:
        command.short_help = command.help
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _whole(group.typer_instance)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; errors become one clear message on standard error."""
    codes: list[int] = []
    atexit.register(_end, codes)  # before all others, so it is called behind them
    codes.append(outcome(arguments))
    sys.exit(codes[0])


def _end(codes: list[int]) -> None:
    """End the process without looking through all that it holds and taking it apart, which took 0.1 and 0.03 s.
    Threads have ended by now."""
    if codes:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(codes[0])


def outcome(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command line (None: the process's own)."""
    try:
        guard_rooms()
        words = list(sys.argv[1:] if arguments is None else arguments)
        result: Any = application(words[0] if words else None)(args=words, standalone_mode=False)
        for stream in filter(None, (sys.stdout,)):  # None where it was closed before we began
            stream.flush()  # what goes wrong with it can be told here
    except TrueupError as error:
        from trueup.logs import redacted

        _say(redacted(f"trueup: {error}"))
        return exits.of_error(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        return exits.UNREAD
    except SystemExit as left:
        # The command-line library's answer to a reader that went away, `trueup drift | head`: 1 would mean drift.
        if isinstance(left.__context__, BrokenPipeError):
            return exits.UNREAD
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
            _say(f"trueup: what it found could not be written to standard output: {error}")
            return exits.UNVERIFIED
        return _usage_or_fault(error)
    return result if isinstance(result, int) else 0


def _usage_or_fault(error: Exception) -> int:
    """Typer's own errors (wrong option, missing argument, abort) print themselves; anything else is a fault of trueup:
    never exit code 1, which says that a row differs."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if type(error).__name__ == "Abort":
        return exits.INTERRUPTED
    if callable(show) and isinstance(code, int):
        with suppress(OSError):
            show()
        return exits.USAGE
    if isinstance(code, int):
        return code
    from trueup.logs import calls

    _say(f"{calls(error)}trueup: this is a fault of trueup itself; nothing was verified")
    return exits.UNVERIFIED


def _say(message: str) -> None:
    """An error here would end Python with 1, which says that a row differs."""
    from trueup.cli.output import say  # which `--help` can do without

    say(message)


def guard_rooms() -> None:
    """All rooms must lie beside the front door: their names are common, and another package may come first on the
    path. Misconfigured, naming both places, if one does not."""
    home = Path(trueup.__file__).resolve().parent.parent
    for room in ROOMS:
        # Found, not imported: the settings' libraries alone would cost `--help` a third of a second.
        spec = find_spec(room)
        place = Path(str(spec.origin)).resolve().parent if spec is not None else None
        if place != home / room:
            raise Misconfigured(
                f"imported {room!r} from {place} instead of {home / room}: another package of that name comes first "
                "on sys.path (start trueup by its console script, in an environment of its own)"
            )


if __name__ == "__main__":
    main()
