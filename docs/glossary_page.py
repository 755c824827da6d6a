"""The page docs/glossary.md: the words of the docs and what they mean."""

from __future__ import annotations

from typing import Any

from docs.generated import MADE, first_paragraph
from tallybook.collect.sources.dialect import TimeForm
from tallybook.core import Goal, Operand, Slot, calendar
from tallybook.monitor.alerts.causes import Cause

WORDS: dict[str, Any] = {
    "Cause": Cause,
    "Goal": Goal,
    "Operand": Operand,
    "Period": calendar.Period,
    "Slot": Slot,
    "Time form": TimeForm,
}
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
    """The glossary: MEANINGS, and docstrings for the names in WORDS."""
    meanings = {**MEANINGS, **{word: first_paragraph(thing) for word, thing in WORDS.items()}}
    entries = [f"**{word}**: {meanings[word]}\n" for word in sorted(meanings)]
    return "\n".join(["# Glossary\n", MADE, *entries])
