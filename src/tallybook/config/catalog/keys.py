"""All keys of the file, each with its reader and an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tallybook.config.catalog.event_values import read_properties, read_weekdays, read_words_list
from tallybook.config.catalog.rule_values import (
    read_actions,
    read_holdout,
    read_link,
    read_once,
    read_whole_number,
)
from tallybook.config.catalog.serve_values import read_header, read_identity_secrets, read_networks, read_origins
from tallybook.config.catalog.sql_values import (
    read_column,
    read_columns,
    read_event,
    read_function,
    read_joins,
    read_old_name,
    read_qualified,
    read_query,
    read_received,
    read_table,
    read_then,
)
from tallybook.config.catalog.time_values import (
    read_cron,
    read_day,
    read_history,
    read_kept_days,
    read_quiet,
    read_range_day,
    read_span,
    read_time_of_day,
    read_whole_days,
    span_from,
    whole_days_from,
)
from tallybook.config.catalog.values import (
    choice_of,
    choices_of,
    names_of,
    number_from,
    read_addresses,
    read_board_series,
    read_bytes,
    read_destination,
    read_filters,
    read_flag,
    read_id,
    read_number,
    read_schema,
    read_share_or_number,
    read_store,
    read_tab,
    read_targets,
    read_text,
    read_top,
    read_views,
    read_words,
    whole_number,
)
from tallybook.config.catalog.zones import read_zone
from tallybook.core import (
    ALERT_KINDS,
    CHART_FORMS,
    EVENT_MEASURES,
    GOAL_SCOPES,
    HIGHER,
    IMPORTED,
    KINDS,
    LAYOUTS,
    LOWER,
    MESSAGE_KINDS,
    MESSAGE_SHOWS,
    MONTH_NAMES,
    NAIVE_TIMES,
    NAMED_BY,
    POLICIES,
    RULE_SUBJECTS,
    SCHEMA_MODES,
    SHOWS,
    STORED_FORMS,
    WEEK_PATTERNS,
    WEEKDAYS,
    calendar,
)


class Key(NamedTuple):
    """One key: the reader of its value (raises Wrong), an example of its right side, and the name of its field."""

    read: Callable[[Any], Any]
    example: str
    field: str = ""
    secret: bool = False
    """Messages never repeat its value."""


BOOK_KEYS = {
    "name": Key(read_text, '"Acme"'),
    "id": Key(read_id, '"acme-4f1b22"'),
    "timezone": Key(read_zone, '"Europe/Berlin"'),
    "week_starts": Key(choice_of(WEEKDAYS), '"monday"'),
    "fiscal_year_starts": Key(choice_of(MONTH_NAMES), '"february"'),
    "calendar": Key(choice_of(tuple(WEEK_PATTERNS)), '"4-4-5"'),
    "fiscal_year_named": Key(choice_of(NAMED_BY), '"start"'),
    "store": Key(read_store, '"book"'),
    "ledger": Key(read_text, '"${DATABASE_URL}"', secret=True),
    "schema": Key(read_schema, '"tallybook"'),
    "access": Key(choice_of(("owner", "group")), '"group"'),
    "start": Key(read_day, '"2023-01-01"'),
    "lookback": Key(read_whole_days, '"3d"'),
    "keep_versions": Key(read_whole_days, '"90d"'),
}
SCHEDULE_KEYS = {
    "at": Key(read_time_of_day, '"03:30"', "cron"),
    "cron": Key(read_cron, '"30 3 * * *"'),
    "jitter": Key(span_from(0, "m"), '"10m"'),
}
SERVE_KEYS = {
    "listen": Key(read_text, '"127.0.0.1:8321"'),
    "insecure": Key(read_flag, "true"),
    "durable": Key(choice_of(("disk", "ledger")), '"ledger"'),
    "workers": Key(whole_number(1, 64), "2"),
    "origins": Key(read_origins, '["https://app.acme.com"]'),
    "identities": Key(choice_of(("signed", "open")), '"open"'),
    "identity_secrets": Key(read_identity_secrets, '["${TALLYBOOK_IDENTITY_SECRET}"]', secret=True),
    "proxies": Key(read_networks, '["10.0.0.0/8"]'),
    "login_header": Key(read_header, '"X-Forwarded-User"'),
    "frames": Key(read_origins, '["https://portal.acme.com"]'),
    "local": Key(read_flag, "false"),
    "reads": Key(whole_number(1, 100_000), "100"),
    "max_rows": Key(whole_number(1, 100_000_000), "200000"),
    "audit": Key(span_from(0, "d"), '"90d"'),
    "contact": Key(read_text, '"data@acme.com"'),
    "certificate": Key(read_text, '"tls/cert.pem"'),
    "private_key": Key(read_text, '"tls/key.pem"'),
    "access_log": Key(read_flag, "false"),
    "backlog": Key(read_bytes, '"2 GB"'),
    "reserve": Key(read_bytes, '"1 GB"'),
    "downtime": Key(span_from(60, "m"), '"15m"'),
}
EVENTS_KEYS = {
    "dedup": Key(span_from(3600, "d"), '"30d"'),
    "future": Key(span_from(0, "h"), '"24h"'),
    "retry_window": Key(span_from(0, "m"), '"10m"'),
    "naive": Key(choice_of(NAIVE_TIMES), '"utc"'),
    "protocols": Key(read_words_list, '["tallybook", "segment"]'),
    "max_events": Key(whole_number(1, 100_000), "2000"),
    "keep": Key(read_kept_days, '"36 months"'),
    "max_body": Key(read_bytes, '"5 MB"'),
    "max_unpacked": Key(read_bytes, '"20 MB"'),
    "max_ratio": Key(whole_number(1, 10_000), "100"),
    "max_batch": Key(whole_number(1, 1_000_000), "10000"),
    "max_event": Key(read_bytes, '"1 MB"'),
    "max_properties": Key(whole_number(1, 10_000), "500"),
    "max_depth": Key(whole_number(1, 50), "5"),
    "max_name": Key(whole_number(1, 2_000), "2000"),
    "max_key": Key(whole_number(1, 1_024), "1024"),
    "max_text": Key(whole_number(1, 1_000_000), "10000"),
    "max_id": Key(whole_number(1, 512), "512"),
}
EVENT_KEYS = {
    "daily_aggregate": Key(read_flag, "true"),
    "series": Key(read_columns, '["account"]'),
    "expect": Key(read_weekdays, '"weekdays"'),
    "expect_keys": Key(read_words_list, '["loader-eu"]'),
    "schema": Key(choice_of(SCHEMA_MODES), '"strict"'),
    "required": Key(read_words_list, '["apiCalls"]'),
    "properties": Key(read_properties, '{ amount = "number", plan = ["free", "pro"] }'),
}
ENTITY_KEYS = {
    "source": Key(read_text, '"app"'),
    "table": Key(read_table, '"accounts"'),
    "key": Key(read_column, '"id"'),
    "account": Key(read_column, '"account_id"'),
    "attributes": Key(read_columns, '["name", "plan", "created_at"]'),
    "changed": Key(read_column, '"updated_at"'),
    "dimension": Key(names_of("dimensions", '["account_id"]'), '["account_id", "account"]'),
    "groups": Key(read_text, '"company"'),
    "history": Key(read_history, '"2y"'),
}
METRIC_ATTRIBUTE_KEYS = {
    "metric": Key(read_text, '"api_calls"'),
    "last": Key(read_span, '"7 days"'),
    "show": Key(choice_of(SHOWS), '"average"'),
    "where": Key(read_filters, '["plan=pro"]'),
}
ALERT_KEYS = {
    "to": Key(read_addresses, '["${ALERT_URL}"]', secret=True),
    "about": Key(choices_of(ALERT_KINDS), '["failed", "late", "source"]'),
    "quiet": Key(read_quiet, '"22:00-07:00"'),
    "unusual_width": Key(number_from(2, 1000), "5"),
    "unusual_history": Key(whole_days_from(28, 730), '"8w"'),
    "rejected": Key(read_share_or_number, '"1%"'),
    "heartbeat": Key(read_words, '"${HEARTBEAT_URL}"', secret=True),
}
SOURCE_KEYS = {
    "url": Key(read_text, '"${DATABASE_URL}"', secret=True),
    "statement_timeout": Key(span_from(1, "s"), '"30s"'),
    "lock_timeout": Key(span_from(1, "s"), '"5s"'),
    "fresh": Key(read_query, '"select max(created_at) from heartbeat"'),
    "max_load": Key(span_from(1, "m"), '"10m"'),
    "replica": Key(read_text, '"${REPLICA_URL}"', secret=True),
    "policies": Key(choice_of(POLICIES), '"apply"'),
}
METRIC_KEYS = {
    "kind": Key(choice_of(KINDS), '"level"'),
    "source": Key(read_text, '"app"'),
    "table": Key(read_table, '"users"'),
    "sql": Key(read_query, '"select created_at, plan from users"'),
    "join": Key(read_joins, '"accounts on accounts.id = account_id"'),
    "where": Key(read_text, "\"status = 'paid'\""),
    "time": Key(read_qualified, '"created_at"'),
    "stored": Key(choice_of(STORED_FORMS), '"local"'),
    "stored_zone": Key(read_zone, '"Europe/Berlin"'),
    "from": Key(read_qualified, '"started_at"', "from_"),
    "until": Key(read_qualified, '"cancelled_at"'),
    "until_inclusive": Key(read_flag, "true"),
    "measure": Key(read_text, '"count(*)"'),
    "function": Key(read_function, '"metrics/tickets.py:open_tickets"'),
    "event": Key(read_event, '"signup"', "table"),
    "by": Key(read_columns, '["plan"]'),
    "series": Key(read_columns, '["account_id"]'),
    "per": Key(read_qualified, '"user_id"'),
    "then": Key(read_then, '"p90"'),
    "daily_aggregate": Key(read_flag, "true"),
    "received": Key(read_received, '"received_at"'),
    "changed": Key(read_qualified, '"updated_at"'),
    "changed_stored": Key(choice_of(tuple(s for s in STORED_FORMS if s not in ("date", "yyyymmdd"))), '"utc"'),
    "history": Key(choice_of((IMPORTED,)), '"imported"'),
    "carry": Key(read_whole_days, '"3d"'),
    "over_time": Key(choice_of(SHOWS), '"last"'),
    "unit": Key(read_words, '"EUR"'),
    "unit_from": Key(read_qualified, '"currency"'),
    "minor_units": Key(read_flag, "true"),
    "title": Key(read_words, '"Revenue"'),
    "description": Key(read_words, '"What customers paid"'),
    "format": Key(read_words, '"#,##0.00"'),
    "decimals": Key(whole_number(0, 10), "2"),
    "group": Key(read_words, '"Sales"'),
    "pinned": Key(read_flag, "true"),
    "better": Key(choice_of((HIGHER, LOWER)), '"higher"'),
    "max_series": Key(whole_number(1, 1_000_000_000), "100000"),
    "renamed_from": Key(read_old_name, '"old_name"'),
    "snapshot_grace": Key(span_from(0, "h"), '"12h"'),
    "start": Key(read_day, '"2023-01-01"'),
    "lookback": Key(read_whole_days, '"3d"'),
    "alerts": Key(read_flag, "false"),
}
DELIVERY_KEYS = {
    # Keys of every destination. A destination's own keys are its options.
    "to": Key(read_destination, '"xlsx"'),
    "path": Key(read_text, '"reports/board.xlsx"'),
    "metrics": Key(names_of("metrics", '["revenue"]'), '["signups", "revenue"]'),
    "scope": Key(choice_of(calendar.SCOPES), '"week"'),
    "by": Key(names_of("dimensions", '["plan"]'), '["plan"]'),
    "where": Key(read_filters, '["plan=pro"]'),
    "from": Key(read_day, '"2023-01-01"', "from_"),
    "last": Key(read_span, '"90 days"'),
    "layout": Key(choice_of(LAYOUTS), '"columns"'),
    "tab": Key(read_tab, '"Daily"'),
    "totals": Key(read_flag, "true"),
    "fill": Key(read_flag, "true"),
}
GOAL_KEYS = {
    "metric": Key(read_text, '"signups"'),
    "scope": Key(choice_of(GOAL_SCOPES), '"month"'),
    "target": Key(read_number, "1200"),
    "targets": Key(read_targets, "{ 2026-01 = 1000, 2026-02 = 1100 }"),
    "where": Key(read_filters, '["plan=pro"]'),
    "show": Key(choice_of(SHOWS), '"average"'),
    "at_most": Key(read_flag, "true"),
    "title": Key(read_words, '"Signups a month"'),
}
BOARD_KEYS = {
    "title": Key(read_words, '"Weekly review"'),
    "views": Key(read_views, '[{ metrics = ["revenue"] }]'),
    "scope": Key(choice_of(calendar.SCOPES), '"week"'),
    "last": Key(read_span, '"17 weeks"'),
    "where": Key(read_filters, '["plan=pro"]'),
    "every": Key(span_from(10, "m"), '"5m"'),
}
VIEW_KEYS = {
    "metrics": Key(names_of("metrics", '["revenue"]'), '["revenue"]'),
    "series": Key(read_board_series, '[{ metric = "revenue" }, { metric = "signups" }]'),
    "formula": Key(read_text, '"A / B"'),
    "title": Key(read_words, '"Revenue by plan"'),
    "scope": Key(choice_of(calendar.SCOPES), '"month"'),
    "by": Key(names_of("dimensions", '["plan"]'), '["plan"]'),
    "where": Key(read_filters, '["plan=pro"]'),
    "segments": Key(names_of("segments", '["paid: plan=pro", "free: plan=free"]'), '["paid: plan=pro"]'),
    "show": Key(choice_of(SHOWS), '"average"'),
    "last": Key(read_span, '"12 months"'),
    "from": Key(read_range_day, '"2026-01-01"', "from_"),
    "to": Key(read_range_day, '"2026-06-30"'),
    "compare": Key(read_words, '"previous"'),
    "top": Key(read_top, "6"),
    "chart": Key(choice_of(CHART_FORMS), '"bar"'),
}
SERIES_KEYS = {
    "metric": Key(read_text, '"revenue"'),
    "event": Key(read_text, '"order"'),
    "measure": Key(choice_of(EVENT_MEASURES), '"sum"'),
    "property": Key(read_text, '"amount"', "of"),
    "where": Key(read_filters, '["plan=pro"]'),
    "show": Key(choice_of(SHOWS), '"average"'),
}
NOTE_KEYS = {
    "day": Key(read_day, '"2026-07-06"'),
    "text": Key(read_text, '"Pricing page redesigned"'),
    "metrics": Key(names_of("metrics", '["signups"]'), '["signups"]'),
}
RULE_KEYS = {
    "for": Key(choice_of(RULE_SUBJECTS), '"account"', "for_"),
    "when": Key(read_text, "\"plan = 'trial' and api_calls_7d < 10\""),
    "leave": Key(read_text, '"api_calls_7d > 15"'),
    "hold": Key(span_from(0, "d"), '"2d"'),
    "once": Key(read_once, '"ever"'),
    "priority": Key(read_whole_number, "10"),
    "quiet": Key(read_quiet, '"20:00-08:00"'),
    "quiet_zone": Key(read_text, '"timezone"'),
    "cool_down": Key(span_from(0, "d"), '"7d"'),
    "most_at_once": Key(whole_number(1, 1_000_000_000), "1000"),
    "backfill": Key(read_flag, "true"),
    "holdout": Key(read_holdout, '"10 %"'),
    "draft": Key(read_flag, "true"),
    "then": Key(read_actions, '{ to = "webhook", url = "${SALES_HOOK}" }', secret=True),
}
MESSAGE_KEYS = {
    "kind": Key(choice_of(MESSAGE_KINDS), '"banner"'),
    "title": Key(read_words, '"Need a hand, {name}?"'),
    "text": Key(read_words, '"You made {api_calls_7d} calls this week."'),
    "link": Key(read_link, '"https://docs.acme.com/start"'),
    "link_text": Key(read_words, '"Read how"'),
    "show": Key(choice_of(MESSAGE_SHOWS), '"until_dismissed"'),
}
