"""Writes the reference pages of docs/ from the code: keys, command, errors, words, list of decisions.

    python docs/generate.py

A test compares them with what this would write."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tallybook.cli.verbs import VERBS, tallybook
from tallybook.collect.sources.dialect import TimeForm
from tallybook.config.catalog.keys import (
    ALERT_KEYS,
    BOOK_KEYS,
    DELIVERY_KEYS,
    GOAL_KEYS,
    METRIC_KEYS,
    SCHEDULE_KEYS,
    SERVE_KEYS,
    SOURCE_KEYS,
    Key,
)
from tallybook.config.catalog.words import toml
from tallybook.core import (
    ALERT_KINDS,
    GOAL_SCOPES,
    KINDS,
    LAYOUTS,
    RESERVED_NAMES,
    SHOWS,
    STORED_FORMS,
    WEEKDAYS,
    AlertSettings,
    BookSettings,
    Delivery,
    Goal,
    Metric,
    Operand,
    ScheduleSettings,
    ServeSettings,
    Slot,
    SourceSettings,
    calendar,
    errors,
)
from tallybook.core.adapters.destinations import DELIVER, destination_kinds
from tallybook.core.adapters.registry import Option
from tallybook.core.adapters.sources import REGISTRY, SourceKind
from tallybook.monitor.alerts.causes import Cause

DOCS = Path(__file__).resolve().parent
MADE = "<!-- Written by docs/generate.py from the code: change that, not this. -->\n"


def pages() -> dict[str, str]:
    """Every generated page: its name within docs/ and its text."""
    made: dict[str, Callable[[], str]] = {
        "reference-toml.md": reference_toml,
        "reference-cli.md": reference_cli,
        "reference-errors.md": reference_errors,
        "glossary.md": glossary,
        "decisions/README.md": decisions,
    }
    return {name: page() for name, page in made.items()}


# --- tallybook.toml -----------------------------------------------------------------------------------------

BOOK = {
    "name": "the name of the book",
    "id": "distinguishes the book from those of other projects, whatever their names; `init` writes one; [never change it](moving.md#two-projects)",
    "timezone": "the time zone of days, weeks and months; a name of the zone database",
    "week_starts": f"the first day of a week: {', '.join(WEEKDAYS)}",
    "store": 'the folder of the book, relative to the file; `"ledger"` stores the points in the PostgreSQL ledger, for [hosts without a disk](postgresql.md)',
    "ledger": "the URL of a PostgreSQL database for the ledger; default: `ledger.sqlite` in the folder",
    "schema": "the schema in that database, one for each book; created by the first run",
    "access": "who can read a new book or backup: owner (folders 0700, files 0600) or group (0750, 0640); existing files keep their modes",
    "start": "the first day to collect; default: the earliest fact of each metric, at most two years back",
    "lookback": "the number of last closed days that every run collects again, for rows that arrive late",
    "keep_versions": "how long every version can be queried with `--as-of`; of older versions the last of each month is kept",
}
SCHEDULE = {
    "at": "the time of the daily run, in the book's zone",
    "cron": "instead of `at`: minute, hour, day of the month, month, weekday; in the book's zone",
    "jitter": "each run of `tallybook serve` waits a random part of this time, so that not all books start at once",
}
SERVE = {
    "listen": "where `tallybook serve` takes usage events: `host:port`, or `unix:/path`",
    "insecure": "listen where others can reach it, although there is no TLS: keys travel in the clear",
    "backlog": "with more bytes of events that wait to be compacted, events get 503",
    "reserve": "with fewer free bytes on the disk, events get 503",
}
ALERT = {
    "to": "the recipients: URLs of webhooks, or of mail and chat in the form of [Apprise](alerts.md#where-to)",
    "about": f"the kinds of problems to send: {', '.join(ALERT_KINDS)}; default: all",
    "quiet": "quiet hours in the book's zone; problems that still exist at their end are sent then",
    "unusual_width": "the allowed distance from the usual value, as a multiple of the usual spread",
    "unusual_history": "the number of days with which a value is compared; from four weeks to two years",
    "heartbeat": "a URL that is called after each successful run of all metrics: a [dead-man's switch](alerts.md#when-nothing-runs-at-all)",
}
SOURCE = {
    "url": "the URL of the database; `${NAME}` is replaced from the environment or `.env`",
    "statement_timeout": "the database stops statements that take longer",
    "lock_timeout": "the longest wait for a lock",
    "fresh": "a query with one value: the time up to which the source is complete",
    "max_load": "the longest time that a run spends on days whose facts [changed](late.md); the rest waits for the next run",
    "replica": "the URL of a replica; [audits](late.md#audit) read it instead",
    "policies": "`refuse` (the default): an error where a [policy of the server](sources.md#policies-of-the-server) hides rows; `apply`: count the visible rows",
}
METRIC = {
    "kind": f"one of {', '.join(KINDS)}",
    "source": "the name of the source; optional if there is only one",
    "table": 'a table or view, with its schema where needed; a name with a dot in double quotes, as "dot.ted"',
    "sql": "one query that only reads, instead of a table",
    "join": "tables with more columns for the facts: `TABLE on TABLE.column = column`, or a list of these; see [joins](metrics.md#columns-of-other-tables)",
    "where": "a condition that facts must meet, in the SQL of the source",
    "time": "the column with the time of a fact, or with the day of a row",
    "stored": f"how times are stored: {', '.join(STORED_FORMS)}",
    "stored_zone": "the zone of times stored as local; default: that of the book",
    "from": "levels: the column with the time from which a row is valid",
    "until": "levels: the column with the time until which it is valid, exclusive; null: still valid",
    "until_inclusive": "`until` is the last day on which a row is valid",
    "measure": "an SQL aggregate; or a formula of other metrics",
    "function": "a Python function, instead of table, sql and measure",
    "event": "the name of a usage event, instead of `table`: [events](events.md)",
    "by": "the dimensions: columns to split and filter by; at most 16 together with `series`",
    "series": "the columns that distinguish series, in daily aggregates and levels with one row a day",
    "per": "the column of an entity: the measure is computed for each entity, then `then` over their values",
    "then": "with `per`: avg, median, p90, min, max, sum, count or stddev of the values of all entities",
    "daily_aggregate": "for each day and series only the value received last counts",
    "received": "the column that decides which value is the last; default: `time`",
    "changed": "the column that every write sets: days whose facts [changed](late.md) are collected again, however old",
    "changed_stored": "how `changed` stores time; default: as `stored`, if that fits its type",
    "history": "`imported`: periods before the first collected day use [imported](history.md) values",
    "carry": "how long a series without a row is carried forward; levels with one row a day",
    "over_time": f"what a wider scope shows: {', '.join(SHOWS)}; levels: all but total",
    "unit": "shown beside the name",
    "title": "a title for people",
    "description": "a description for people",
    "format": "a number format of spreadsheets",
    "decimals": "digits after the decimal point, for a column that does not declare them; makes its sums exact",
    "max_series": "the metric fails with more series a day",
    "renamed_from": "the name under which it was collected before",
    "snapshot_grace": "a snapshot taken within this time after midnight belongs to the day before",
    "start": "as in `[book]`, for this metric",
    "lookback": "as in `[book]`, for this metric",
    "alerts": "whether [alerts](alerts.md) watch its values and revisions",
}
GOAL = {
    "metric": "the metric that is compared with the target",
    "scope": f"the length of the periods: {', '.join(GOAL_SCOPES)}",
    "target": "one number for every period",
    "targets": "instead of `target` a number for each period, by its first day; a month also as `2026-01`, a year as `2026`",
    "where": "`dim=value`, `dim!=value`, or `dim=` for none; filters on one dimension are combined with OR, on several with AND",
    "show": f"how days become the period, as in a query: {', '.join(SHOWS)}; default: that of the metric",
    "at_most": "the metric should stay at or below the target; default: it should reach it",
    "title": "a title for people",
}
DELIVERY = {
    "to": "one of " + ", ".join(kind.name for kind in destination_kinds(DELIVER)),
    "path": "the file, relative to `tallybook.toml`; its folder must exist",
    "metrics": "the metrics to deliver",
    "scope": f"one of {', '.join(calendar.SCOPES)}",
    "by": "split by these dimensions",
    "where": "`dim=value`, `dim!=value`, or `dim=` for none; filters on one dimension are combined with OR, on several with AND",
    "from": "the first day; default: the first collected day",
    "last": "how far back, instead of `from`; whole periods",
    "layout": f"{', '.join(LAYOUTS)}: a row for each metric, a column for each, or a column for each period",
    "tab": "the sheet of a workbook or Google Sheet; default: the name of the delivery",
    "totals": "totals over all series, computed from the stored parts; in a workbook on a tab of their own",
    "fill": "a row for every series in every covered period",
}
SPANS = {"statement_timeout", "lock_timeout", "snapshot_grace", "jitter", "max_load"}
DAYS = {"lookback", "keep_versions", "carry", "unusual_history"}


def reference_toml() -> str:
    return "\n".join(
        [
            "# tallybook.toml\n",
            MADE,
            (
                'Every key. Spans are a number with `s`, `m`, `h`, `d` or `w`, as `"3d"`; days are `"2023-01-31"`. '
                "`${NAME}` and `${NAME:-default}` are replaced in every string, from the environment and from `.env` beside the file; "
                "`$${` is a literal `${`. A file `metrics/NAME.sql` is the `sql` of a metric, its leading `-- key = value` lines the other "
                "keys; functions in `metrics/*.py` are found automatically.\n"
            ),
            "`tallybook check` lists every mistake at once, with a line to paste.\n",
            "## [book]\n",
            _keys(BOOK_KEYS, BOOK, BookSettings),
            "## [schedule]\n",
            "See [every day](schedule.md).\n",
            _keys(SCHEDULE_KEYS, SCHEDULE, ScheduleSettings),
            "## [serve]\n",
            "What becomes of it: [events](events.md).\n",
            _keys(SERVE_KEYS, SERVE, ServeSettings),
            "## [events.NAME]\n",
            "`properties`: the types of an event's properties, each integer, number, text or flag: [events](events.md#types).\n",
            "## [alerts]\n",
            "See [alerts](alerts.md).\n",
            _keys(ALERT_KEYS, ALERT, AlertSettings),
            "## [sources.NAME]\n",
            _keys(SOURCE_KEYS, SOURCE, SourceSettings),
            "Keys that only some kinds of sources have:\n",
            _options(REGISTRY.kinds()),
            "## [metrics.NAME]\n",
            _keys(METRIC_KEYS, METRIC, Metric),
            "## [goals.NAME]\n",
            "See [goals](goals.md).\n",
            _keys(GOAL_KEYS, GOAL, Goal),
            "## [deliveries.NAME]\n",
            "See [deliveries](deliveries.md).\n",
            _keys(DELIVERY_KEYS, DELIVERY, Delivery, _delivery_options()),
            (
                "Names have letters, digits and `_`, and do not begin with a digit. These are words of every answer and cannot be "
                f"names of metrics or dimensions: {', '.join(f'`{n}`' for n in sorted(RESERVED_NAMES))}.\n"
            ),
        ]
    )


def _delivery_options() -> list[Option]:
    """The keys that only some destinations have."""
    return [option for kind in destination_kinds(DELIVER) for option in kind.options]


def _keys(keys: Mapping[str, Key], said: Mapping[str, str], settings: Any, options: Sequence[Option] = ()) -> str:
    if set(keys) != set(said):
        raise SystemExit(f"docs/generate.py does not describe just the keys there are: {sorted(set(keys) ^ set(said))}")
    defaults = {field.name: field.default for field in msgspec.structs.fields(settings)}
    rows = ["| key | meaning | default | example |", "|---|---|---|---|"]
    for name, key in keys.items():
        default = _default(name, defaults.get(key.field or name, msgspec.NODEFAULT))
        example = f"`{name} = {key.example}`" if key.example else ""
        rows.append(f"| `{name}` | {said[name]} | {default} | {example} |")
    for option in options:
        default, example = _default(option.name, option.default), f"`{option.name} = {option.example}`"
        rows.append(f"| `{option.name}` | {option.help} | {default} | {example} |")
    return "\n".join(rows) + "\n"


def _options(kinds: Iterable[SourceKind]) -> str:
    """The own keys of adapters, as their descriptors name them, also of those that another package installed."""
    rows = ["| source | key | meaning | default | example |", "|---|---|---|---|---|"]
    for kind in kinds:
        for option in kind.options:
            default = "" if option.default in (None, (), "") else f"`{toml(option.default)}`"
            example = f"`{option.name} = {option.example}`"
            rows.append(f"| {kind.title or kind.name} | `{option.name}` | {option.help} | {default} | {example} |")
    return "\n".join(rows) + "\n"


def _default(name: str, value: Any) -> str:
    if value is msgspec.NODEFAULT or value is None or value in ((), {}, "", ALERT_KINDS):
        return ""
    if name in DAYS:
        return f'`"{value}d"`'
    if name in SPANS:
        size, unit = (3600, "h") if value >= 3600 else (60, "m") if value >= 300 else (1, "s")
        return f'`"{value / size:g}{unit}"`'
    return (
        f"`{str(value).lower()}`"
        if isinstance(value, bool)
        else f'`"{value}"`'
        if isinstance(value, str)
        else f"`{value}`"
    )


# --- the command --------------------------------------------------------------------------------------------


def reference_cli() -> str:
    parts = ["# The command\n", MADE, "```text\n" + _help(tallybook, "tallybook") + "```\n"]
    context = click.Context(tallybook, info_name="tallybook")
    for verbs in VERBS.values():
        for name in verbs:
            command = tallybook.get_command(context, name)
            assert command is not None
            parts += _described(command, f"tallybook {name}")
    return "\n".join(parts)


def _described(command: click.Command, name: str) -> list[str]:
    """A verb's help; of a group also that of its verbs."""
    found = [f"## {name}\n\n```text\n{_help(command, name)}```\n"]
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            found += _described(below, f"{name} {verb}")
    return found


