"""Errors of statements that every database can have, each with one text and one hint."""

from __future__ import annotations

import re

from tallybook.core import SourceError, SourceUnavailable


def reason_of(error: BaseException) -> str:
    """The text of a driver's error on one line, or the name of its class if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def timed_out(source: str, seconds: float, otherwise: str = "") -> SourceError:
    """The error for a statement that took longer than `statement_timeout`. `otherwise` follows the line to paste."""
    return SourceError(
        f"source {source!r}: a statement took longer than {seconds:g} s",
        hint=f'give it more time: [sources.{source}] statement_timeout = "{2 * seconds:g}s"{otherwise}',
    )


def unknown_name(source: str, reason: str) -> SourceError:
    """The error for a table, a column or a function that the database does not have."""
    column = re.search(r"""column ["']?([^\s"'.`]+)""", reason, re.IGNORECASE)
    text = f"; if {column[1]} is a text, write it in single quotes: '{column[1]}'" if column else ""
    return SourceError(f"source {source!r}: {reason}", hint=f"`tallybook check --source` lists what is there{text}")


def permission_denied(source: str, reason: str) -> SourceError:
    return SourceError(f"source {source!r}: {reason}", hint="GRANT SELECT on it to the user of the url")


def table_locked(source: str, reason: str) -> SourceError:
    return SourceError(f"source {source!r}: a table is locked: {reason}", hint="run again when the lock is gone")


def connection_lost(source: str, reason: str) -> SourceUnavailable:
    return SourceUnavailable(f"source {source!r}: the connection was lost: {reason}", hint="tallybook run")


def undecodable(source: str, converted: str) -> SourceError:
    """The error for a text whose bytes are not UTF-8. `converted`: SQL that converts such an x to text."""
    return SourceError(
        f"source {source!r}: a text contains bytes that are not UTF-8",
        hint=f'make a text of it in the facts: sql = "select *, {converted} as label from …"',
    )
