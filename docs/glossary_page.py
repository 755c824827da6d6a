"""The page docs/glossary.md: the words of the docs and what they mean."""

from __future__ import annotations

from typing import Any

from docs.generated import MADE, first_paragraph
from tallybook.collect.sources.dialect import TimeForm
from tallybook.core import Board, Event, Goal, Operand, PushedAttribute, Rule, Slot, calendar
from tallybook.ingest import WireProtocol
from tallybook.monitor.alerts.causes import Cause
from tallybook.query import QuestionSegment
from tallybook.server.api_types import VerdictsBody
from tallybook.storage import ApiKey, Firing, OutboxItem, OutboxLedger, ShareRecord
from tallybook.storage.entity_records import EntityRecord

WORDS: dict[str, Any] = {
    "Cause": Cause,
    "Goal": Goal,
    "Operand": Operand,
    "Period": calendar.Period,
    "Slot": Slot,
    "Time form": TimeForm,
}
CLASSES: dict[str, tuple[type, str]] = {
    "Attribute": (
        PushedAttribute,
        "A named value of an entity: pushed by a client, read from a source, or a metric over the days up to now.",
    ),
    "Board": (Board, "`[boards.NAME]`: several questions on one page."),
    "Entity": (EntityRecord, "A user or an account: an id with attributes. A user can belong to an account."),
    "Event": (
        Event,
        "Something that happened, sent to the server: a name and a time, with a user, an account and properties.",
    ),
    "Firing": (Firing, "One record of a rule whose condition began to be true for an entity."),
    "Item": (OutboxItem, "One thing in an outbox: a number or an attribute that a receiver gets, or already has."),
    "Key": (
        ApiKey,
        "The secret with which a client sends events or reads answers. It has scopes. The book has a hash of it only.",
    ),
    "Outbox": (
        OutboxLedger,
        "The record of what is to be sent to a service that cannot be rewritten, and of what it has received.",
    ),
    "Protocol": (WireProtocol, "How requests of one kind of client become events, and how they are answered."),
    "Rule": (
        Rule,
        "`[rules.NAME]`: a condition over attributes and metrics, and what is done for an entity that meets it.",
    ),
    "Segment": (
        QuestionSegment,
        "A name and a list of conditions. An answer has the rows of each segment of its query.",
    ),
    "Share": (
        ShareRecord,
        "A signed link to one page of numbers, for people without a key. It ends, and can be revoked.",
    ),
    "Verdict": (
        VerdictsBody,
        "What became of each event of a request: stored, a duplicate of a stored one, or rejected with a reason.",
    ),
}
"""Words of events, entities and pages: the class that the code has for each, and the meaning."""
MEANINGS = {
    "Book": "Everything that was collected for a project: a ledger and points files, in a folder or on PostgreSQL.",
    "Delivery": "A query in `[deliveries.NAME]` whose answer is written to a file or sheet and kept up to date.",
    "Destination": "A kind of file or service that deliveries write to: workbooks, CSV, Parquet, Google Sheets.",
    "Lease": "The temporary right of one process to run or deliver. Nobody else can publish while it is valid.",
    "Points": "The stored parts of metrics by day and series, in Parquet files or in the ledger.",
    "Query": "A question about metrics: scope, days, dimensions and filters.",
    "Result": "The answer to a query: rows by period and dimensions, and one sentence that explains them.",
    "Revision": "A record of a value that changed after it was collected: the old value, the new one, and the run.",
    "Source": "A database that Tallybook reads and never writes.",
    "Version": (
        "The number of a state of the book. Each run that publishes creates a new one; `--as-of` queries an older one."
    ),
    "Carry": "How long the last value of a series is used after its last row, for levels with one row a day.",
    "Coverage": "The record of which days of which metric are collected, under which definition.",
    "Definition": (
        "A hash of everything that determines the numbers of a metric. Numbers of two definitions are never merged."
    ),
    "Measure": "An SQL aggregate over facts, or a formula of other metrics.",
    "Metric": "A named number: a measure over facts, with a time column and dimensions.",
    "Snapshot": "Of a source: one read transaction. As a kind of level: the present state of a table without history.",
    "Day": "A calendar day in the book's time zone: 23, 24 or 25 hours.",
    "Derived": "A metric whose measure is a formula of other metrics.",
    "Dimension": "A column to split and filter a metric by, listed in `by`.",
    "Fact": "A row of a source that has a time.",
    "Flow": "A metric of what happens during a day, which adds up over time: signups, revenue.",
    "Level": (
        "A metric of a state at the end of each day, which does not add up over time: seats, recurring revenue, open "
        "tickets."
    ),
    "Part": (
        "One mergeable piece of a measure, stored for each day: a sum, a count, a smallest or largest value, an id, a "
        "bucket."
    ),
    "Run": "One execution of `tallybook run`, with a number and a report.",
    "Scope": "The length of the periods in an answer: day, week, month, quarter, year, all.",
    "Series": "One combination of dimension values.",
    "Show": "How the days of a period become one number: total, average, last, first, min, max, change.",
    "Lookback": "The number of recent closed days that each run collects again, because rows arrive late.",
    "Ledger": "The database of the book, SQLite or PostgreSQL: runs, coverage, definitions, versions and revisions.",
    "Uniques": "Daily counts of distinct things without their ids. For several days only bounds are known.",
}


def glossary() -> str:
    """The glossary: MEANINGS, CLASSES, and docstrings for the names in WORDS."""
    meanings = {**MEANINGS, **{word: first_paragraph(thing) for word, thing in WORDS.items()}}
    meanings |= {word: f"{meaning} In the code: `{one.__name__}`." for word, (one, meaning) in CLASSES.items()}
    entries = [f"**{word}**: {meanings[word]}\n" for word in sorted(meanings)]
    return "\n".join(["# Glossary\n", MADE, *entries])