def _help(command: click.Command, name: str) -> str:
    settings = {"terminal_width": 100, "max_content_width": 100, "help_option_names": ["-h", "--help"]}
    with click.Context(command, info_name=name, **settings) as context:  # type: ignore[arg-type]
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines()) + "\n"


# --- errors -------------------------------------------------------------------------------------------------

CODES = {
    errors.DONE: "success",
    errors.SOME_FAILED: "some metrics failed, the others are stored; or the book has problems, or its disk is full",
    errors.USAGE: "wrong usage or configuration; nothing was done",
    errors.REFUSED: "the question has no right answer and was refused",
    errors.NOT_READY: "a source is not ready or not reachable, and nothing was stored; or the ledger is not reachable",
    errors.BUSY: "another run of this book is in progress",
    errors.BUG: "a bug in Tallybook",
    130: "stopped by Ctrl-C or SIGTERM; what was stored is kept",
}


def reference_errors() -> str:
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.TallybookError)]
    rows = [f"| `{c.__name__}` | `{c.__bases__[0].__name__}` | {c.exit_code} | {_first_paragraph(c)} |" for c in found]
    return "\n".join(
        [
            "# Errors\n",
            MADE,
            "## Exit codes\n",
            "| code | meaning |\n|---|---|",
            *(f"| {code} | {said} |" for code, said in CODES.items()),
            (
                "\nMessages go to stderr, results to stdout. With `--format json` an error is JSON on stdout: "
                '`{"refused": why, "ask": what to ask instead}` for a refusal, `{"error", "hint", "problems"}` for the rest. '
                "`TALLYBOOK_DEBUG=1` shows where an error came from.\n"
            ),
            "## In Python\n",
            (
                "All are in `tallybook.core.errors`. Each has `message`, `hint` (the next step) and `exit_code`; `DeclarationError` has "
                "`problems`, `Refused` has `why` and `ask`. A `SourceError` is one of a metric inside a run (1); as the end of a "
                "command it is 4.\n"
            ),
            "| error | is a | exit code | |\n|---|---|---|---|",
            *rows,
            "",
        ]
    )


