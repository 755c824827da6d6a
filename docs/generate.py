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

from tallybook import book
from tallybook.cli.verbs import VERBS, tallybook
from tallybook.collect.sources.base import Source
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
from tallybook.core.points import column_names
from tallybook.core.result import result
from tallybook.deliver.destinations.base import Destination
from tallybook.monitor.alerts.causes import Cause
from tallybook.query.questions import Query
from tallybook.storage import ledger

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
    "name": "what the book is called",
    "id": "tells the book from that of another project, whatever their names; `init` writes one, and it [stays](moving.md#two-projects) for good",
    "timezone": "the zone whose days, weeks and months are counted; a name of the zone database",
    "week_starts": f"the first day of a week: {', '.join(WEEKDAYS)}",
    "store": 'the folder of the book, beside the file; `"ledger"` keeps the points in the PostgreSQL ledger, for [hosts without a disk](postgresql.md)',
    "ledger": "a PostgreSQL database that keeps the ledger; not given: `ledger.sqlite` in the folder",
    "schema": "the schema of that database, one for each book; made by the first run",
    "access": "who may read a new book or backup: owner (folders 0700, files 0600) or group (0750, 0640); what is there keeps its modes",
    "start": "the first day to collect; not given: the earliest fact of each metric, at most two years back",
    "lookback": "how many of the last closed days are collected again on every run, for rows that come late",
    "keep_versions": "for so long every version can be asked with `--as-of`; of older ones the last of each month",
}
SCHEDULE = {
    "at": "a time of every day, in the book's zone",
    "cron": "instead of `at`: minute, hour, day of the month, month, weekday; in the book's zone",
    "jitter": "each run of `tallybook serve` waits a part of it, at random, so that not all books begin at once",
}
SERVE = {
    "listen": "where `tallybook serve` takes usage events: `host:port`, or `unix:/path`",
    "insecure": "listen where others can reach it, although there is no TLS: keys travel in the clear",
    "backlog": "with more bytes of events that wait to be compacted, events get 503",
    "reserve": "with fewer free bytes on the disk, events get 503",
}
ALERT = {
    "to": "who is told: URLs of webhooks, or of mail and chat as [Apprise](alerts.md#where-to) writes them",
    "about": f"about what: {', '.join(ALERT_KINDS)}; not given: all of it",
    "quiet": "from when until when nothing is sent, in the book's zone; it is told at their end, if it is still so",
    "unusual_width": "so many times its usual spread a value may be away from the usual one",
    "unusual_history": "so many days before it a value is held against; from four weeks to two years",
    "heartbeat": "is called after each run of all metrics that went well: a [dead-man's switch](alerts.md#when-nothing-runs-at-all)",
}
SOURCE = {
    "url": "the database; `${NAME}` is taken from the environment or `.env`",
    "statement_timeout": "a statement that takes longer is stopped",
    "lock_timeout": "how long a lock is waited for",
    "fresh": "a query whose one value is the time up to which the source is known to be complete",
    "max_load": "for so long a run collects days again of which facts [changed](late.md); the rest waits for the next run",
    "replica": "a replica of the database, as a URL: [audits](late.md#audit) read it instead",
    "policies": "`refuse` (the default): an error where a [policy of the server](sources.md#policies-of-the-server) hides rows; `apply`: the rows that are seen are the ones to be counted",
}
METRIC = {
    "kind": f"one of {', '.join(KINDS)}",
    "source": "which source; may be left out where there is one",
    "table": 'a table or view, with its schema where needed; a name with a dot in double quotes, as "dot.ted"',
    "sql": "one query that only reads, instead of a table",
    "join": "tables whose columns stand beside the facts': `TABLE on TABLE.column = column`, or a list of such; see [joins](metrics.md#columns-of-other-tables)",
    "where": "only facts that meet this condition, in the source's SQL",
    "time": "the column that says when a fact happened, or of which day a row is",
    "stored": f"how times are stored: {', '.join(STORED_FORMS)}",
    "stored_zone": "the zone of times stored as local; not given: the book's",
    "from": "levels: since when a row holds",
    "until": "levels: until when it holds, exclusive; null is still",
    "until_inclusive": "`until` is the last day a row holds",
    "measure": "an SQL aggregate; or a formula of other metrics",
    "function": "a Python function, instead of table, sql and measure",
    "event": "the name of a usage event, instead of `table`: [events](events.md)",
    "by": "the dimensions: columns by which the metric may be split and filtered; 16 at most, with `series`",
    "series": "what tells one series from another, in daily aggregates and levels with one row a day",
    "per": "the column of an entity: the measure is taken for each, then `then` of all their values",
    "then": "with `per`: avg, median, p90, min, max, sum, count or stddev of the values of all entities",
    "daily_aggregate": "of each day and series only the value received last counts",
    "received": "the column by which the last is known; not given: `time`",
    "changed": "the column that every write sets: days whose facts [changed](late.md) are collected again, however old",
    "changed_stored": "how `changed` stores time; not given: as `stored`, where that fits its type",
    "history": "`imported`: periods before the first collected day are answered by what was [imported](history.md)",
    "carry": "for so long a series without a row is carried forward; levels with one row a day",
    "over_time": f"what a wider scope shows: {', '.join(SHOWS)}; levels: all but total",
    "unit": "shown beside the name",
    "title": "what people call it",
    "description": "what it is",
    "format": "a number format of spreadsheets",
    "decimals": "digits after the point of a column that does not declare them: its sums become exact",
    "max_series": "more series a day fail the metric",
    "renamed_from": "the name under which it was collected before",
    "snapshot_grace": "a snapshot taken so soon after midnight belongs to the day before",
    "start": "as in `[book]`, for this metric",
    "lookback": "as in `[book]`, for this metric",
    "alerts": "whether [alerts](alerts.md) watch its values and revisions",
}
GOAL = {
    "metric": "what is held against the target",
    "scope": f"in every period of which length: {', '.join(GOAL_SCOPES)}",
    "target": "one number for every period",
    "targets": "instead of `target` a number for each period, by its first day; a month also as `2026-01`, a year as `2026`",
    "where": "`dim=value`, `dim!=value`, or `dim=` for none; another dimension: and; the same one again: or",
    "show": f"how days become the period, as in a query: {', '.join(SHOWS)}; not given: the metric's own",
    "at_most": "the metric shall stay at or below the target; not given: it shall reach it",
    "title": "what people call it",
}
DELIVERY = {
    "to": "one of " + ", ".join(kind.name for kind in destination_kinds(DELIVER)),
    "path": "the file, beside `tallybook.toml` unless absolute; its folder must be there",
    "metrics": "what is asked for",
    "scope": f"one of {', '.join(calendar.SCOPES)}",
    "by": "split by these dimensions",
    "where": "`dim=value`, `dim!=value`, or `dim=` for none; another dimension: and; the same one again: or",
    "from": "the first day; not given: as far back as is collected",
    "last": "so far back instead of `from`; whole periods",
    "layout": f"{', '.join(LAYOUTS)}: a row for each metric, a column for each, or a column for each period",
    "tab": "the sheet of a workbook or Google Sheet; not given: the delivery's name",
    "totals": "totals over all series, computed anew; in a workbook on a tab of their own",
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
                'Every key there is. Spans are a number with `s`, `m`, `h`, `d` or `w`, as `"3d"`; days are `"2023-01-31"`. '
                "`${NAME}` and `${NAME:-default}` are replaced in every string, from the environment and from `.env` beside the file; "
                "`$${` is a literal `${`. A file `metrics/NAME.sql` is the `sql` of a metric, its leading `-- key = value` lines the other "
                "keys; functions in `metrics/*.py` are found by themselves.\n"
            ),
            "`tallybook check` tells every mistake at once, with the line to paste.\n",
            "## [book]\n",
            _keys(BOOK_KEYS, BOOK, BookSettings),
            "## [schedule]\n",
            "What becomes of it: [every day](schedule.md).\n",
            _keys(SCHEDULE_KEYS, SCHEDULE, ScheduleSettings),
            "## [serve]\n",
            "What becomes of it: [events](events.md).\n",
            _keys(SERVE_KEYS, SERVE, ServeSettings),
            "## [alerts]\n",
            "What becomes of it: [alerts](alerts.md).\n",
            _keys(ALERT_KEYS, ALERT, AlertSettings),
            "## [sources.NAME]\n",
            _keys(SOURCE_KEYS, SOURCE, SourceSettings),
            "Keys that only some kinds of sources have:\n",
            _options(REGISTRY.kinds()),
            "## [metrics.NAME]\n",
            _keys(METRIC_KEYS, METRIC, Metric),
            "## [goals.NAME]\n",
            "What becomes of them: [goals](goals.md).\n",
            _keys(GOAL_KEYS, GOAL, Goal),
            "## [deliveries.NAME]\n",
            "What becomes of them: [deliveries](deliveries.md).\n",
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
    errors.DONE: "done",
    errors.SOME_FAILED: "some metrics failed, the rest is stored; or the book is not well, or its disk is full",
    errors.USAGE: "usage or configuration; nothing was done",
    errors.REFUSED: "a question without a right answer was refused",
    errors.NOT_READY: "a source is not ready or not reachable, and nothing is stored; or the ledger is not reachable",
    errors.BUSY: "another run is at work on this book",
    errors.BUG: "a bug",
    130: "stopped by Ctrl-C or SIGTERM; what was stored stays",
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
                "\nMessages go to stderr; what was asked for goes to stdout. With `--format json` an error is JSON on stdout: "
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
    "Book": book.Book,
    "Cause": Cause,
    "Delivery": Delivery,
    "Destination": Destination,
    "Goal": Goal,
    "Lease": ledger.Lease,
    "Operand": Operand,
    "Period": calendar.Period,
    "Points": inspect.getmodule(column_names),
    "Query": Query,
    "Result": result.Result,
    "Revision": ledger.Revision,
    "Slot": Slot,
    "Source": Source,
    "Time form": TimeForm,
    "Version": ledger,
}
SAID = {
    "Carry": "How long a series of a level with one row a day is shown on after its last row.",
    "Coverage": "Which days of which metric, under which definition, are collected.",
    "Definition": "What the numbers of a metric mean, as a hash; numbers of two definitions are never merged.",
    "Measure": "An SQL aggregate over facts, or a formula of other metrics.",
    "Metric": "A measure, facts, a time and dimensions, with a name.",
    "Snapshot": "Of a source: one read transaction. Of a level: its present, which is all that can be seen.",
    "Day": "A calendar day of the book's zone: 23, 24 or 25 hours.",
    "Derived": "A metric whose measure is a formula of other metrics.",
    "Dimension": "What a measure is split by: a column named in `by`.",
    "Fact": "A row of a source, with a time.",
    "Flow": "Happens during a day and adds up over time: signups, revenue.",
    "Level": "Holds at the end of a day and does not add up over time: seats, recurring revenue, open tickets.",
    "Part": "One mergeable piece of a measure: a sum, a count, a least or greatest value, an id, a bucket.",
    "Run": "One attempt to collect, with a number and a report.",
    "Scope": "The period asked for: day, week, month, quarter, year, all.",
    "Series": "One combination of dimension values.",
    "Show": "How the days of a period become one number: total, average, last, first, min, max, change.",
    "Uniques": "Daily counts of distinct things, of which several days are known only between bounds.",
}


def glossary() -> str:
    """One meaning each: of what is in the code by its docstring."""
    said = {**SAID, **{word: _first_paragraph(thing) for word, thing in WORDS.items()}}
    entries = [f"**{word}**: {said[word]}\n" for word in sorted(said)]
    return "\n".join(["# Words\n", MADE, *entries])


def _first_paragraph(thing: Any) -> str:
    doc = inspect.getdoc(thing) or ""
    paragraph = doc.split("\n\n")[1 if thing is ledger else 0]
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
