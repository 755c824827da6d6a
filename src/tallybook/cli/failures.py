"""Prints errors and returns exit codes: text on stderr, or JSON on stdout with --format json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tallybook.cli.terminal import Terminal, indented
from tallybook.core import (
    BUG,
    NOT_READY,
    USAGE,
    DeclarationError,
    Refused,
    SourceError,
    TallybookError,
    Unforeseen,
    bug_report,
    system_error,
)

STOPPED = 130
"""The exit code that shells give a command stopped by Ctrl-C."""


def print_error(error: BaseException, terminal: Terminal, *, as_json: bool) -> int:
    """Print an error with its hint, and return the exit code."""
    described = as_ours(error)
    if terminal.env.get("TALLYBOOK_DEBUG") == "1":
        import traceback

        terminal.err("".join(traceback.format_exception(error)).rstrip())
    if terminal.log is not None:
        terminal.event("error", level="error", exit_code=exit_code(error), **as_dict(described))
    if as_json:
        terminal.json(as_dict(described))
    elif terminal.log is not None:
        return exit_code(error)
    else:
        _print_for_people(described, terminal)
    return exit_code(error)


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ended with an error."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return STOPPED
    if isinstance(error, Unforeseen):
        return error.exit_code
    if isinstance(error, SourceError):
        return NOT_READY  # A run reports failed metrics itself. Here nothing was done.
    if isinstance(error, TallybookError):
        return error.exit_code
    return USAGE if isinstance(error, click.ClickException | OSError) else BUG


def as_dict(error: TallybookError) -> dict[str, Any]:
    """The documented JSON of an error."""
    if isinstance(error, Refused):
        return {"refused": error.why, "ask": error.ask}
    problems = error.problems if isinstance(error, DeclarationError) else ()
    return {"error": error.message, "hint": error.hint, "problems": [filled(vars(p)) for p in problems]}


def filled(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details that are not empty."""
    return {key: value for key, value in details.items() if value}


def _print_for_people(error: TallybookError, terminal: Terminal) -> None:
    what = "refused" if isinstance(error, Refused) else "error"
    lines = [terminal.styled(f"{what}:", "bold", "red", stream=terminal.stderr) + f" {error.message}"]
    lines += [indented(error.hint)] if error.hint else []
    if isinstance(error, DeclarationError):
        lines += [f"\n{problem}" for problem in error.problems]
    terminal.err("\n".join(lines))


def as_ours(error: BaseException) -> TallybookError:
    """Any error as a TallybookError with a message and a hint."""
    if isinstance(error, TallybookError):
        return error
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return TallybookError("stopped", hint="what was stored is kept; run the same command again to continue")
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        return system_error(error)
    return bug_report(error)


def _usage(error: click.ClickException) -> TallybookError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "tallybook"
    message = error.format_message().rstrip(".")
    return TallybookError(message[:1].lower() + message[1:], hint=f"`{command} --help` lists the options")
