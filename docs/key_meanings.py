"""What each key of tallybook.toml means: one sentence per key, for docs/reference-toml.md."""

from __future__ import annotations

from tallybook.core import (
    ALERT_KINDS,
    CHART_FORMS,
    EVENT_MEASURES,
    GOAL_SCOPES,
    KINDS,
    LAYOUTS,
    SHOWS,
    STORED_FORMS,
    WEEK_PATTERNS,
    WEEKDAYS,
    calendar,
)
from tallybook.core.adapters.destinations import DELIVER, destination_kinds

BOOK = {
    "name": "the name of the book",
    "id": (
        "identifies the book, even if another project's book has the same name; `init` writes one; "
        "[never change it](moving.md#two-projects)"
    ),
    "timezone": "the time zone of days, weeks and months; a name of the zone database",
    "week_starts": f"the first day of a week: {', '.join(WEEKDAYS)}",
    "fiscal_year_starts": (
        "the month in which fiscal years begin; it moves the scopes quarter and year "
        "([fiscal years](time.md#fiscal-years))"
    ),
    "calendar": (
        f"fiscal years of whole weeks: {', '.join(WEEK_PATTERNS)}, the weeks in the months of each quarter; it also "
        "moves the scope month"
    ),
    "fiscal_year_named": "a fiscal year is named after the calendar year in which it ends (`end`) or begins (`start`)",
    "store": (
        'the folder of the book, relative to the file; `"ledger"` stores the points in the PostgreSQL ledger, for '
        "[hosts without a disk](postgresql.md)"
    ),
    "ledger": "the URL of a PostgreSQL database for the ledger; default: `ledger.sqlite` in the folder",
    "schema": "the schema in that database, one for each book; created by the first run",
    "access": (
        "who can read a new book or backup: owner (folders 0700, files 0600) or group (0750, 0640); existing files "
        "keep their modes"
    ),
    "start": "the first day to collect; default: the earliest fact of each metric, at most two years back",
    "lookback": "the number of last closed days that every run collects again, for rows that arrive late",
    "keep_versions": (
        "how long every version can be queried with `--as-of`; of older versions, the last one of each month is kept"
    ),
}
SCHEDULE = {
    "at": "the time of the daily run, in the book's zone",
    "cron": "instead of `at`: minute, hour, day of the month, month, weekday; in the book's zone",
    "jitter": "each run of `tallybook serve` waits a random part of this time, so that not all books start at once",
}
SERVE = {
    "listen": "where `tallybook serve` answers questions and takes usage events: `host:port`, or `unix:/path`",
    "insecure": "allow listening where other machines can reach it without TLS; keys are then sent unencrypted",
    "backlog": "maximum bytes of events that wait for compaction; above it, new events are answered 503",
    "durable": "where a request is kept before it is acknowledged: `disk` (the default with a folder for the book), or "
    "`ledger`, in PostgreSQL",
    "reserve": "minimum free bytes on the disk; below it, new events are answered 503",
    "workers": "number of processes that handle requests",
    "origins": "pages that may send events with a browser key: scheme, host and port",
    "identities": "`signed`: a page with a browser key needs a [signature](browser.md#who-the-reader-is) to name a "
    "user or an account; `open`: it needs none",
    "identity_secrets": "the secrets that sign identities; list the old and the new one during a rotation",
    "proxies": "addresses and networks whose `X-Forwarded-For`, `X-Forwarded-Proto` and login header are believed; "
    "`unix`: connections to a Unix socket may name the person",
    "login_header": "the header in which one of the `proxies` sends the name of the signed-in person",
    "frames": "origins of pages that may show shared pages in an `<iframe>`",
    "local": "`false`: reading from this machine needs a key, too",
    "reads": "requests per second that each reader may send to one worker",
    "max_rows": "answers over HTTP with more rows are refused",
    "audit": "how long the request log (who asked what) is kept; `0d`: nothing is logged",
    "contact": "whom to ask about a shared link that is no longer valid",
    "certificate": "the certificate chain for TLS, a PEM file; `private_key` too",
    "private_key": "the private key of `certificate`, a PEM file",
    "access_log": "`false`: no line on stdout for each request",
    "downtime": "maximum length of an interruption of the server; a longer one makes its day incomplete",
}
EVENTS = {
    "dedup": "time after receipt in which another event with the same id and key counts as a duplicate",
    "future": "how far the time of an event may be after its receipt",
    "naive": "what a time without a zone means: `refuse` rejects the event, `utc`, or `book` for the book's zone",
    "retry_window": "time after receipt in which an equal event with a time and without an id counts as a duplicate",
    "protocols": "the wire protocols that are accepted; default: all installed ones",
    "keep": "events are [deleted](events.md#deleting-old-events) this long after the end of their month; collected "
    "days stay. Default: events are kept forever",
    "max_events": "number of different event names; events with further names are rejected",
    "max_body": "bytes of a request as it is sent",
    "max_unpacked": "bytes of an unpacked request",
    "max_ratio": "unpacked bytes for each byte sent",
    "max_batch": "events per request",
    "max_event": "bytes of the properties of an event",
    "max_properties": "number of properties of an event",
    "max_depth": "levels of objects and lists in properties",
    "max_name": "characters of an event name",
    "max_key": "characters of a property name",
    "max_text": "characters of a text in properties",
    "max_id": "characters of an id, user or account",
}
EVENT = {
    "daily_aggregate": "an event is the value of a day, which a later event replaces; metrics of it inherit this",
    "series": "the columns that identify a daily value: a new value replaces an earlier one with equal columns; "
    "default: user, account and all texts and flags",
    "expect": "the days on which a value is expected: `daily` (the default of daily aggregates), `weekdays`, `none`, "
    "or a list of weekdays",
    "expect_keys": "keys that must each send something for a day to count as complete",
    "schema": "what happens to an event that does not match its declaration: `strict` rejects it, `warn` stores and "
    "counts it, `off` does not check it",
    "required": "properties that each event must have",
    "properties": "types of properties (integer, number, text, flag, time), or lists of allowed texts",
}
ENTITIES = {
    "source": "the source of the table; optional if there is only one",
    "table": "the table with a row for each account or user; without it, attributes are pushed or imported",
    "key": "the column with the id, which is unique",
    "account": "for users: the column with the id of the account",
    "attributes": "the columns that are attributes; they cannot be pushed",
    "changed": "a column with the time of the last change of a row, such as `updated_at`: when a value changed",
    "dimension": (
        "names of dimensions of metrics with this id; default: `account_id` and `account`, or `user_id` and `user`"
    ),
    "groups": (
        "the type of group that is an account in the protocols of [PostHog](posthog.md), "
        "[Amplitude](amplitude.md) and [Mixpanel](mixpanel.md)"
    ),
    "history": "how long changes are [kept](accounts.md#history); default: for ever",
}
METRIC_ATTRIBUTE = {
    "metric": "a metric with the id among its dimensions",
    "last": "the span of days up to the last closed one; default: all days, for a level the last one",
    "show": f"one of {', '.join(SHOWS)}; default: that of the metric",
    "where": "filters, as in `tallybook query`",
}
ALERT = {
    "to": "the recipients: URLs of webhooks, or of mail and chat in the form of [Apprise](alerts.md#where-to)",
    "about": f"the kinds of problems to send: {', '.join(ALERT_KINDS)}; default: all",
    "quiet": "quiet hours in the book's zone; problems that still exist at their end are sent then",
    "unusual_width": "the allowed distance from the usual value, as a multiple of the usual spread",
    "rejected": 'how many of a key\'s events of the last 24 hours may be rejected: a share, or a number; default: "1%"',
    "unusual_history": "the number of days with which a value is compared; from four weeks to two years",
    "heartbeat": (
        "a URL that is called after each successful run of all metrics: "
        "a [dead-man's switch](alerts.md#when-nothing-runs-at-all)"
    ),
}
SOURCE = {
    "url": "the URL of the database; `${NAME}` is replaced from the environment or `.env`",
    "statement_timeout": "maximum time of a statement; the database stops longer ones",
    "lock_timeout": "the longest wait for a lock",
    "fresh": "a query with one value: the time up to which the source is complete",
    "max_load": (
        "the longest time that a run spends on days whose facts [changed](late.md); the rest waits for the next run"
    ),
    "replica": "the URL of a replica; [audits](late.md#audit) read it instead",
    "policies": (
        "`refuse` (the default): an error where a [policy of the server](sources.md#policies-of-the-server) hides "
        "rows; `apply`: count the visible rows"
    ),
}
METRIC = {
    "kind": f"one of {', '.join(KINDS)}",
    "source": "the name of the source; optional if there is only one",
    "table": 'a table or view, with its schema where needed; a name with a dot in double quotes, as "dot.ted"',
    "sql": "one query that only reads, instead of a table",
    "join": (
        "tables with more columns for the facts: `TABLE on TABLE.column = column`, or a list of these; see "
        "[joins](metrics.md#columns-of-other-tables)"
    ),
    "where": "a condition that facts must meet, in the SQL of the source",
    "time": "the column with the time of a fact, or with the day of a row",
    "stored": f"how times are stored: {', '.join(STORED_FORMS)}",
    "stored_zone": "the zone of times stored as local; default: that of the book",
    "from": "for levels: the column with the time from which a row is valid",
    "until": "for levels: the column with the time until which a row is valid, exclusive; null: still valid",
    "until_inclusive": "`until` is the last day on which a row is valid",
    "measure": "an SQL aggregate; or a formula of other metrics",
    "function": "a Python function, instead of table, sql and measure",
    "event": "the name of a usage event, instead of `table`: [events](events.md)",
    "by": "the dimensions: columns to split and filter by; at most 16 together with `series`",
    "series": "the columns that distinguish series, in daily aggregates and levels with one row a day",
    "per": "the column of an entity: the measure is computed for each entity, then `then` over their values",
    "then": "with `per`: avg, median, p90, min, max, sum, count or stddev of the values of all entities",
    "daily_aggregate": "for each day and series, only the value received last counts",
    "received": "the column that decides which row of a day and series is the last, in daily aggregates (default: "
    "`time`) and levels with one row a day; a second column decides among rows received at the same time",
    "changed": "the column that every write sets: days whose facts [changed](late.md) are collected again, however old",
    "changed_stored": "how `changed` stores time; default: as `stored`, if that fits its type",
    "history": "`imported`: periods before the first collected day use [imported](history.md) values",
    "carry": "for levels with one row a day: how long a series without a row is carried forward",
    "over_time": f"what a wider scope shows: {', '.join(SHOWS)}; levels: all but total",
    "unit": "shown beside the name",
    "unit_from": (
        "the column with the unit of each row, such as a currency; it becomes a dimension, and values of different "
        "units are never added ([several currencies](questions.md#one-table-has-several-currencies))"
    ),
    "minor_units": (
        "amounts are in the smallest unit of their ISO 4217 currency, such as cents; merged values are divided by its "
        "size, so the definition does not change"
    ),
    "title": "a title for people",
    "description": "a description for people",
    "format": "a number format of spreadsheets",
    "group": "the heading under which pages list the metric",
    "pinned": "`true`: one of the headline numbers at the top of the overview",
    "better": "which direction is good: higher or lower; pages color a change only where this is declared",
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
    "targets": (
        "instead of `target` a number for each period, by its first day; a month also as `2026-01`, a year as `2026`"
    ),
    "where": (
        "`dim=value`, `dim!=value`, or `dim=` for none; filters on one dimension are combined with OR, on several "
        "with AND"
    ),
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
    "where": (
        "`dim=value`, `dim!=value`, or `dim=` for none; filters on one dimension are combined with OR, on several "
        "with AND"
    ),
    "from": "the first day; default: the first collected day",
    "last": "how far back, instead of `from`; whole periods",
    "layout": f"{', '.join(LAYOUTS)}: a row for each metric, a column for each, or a column for each period",
    "tab": "the sheet of a workbook or Google Sheet; default: the name of the delivery",
    "totals": "totals over all series, computed from the stored parts; in a workbook on a tab of their own",
    "fill": "a row for every series in every covered period",
}
BOARD = {
    "title": "the title of the board; default: its name",
    "views": "the questions of the board, each a table of the keys below",
    "scope": "the default period of each number, for views without a scope",
    "last": "the default range, for views with this scope and without a range of their own",
    "where": "filters for all views; a view's own filter on a dimension replaces the one here",
    "every": "how often an open board checks for new numbers",
}
VIEW = {
    "metrics": "the metrics of the view, a card for each",
    "series": "instead of `metrics`, `where` and `show`: 1 to 4 series on one card, each a table of the keys below",
    "formula": "a formula of the series, which are called A, B, C and D: `A / B`",
    "title": "the title of the view; default: the title of its first metric",
    "scope": "day, week, month, quarter, year or all",
    "by": "dimensions to split by",
    "where": "filters: those on the same dimension are combined with OR, on several with AND",
    "segments": "named conditions, each shown as a series",
    "show": f"what a period shows: {', '.join(SHOWS)}",
    "last": "how far back",
    "from": "the first day, instead of `last`",
    "to": "the last day",
    "compare": "`previous`, or a span such as `1 year`",
    "top": 'maximum number of series; the others are combined into one; `"all"` shows every series',
    "chart": f"how it is drawn: {', '.join(CHART_FORMS)}",
}
SERIES = {
    "metric": "the metric",
    "event": "a usage event, instead of a metric",
    "measure": f"for an event: {', '.join(EVENT_MEASURES)}; default: count",
    "property": "for an event: the property to measure",
    "where": "filters of the series",
    "show": f"for a metric: what a period shows: {', '.join(SHOWS)}",
}
NOTE = {
    "day": "the day on which it happened",
    "text": "what happened",
    "metrics": "the metrics whose charts show it; default: all",
}
RULE = {
    "for": "the subject: each account, each user, or the book with its metrics",
    "when": "the [condition](rules.md#conditions) for entering",
    "leave": "the condition for leaving; default: `when` is no longer true",
    "hold": "how long `when` must be true before the rule fires; time in which it is unknown does not count",
    "once": "how often it may fire for one entity: `ever`, `per month`, `per 30 days`, `every time`",
    "priority": "when several rules with a priority fire for one entity at the same time, only the highest one fires",
    "quiet": "hours of the day without actions; actions wait until they end",
    "quiet_zone": "the attribute with the time zone of the entity; default: the zone of the book",
    "cool_down": "how long the rule does not fire for an entity after any rule has fired for it",
    "most_at_once": "if more entities enter in one evaluation, they wait for `tallybook rules release`",
    "backfill": "`true`: entities that are inside when the rule is new fire once",
    "holdout": "the share of entities without actions, for comparison",
    "draft": "`true`: the rule is evaluated, but takes no action",
    "then": "one [action](rules.md#actions), or a list of actions",
}
MESSAGE = {
    "kind": "dialog, banner or slider",
    "title": "the title; `{name}` is an attribute",
    "text": "the text, likewise",
    "link": "the target of its button: https, or a path of your own site",
    "link_text": "the text of the button",
    "show": "`once`; `until_dismissed`; `always`, as long as the rule is true",
}
