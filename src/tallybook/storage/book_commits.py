"""The numbers that show whether a book has changed: its version, and the commits of events and of users and
accounts."""

from __future__ import annotations

from typing import NamedTuple

from tallybook.storage.sql_ledger import SqlLedger


class BookCommits(NamedTuple):
    """The state of a book. The answer to a question changes only with one of these values, the declarations or the
    day."""

    version: int = 0
    events: int = 0
    entities: int = 0
    days: str = ""
    """A text that changes when a day of an event is closed or opened, and when a server starts. Both explain gaps."""


def commits_of(ledger: SqlLedger) -> BookCommits:
    """All numbers, read in one transaction."""
    with ledger._reading() as db:
        numbers = db.execute(_NUMBERS).fetchone()
        closed = db.execute("SELECT count(*), max(at) FROM event_closed").fetchone()
        served = db.execute("SELECT count(*), max(first) FROM served").fetchone()
    assert numbers is not None
    version, events, entities = (int(number or 0) for number in numbers)
    return BookCommits(version=version, events=events, entities=entities, days=f"{closed} {served}")


_NUMBERS = """
SELECT (SELECT max(version) FROM versions), (SELECT max(number) FROM event_commits),
    (SELECT max(number) FROM entity_commits)
"""
