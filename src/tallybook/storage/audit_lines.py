"""The request log of a book without a folder: lines in its ledger that say who asked what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from tallybook.core import ONE_DAY
from tallybook.storage.sql_ledger import SqlLedger

_AT_ONCE = 500


class AuditLines:
    """The table of log lines in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def add(self, lines: Iterable[tuple[str, str, str]]) -> None:
        """Store lines: (instant, id, text). A repeated (instant, id) is stored once."""
        rows = list(lines)
        with self.ledger._writing() as db:
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                marks = ", ".join("(?, ?, ?)" for _ in some)
                values = [value for row in some for value in row]
                db.execute(f"INSERT INTO audit_lines (at, id, line) VALUES {marks} ON CONFLICT DO NOTHING", values)

    def between(self, first: date, last: date) -> list[str]:
        """The lines of the given days in UTC, oldest first."""
        asked = "SELECT line FROM audit_lines WHERE at >= ? AND at < ? ORDER BY at, id"
        with self.ledger._reading() as db:
            return [row[0] for row in db.execute(asked, [_begin(first), _begin(last + ONE_DAY)]).fetchall()]

    def prune(self, before: date) -> None:
        """Delete the lines of the days before `before`."""
        with self.ledger._writing() as db:
            db.execute("DELETE FROM audit_lines WHERE at < ?", [_begin(before)])


def _begin(day: date) -> str:
    return f"{day}T00:00:00.000000Z"