# --- words --------------------------------------------------------------------------------------------------

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
    "Version": "The number of a state of the book. Each run that publishes creates a new one; `--as-of` queries an older one.",
    "Carry": "How long the last value of a series is used after its last row, for levels with one row a day.",
    "Coverage": "The record of which days of which metric are collected, under which definition.",
    "Definition": "A hash of everything that determines the numbers of a metric. Numbers of two definitions are never merged.",
    "Measure": "An SQL aggregate over facts, or a formula of other metrics.",
    "Metric": "A named number: a measure over facts, with a time column and dimensions.",
    "Snapshot": "Of a source: one read transaction. As a kind of level: the present state of a table without history.",
    "Day": "A calendar day in the book's time zone: 23, 24 or 25 hours.",
    "Derived": "A metric whose measure is a formula of other metrics.",
    "Dimension": "A column to split and filter a metric by, listed in `by`.",
    "Fact": "A row of a source that has a time.",
    "Flow": "A metric of what happens during a day, which adds up over time: signups, revenue.",
    "Level": "A metric of a state at the end of each day, which does not add up over time: seats, recurring revenue, open tickets.",
    "Part": "One mergeable piece of a measure, stored for each day: a sum, a count, a smallest or largest value, an id, a bucket.",
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
    meanings = {**MEANINGS, **{word: _first_paragraph(thing) for word, thing in WORDS.items()}}
    entries = [f"**{word}**: {meanings[word]}\n" for word in sorted(meanings)]
    return "\n".join(["# Glossary\n", MADE, *entries])


def _first_paragraph(thing: Any) -> str:
    doc = inspect.getdoc(thing) or ""
    paragraph = doc.split("\n\n")[0]
    # Stars of our markdown, not of `*`; angle brackets would be taken for HTML.
    return re.sub(r"\s+", " ", paragraph).strip().replace("<", "&lt;")


def decisions() -> str:
    found = sorted(p for p in (DOCS / "decisions").glob("[0-9]*.md"))
    lines = [f"- [{_title(p)}]({p.name})" for p in found]
    return "\n".join(
        [
            "# Decisions\n",
            MADE,
            "What could have been done otherwise, why it was not, and what that costs.\n",
            *lines,
            "",
        ]
    )


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].lstrip("# ")


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
