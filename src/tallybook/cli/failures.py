"""Errors as words and exit codes: on stderr for people, on stdout as JSON for programs that asked for it."""

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
)

STOPPED = 130
"""As shells say it of a command that was stopped by Ctrl-C."""


def tell(error: BaseException, terminal: Terminal, *, as_json: bool) -> int:
    """Say what went wrong and what to do; return the exit code."""
    told = as_ours(error)
    if terminal.env.get("TALLYBOOK_DEBUG") == "1":
        import traceback

        terminal.err("".join(traceback.format_exception(error)).rstrip())
    if terminal.log is not None:
        terminal.event("error", level="error", exit_code=exit_code(error), **as_dict(told))
    if as_json:
        terminal.json(as_dict(told))
    elif terminal.log is not None:
        return exit_code(error)
    else:
        _tell_people(told, terminal)
    return exit_code(error)


def exit_code(error: BaseException) -> int:
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return STOPPED
    if isinstance(error, Unforeseen):
        return error.exit_code
    if isinstance(error, SourceError):
        return NOT_READY  # a run tells of failed metrics in its report; here nothing was done
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
    """Without what has nothing to say."""
    return {key: value for key, value in details.items() if value}


def _tell_people(error: TallybookError, terminal: Terminal) -> None:
    what = "refused" if isinstance(error, Refused) else "error"
    lines = [terminal.styled(f"{what}:", "bold", "red", stream=terminal.stderr) + f" {error.message}"]
    lines += [indented(error.hint)] if error.hint else []
    if isinstance(error, DeclarationError):
        lines += [f"\n{problem}" for problem in error.problems]
    terminal.err("\n".join(lines))


def as_ours(error: BaseException) -> TallybookError:
    """Any error as one that says what and what next."""
    if isinstance(error, TallybookError):
        return error
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return TallybookError("stopped", hint="what was stored stays; the same command goes on from there")
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        where = f" {error.filename}:" if error.filename else ""
        return TallybookError(f"the system refused:{where} {error.strerror or error}")
    return bug_report(error)


def _usage(error: click.ClickException) -> TallybookError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "tallybook"
    message = error.format_message().rstrip(".")
    return TallybookError(message[:1].lower() + message[1:], hint=f"`{command} --help` shows what there is")
