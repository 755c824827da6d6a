"""What may be declared is accepted as it stands; every mistake is told at once; no secret is seen."""

from __future__ import annotations

import os
import string
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tallybook.config.catalog.assumptions import explain_assumptions
from tallybook.config.catalog.building import build
from tallybook.config.project import Project, load, mask, source_override
from tallybook.config.urls import masked_url
from tallybook.core import LEVEL, Metric
from tallybook.core.errors import DeclarationError, Problem, Problems
from tallybook.core.measure.model import Measure
from tests.kinds import kinds_of

APP = {"app": "postgres"}
FULL = """
[book]
name = "Acme"
timezone = "Europe/Berlin"
week_starts = "monday"
store = "book"                       # a folder beside this file
start = "2023-01-01"                 # first day; may be overridden per metric
lookback = "3d"                      # likewise
keep_versions = "90d"

[sources.app]
url = "${DATABASE_URL}"              # any SQLAlchemy URL; only ever read; .env is read
statement_timeout = "30s"
lock_timeout = "5s"
fresh = "select max(created_at) from heartbeat"

[metrics.signups]
source = "app"
table = "users"
time = "created_at"
stored = "local"
stored_zone = "America/New_York"
measure = "count(*)"
by = ["plan", "country"]
start = 2024-02-29
lookback = "1w"
title = "Signups"
description = ""
format = "#,##0"
max_series = 500
renamed_from = "registrations"

[metrics.revenue]
table = "invoices"
time = "paid_at"
where = "status = 'paid'"
measure = "sum(amount)"
unit = "EUR"
decimals = 2
by = ["plan"]

[metrics.latency]
sql = "select called_at, latency_ms, a.plan from api_calls c join accounts a on a.id = c.account_id"
time = "called_at"
measure = "p95(latency_ms)"
by = ["plan"]

[metrics.active_users]
table = "api_calls"
time = "called_at"
measure = "count(distinct user_id)"
over_time = "average"

[metrics.mrr]
kind = "level"
table = "subscriptions"
from = "started_at"
until = "cancelled_at"
until_inclusive = true
measure = "sum(mrr)"
by = ["plan"]
over_time = "last"

[metrics.open_tickets]
kind = "level"
table = "tickets"
where = "closed_at is null"
measure = "count(*)"
snapshot_grace = "90m"

[metrics.seats]
kind = "level"
table = "daily_seats"
time = "day"
measure = "sum(seats)"
by = ["account_id"]
series = ["account_id", "product"]
carry = "3d"

[metrics.usage]
table = "usage"
time = "day"
measure = "sum(calls)"
daily_aggregate = true
series = ["account", "kind"]
by = ["kind"]
received = "received_at"

[metrics.visitors]
kind = "uniques"
table = "daily_visitors"
time = "day"
measure = "sum(visitors)"

[metrics.lifetime_calls]
kind = "level"
table = "counters"
time = "day"
measure = "sum(calls)"
over_time = "change"

[metrics.revenue_per_user]
measure = "revenue / active_users"

[metrics.arpu]
measure = "average(mrr) / active_users"

[deliveries.board]
to = "google_sheets"
spreadsheet = "1UgxVGDt8X0YgB9JYRVQ"
metrics = ["signups", "revenue", "mrr"]

[accounts]
attributes = ["plan"]
table = "accounts"
source = "app"

[rules.quiet_trial]
for = "account"
when = "plan = 'trial'"
then = [{ to = "webhook", url = "https://hooks.example.com/t1" }]

[alerts]
to = ["https://hooks.example.com/t0ken"]
about = ["failed", "late"]
quiet = "22:00-07:00"
unusual_width = 4
unusual_history = "12w"
heartbeat = "https://hc-ping.com/0b5ecafe"
"""
EVENTS = """
[metrics.api_calls]
source = "events"
event = "dailyApiCalls"
measure = "sum(apiCalls)"
daily_aggregate = true
series = ["account", "apiType", "subscriptionName"]
by = ["apiType"]
"""
ENV = {"DATABASE_URL": "postgresql+psycopg://reader:tr0ub4dor@db.acme.example:5432/app"}
MINIMAL = '[sources.app]\nurl = "sqlite:///app.db"\n'

Loading = Callable[..., Project]


@pytest.fixture
def project(tmp_path: Path) -> Loading:
    """Loads a project made of this toml and these files; `env` is its whole environment."""

    def made(toml: str | bytes, files: dict[str, str] | None = None, env: dict[str, str] | None = None) -> Project:
        written = toml if isinstance(toml, bytes) else toml.encode()
        (tmp_path / "tallybook.toml").write_bytes(written)
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return load(tmp_path, env if env is not None else {})

    return made


def problems_of(declare: Callable[[], object]) -> list[Problem]:
    with pytest.raises(DeclarationError) as caught:
        declare()
    return list(caught.value.problems)


def told(metric: str, more: str = "", dialects: dict[str, str] | None = None) -> dict[str, Problem]:
    """The problems of one metric called x (and of what else is declared), by their paths."""
    raw = tomllib.loads(f"{MINIMAL}\n[metrics.x]\n{metric}\n{more}")
    return {p.path: p for p in problems_of(lambda: build(raw, kinds=kinds_of(dialects or APP)))}


def fine(metric: str, more: str = "", dialects: dict[str, str] | None = None) -> Metric:
    raw = tomllib.loads(f"{MINIMAL}\n[metrics.x]\n{metric}\n{more}")
    return build(raw, kinds=kinds_of(dialects or APP)).metrics["x"]


FLOW = 'table = "t"\ntime = "at"\nmeasure = "count(*)"\n'
AVERAGED = FLOW.replace("count(*)", "avg(a)")
BY_DAY = 'kind = "level"\n' + FLOW
SNAPSHOT = 'kind = "level"\ntable = "t"\nmeasure = "count(*)"\n'
INTERVAL = SNAPSHOT + 'from = "a"\n'


# --- what is accepted -----------------------------------------------------------------------------


def test_every_key_of_the_file_is_accepted_as_it_stands(project: Loading) -> None:
    catalog = project(FULL, env=ENV).catalog
    book, source = catalog.book, catalog.sources["app"]
    assert (book.name, book.timezone, book.start, book.lookback, book.keep_versions) == (
        "Acme", "Europe/Berlin", date(2023, 1, 1), 3, 90,
    )  # fmt: skip
    assert source.url == ENV["DATABASE_URL"]
    assert (source.statement_timeout, source.lock_timeout) == (30.0, 5.0)
    assert source.fresh == "select max(created_at) from heartbeat"
    assert len(catalog.metrics) == 12
    signups, mrr = catalog.metrics["signups"], catalog.metrics["mrr"]
    assert (signups.start, signups.lookback, signups.max_series) == (date(2024, 2, 29), 7, 500)
    assert (signups.stored, signups.stored_zone) == ("local", "America/New_York")
    assert (mrr.kind, mrr.from_, mrr.until, mrr.until_inclusive) == (
        LEVEL,
        "started_at",
        "cancelled_at",
        True,
    )
    assert catalog.metrics["open_tickets"].snapshot_grace == 5400.0
    assert catalog.metrics["seats"].carry == 3


def test_the_only_source_may_be_left_out(project: Loading) -> None:
    metrics = project(FULL, env=ENV).catalog.metrics
    assert {m.source for m in metrics.values() if not m.derived} == {"app"}
    assert metrics["revenue_per_user"].source is None


def test_a_metric_of_metrics_is_derived_and_knows_its_operands(project: Loading) -> None:
    catalog = project(FULL, env=ENV).catalog
    assert catalog.metrics["arpu"].derived
    assert catalog.operands("arpu") == ("mrr", "active_users")


def test_an_event_is_the_table_of_a_source_that_needs_no_declaration(project: Loading) -> None:
    found = project(FULL + EVENTS, env=ENV)
    metric = found.catalog.metrics["api_calls"]
    assert (metric.source, metric.table, metric.time, metric.received) == ("events", "dailyApiCalls", "day", "received")
    assert metric.series == ("account", "apiType", "subscriptionName")
    assert found.catalog.sources["events"].url.startswith("events:///")
    assert found.catalog.metrics["signups"].source == "app"


def test_a_book_without_metrics_is_a_book(project: Loading) -> None:
    assert project("").catalog.metrics == {}
    assert project(MINIMAL).catalog.book.timezone == "UTC"


def test_a_byte_order_mark_crlf_and_any_letters_are_welcome(project: Loading) -> None:
    toml = '[book]\nname = "Größe 株式会社"\n'.replace("\n", "\r\n")
    assert project(b"\xef\xbb\xbf" + toml.encode()).catalog.book.name == "Größe 株式会社"


# --- every mistake at once -------------------------------------------------------------------------

MISTAKES = """
[book]
timezone = "Europe/Berlinn"
week_starts = "munday"
lookback = 3
retention = "90d"

[sources.app]
url = "sqlite:///app.db"
statement_timout = "30s"

[metrics.signups]
tabel = "users"
time = "created_at"
measure = "count(*)"

[metrics.mrr]
kind = "levle"
table = "subscriptions"

[metrics.seats]
source = "ap"
kind = "level"
table = "seats"
time = "day"
measure = "sum(seats)"
by = "plan, country"
over_time = "total"

[metrics.latency]
table = "calls"
time = "at"
measure = "string_agg(name)"

[metrics.ratio]
measure = "signups / seets"

[metricks.x]
table = "t"
"""
EXPECTED = {
    # path: (seen, expected, did you mean, paste)
    "book.timezone": ('timezone = "Europe/Berlinn"', "zone", "Europe/Berlin", 'timezone = "Europe/Berlin"'),
    "book.week_starts": ('week_starts = "munday"', "tuesday", "monday", 'week_starts = "monday"'),
    "book.lookback": ("lookback = 3", "a number with s, m, h, d or w", "3d", 'lookback = "3d"'),
    "book.retention": ('retention = "90d"', "keep_versions", "", ""),
    "sources.app.statement_timout": (
        "statement_timout = …",
        "url",
        "statement_timeout",
        "statement_timeout = ",
    ),
    "metrics.signups.tabel": ('tabel = "users"', "table", "'table'", 'table = "users"'),
    "metrics.mrr.kind": ('kind = "levle"', "flow, level, uniques", "level", 'kind = "level"'),
    "metrics.seats.source": ('source = "ap"', "app", "'app'", 'source = "app"'),
    "metrics.seats.by": ('by = "plan, country"', "a list", '["plan", "country"]', 'by = ["plan", "country"]'),
    "metrics.seats.over_time": ('over_time = "total"', "average, last", "", 'over_time = "average"'),
    "metrics.latency.measure": ('measure = "string_agg(name)"', "aggregate", "", 'measure = "count(*)"'),
    "metrics.ratio.measure": ('measure = "signups / seets"', "", "'seats'", 'measure = "signups / seats"'),
    "metricks": ("[metricks]", "book, sources, metrics", "'metrics'", "[metrics.x]"),
}


def test_all_mistakes_are_told_at_once_each_with_what_was_seen_expected_meant_and_a_line_to_paste(
    project: Loading,
) -> None:
    problems = {p.path: p for p in problems_of(lambda: project(MISTAKES))}
    assert problems.keys() == EXPECTED.keys()
    for path, (seen, expected, meant, paste) in EXPECTED.items():
        problem = problems[path]
        assert problem.seen == seen
        assert expected in problem.expected
        assert meant in problem.hint
        assert bool(meant) == problem.hint.startswith("did you mean")
        assert problem.paste.startswith(paste)


def test_problems_come_in_the_order_of_the_file(project: Loading) -> None:
    paths = [p.path.split(".")[:2] for p in problems_of(lambda: project(MISTAKES))]
    tables = ["metricks", "book", "app", "signups", "mrr", "seats", "latency", "ratio"]
    ranks = [tables.index(path[0] if path[0] in tables else path[1]) for path in paths]
    assert ranks == sorted(ranks)


def test_the_error_reads_as_a_list(project: Loading) -> None:
    with pytest.raises(DeclarationError, match=r"(?s)13 problems.*book\.timezone: .*seen: .*paste: ") as caught:
        project(MISTAKES)
    assert caught.value.exit_code == 2


def test_a_mistake_is_told_once_and_not_again_by_what_follows_from_it() -> None:
    assert told('tabel = "t"\ntime = "at"\nmeasure = "count(*)"').keys() == {"metrics.x.tabel"}
    assert told('table = "t"\ntiem = "at"\nmeasure = "count(*)"').keys() == {"metrics.x.tiem"}
    assert told('table = "t"\ntime = 7\nmeasure = "count(*)"').keys() == {"metrics.x.time"}
    assert told('kind = "lvl"\ntable = "t"').keys() == {"metrics.x.kind"}
    assert told('measure = "y + 1"', '[metrics.y]\ntable = "t"\ntime = "at"\nmeasure = "sum("').keys() == {
        "metrics.y.measure"
    }


def test_words_of_other_tools_are_understood() -> None:
    assert "did you mean 'where'?" in told(FLOW + 'filter = "a = 1"')["metrics.x.filter"].hint
    assert "did you mean 'by'?" in told(FLOW + 'dimensions = ["a"]')["metrics.x.dimensions"].hint


# --- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('carry = "3d"', "carry", 3),
        ('carry = "48h"', "carry", 2),
        ('carry = "1 week"', "carry", 7),
        ('lookback = "0d"', "lookback", 0),
        ('start = "2023-01-31"', "start", date(2023, 1, 31)),
        ("start = 2023-01-31", "start", date(2023, 1, 31)),
        ("decimals = 0", "decimals", 0),
        ('unit = ""', "unit", ""),
    ],
)
def test_values_are_read(line: str, field: str, value: object) -> None:
    assert getattr(fine(BY_DAY + line), field) == value


@pytest.mark.parametrize(
    ("line", "paste"),
    [
        ('carry = "36h"', 'carry = "2d"'),
        ("carry = 3", 'carry = "3d"'),
        ('carry = "3 dayz"', 'carry = "3d"'),
        ('carry = "99999999d"', 'carry = "3d"'),
        ('start = "2023-02-30"', 'start = "2023-02-28"'),
        ("start = 2023-01-31T10:00:00", 'start = "2023-01-31"'),
        ('start = "31.01.2023"', 'start = "2023-01-31"'),
        ('start = "0203-01-01"', 'start = "2023-01-01"'),
        ("decimals = 11", "decimals = 2"),
        ('decimals = "2"', "decimals = 2"),
        ("decimals = true", "decimals = 2"),
        ("max_series = 0", "max_series = 100000"),
        ('daily_aggregate = "yes"', "daily_aggregate = true"),
        ("unit = 7", 'unit = "7"'),
        ('where = ""', "where = \"status = 'paid'\""),
        ('stored = "UTC"', 'stored = "utc"'),
        ('by = ["a", 3]', 'by = ["plan"]'),
        ('by = ["a", "A"]', 'by = ["a"]'),
        ('by = ["lower(a)"]', 'by = ["plan"]'),
        ('received = "t.at"', 'received = "at"'),
        ('source = "apps"', 'source = "app"'),
        ('function = "tickets.py"', 'function = "metrics/tickets.py:open_tickets"'),
        ('renamed_from = "old name"', 'renamed_from = "old_name"'),
    ],
)
def test_a_value_that_cannot_be_comes_with_one_that_can(line: str, paste: str) -> None:
    key = line.partition(" ")[0]
    assert told(BY_DAY + line)[f"metrics.x.{key}"].paste == paste


@pytest.mark.parametrize(
    "zone", ["Berlin", "europe/berlin", "Europe/Berlín", "Europe", "localtime", "right/UTC", "../x"]
)
def test_a_zone_is_one_that_every_machine_knows(zone: str) -> None:
    [problem] = problems_of(lambda: build({"book": {"timezone": zone}}, kinds={}))
    assert problem.path == "book.timezone"
    if "erl" in zone.lower():
        assert problem.paste == 'timezone = "Europe/Berlin"'


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "1st", "größe", "a-b", "", "x.y"])
def test_a_metric_has_a_plain_name(name: str) -> None:
    raw = {"metrics": {name: tomllib.loads(FLOW)}, "sources": {"app": {"url": "sqlite:///a"}}}
    [problem] = problems_of(lambda: build(raw, kinds=kinds_of(APP)))
    assert "is not a valid name" in problem.message
    proper = problem.paste.removeprefix("[metrics.").removesuffix("]")
    assert set(proper) <= set(string.ascii_letters + string.digits + "_")


@pytest.mark.parametrize("name", ["period", "complete", "total", "Notes", "days"])
def test_the_words_of_an_answer_are_no_names(name: str) -> None:
    assert "metrics." + name in told(FLOW, f"[metrics.{name}]\n{FLOW}")
    assert "a reserved name" in told(FLOW + f'by = ["{name}"]')["metrics.x.by"].message


def test_names_that_differ_only_in_case_could_be_mixed_up() -> None:
    assert "only by case" in told(FLOW, f"[metrics.X]\n{FLOW}")["metrics.X"].message


def test_a_dimension_is_not_called_like_a_metric() -> None:
    problem = told(FLOW + 'by = ["Plan"]', f"[metrics.plan]\n{FLOW}")["metrics.x.by"]
    assert problem.message == "'Plan' has the same name as the metric 'plan'"


def test_a_dimension_is_spelled_one_way() -> None:
    assert "is written 'Plan' in by" in told(BY_DAY + 'by = ["Plan"]\nseries = ["plan"]')["metrics.x.series"].message


def test_at_most_sixteen_dimensions_are_stored() -> None:
    by, series = [f"a{i}" for i in range(10)], [f"b{i}" for i in range(7)]
    assert len(fine(BY_DAY + f"by = {by}\nseries = {series[:6]}").dims) == 16
    assert "at most 16" in told(BY_DAY + f"by = {by}\nseries = {series}")["metrics.x.by"].expected


def test_an_old_name_is_free_and_claimed_once() -> None:
    assert (
        "still declared" in told(FLOW + 'renamed_from = "y"', f"[metrics.y]\n{FLOW}")["metrics.x.renamed_from"].message
    )
    twice = told(FLOW + 'renamed_from = "old"', f'[metrics.y]\n{FLOW}renamed_from = "old"')
    assert twice["metrics.y.renamed_from"].message == "'x' already has renamed_from = 'old'"


# --- what does not stand together -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "key", "word"),
    [
        (FLOW + 'sql = "select at from t"', "sql", "both"),
        ('table = "t"\nmeasure = "count(*)"', "time", "time of its facts"),
        ('table = "t"\ntime = "at"', "measure", "needs a measure"),
        ('table = "t"\nmeasure = "count(*)"\nfrom = "a"', "from", "only for levels"),
        (FLOW + 'until = "b"', "until", "only for levels"),
        (BY_DAY + 'from = "a"', "from", "not both"),
        (SNAPSHOT + 'until = "b"', "until", "needs from"),
        (INTERVAL + "until_inclusive = true", "until_inclusive", "needs until"),
        (FLOW + 'carry = "3d"', "carry", "one row a day"),
        (INTERVAL + 'carry = "3d"', "carry", "one row a day"),
        (SNAPSHOT + 'carry = "3d"', "carry", "one row a day"),
        (BY_DAY + 'snapshot_grace = "1h"', "snapshot_grace", "snapshots"),
        (FLOW + 'snapshot_grace = "1h"', "snapshot_grace", "snapshots"),
        (FLOW + 'series = ["a"]', "series", "daily_aggregate"),
        (INTERVAL + 'series = ["a"]', "series", "one row a day"),
        (FLOW + "daily_aggregate = true", "series", "needs series"),
        (FLOW + 'daily_aggregate = true\nseries = ["a"]\nby = ["b"]', "series", "every column of by"),
        (BY_DAY + 'daily_aggregate = true\nseries = ["a"]', "daily_aggregate", "for flows"),
        (FLOW + 'received = "r"', "received", "daily_aggregate"),
        (SNAPSHOT + 'changed = "b"', "changed", "not for snapshots"),
        (FLOW + 'changed = "at"', "changed", "time of the fact"),
        (INTERVAL + 'changed = "a"', "changed", "time of the fact"),
        (
            'sql = "select at, b from t where at < {{to}}"\ntime = "at"\nmeasure = "count(*)"\nchanged = "b"',
            "changed",
            "does not support",
        ),
        ('function = "m.py:f"\nchanged = "b"', "changed", "has no changed"),
        (SNAPSHOT + 'stored = "utc"', "stored", "needs time or from"),
        (FLOW + 'stored_zone = "Europe/Berlin"', "stored_zone", "local"),
        (FLOW + 'stored = "utc"\nstored_zone = "Europe/Berlin"', "stored_zone", "local"),
        ('kind = "uniques"\ntable = "t"\nmeasure = "sum(n)"', "time", "column of their day"),
        ('kind = "uniques"\ntable = "t"\ntime = "d"', "measure", "needs a measure"),
        (BY_DAY + 'over_time = "total"', "over_time", "once a day"),
        (FLOW + 'over_time = "change"', "over_time", "for levels"),
        (AVERAGED + 'over_time = "average"', "over_time", "counts, sums and distinct counts"),
        ('function = "m.py:f"\nmeasure = "count(*)"', "measure", "has no measure"),
        ('function = "m.py:f"\ntime = "at"', "time", "has no time"),
        (FLOW + 'function = "m.py:f"', "function", "both given"),
        ('measure = "count(*)"', "table", "needs facts"),
        ('measure = "min(amount)"\ntime = "at"', "table", "needs facts"),
        ('title = "X"', "table", "needs facts"),
        ('table = "select * from t"\ntime = "at"\nmeasure = "count(*)"', "table", "is a query"),
    ],
)
def test_what_does_not_stand_together_is_refused(metric: str, key: str, word: str) -> None:
    problems = told(metric)
    assert problems.keys() == {f"metrics.x.{key}"}
    assert word in problems[f"metrics.x.{key}"].message


@pytest.mark.parametrize(
    "metric",
    [
        FLOW + 'over_time = "average"',
        AVERAGED + 'over_time = "max"',
        BY_DAY + 'series = ["a"]\ncarry = "2d"\nover_time = "change"',
        INTERVAL + 'until = "b"\nuntil_inclusive = true\nstored = "date"',
        FLOW + 'stored = "local"',
        FLOW + 'changed = "updated_at"',
        INTERVAL + 'changed = "updated_at"',
        BY_DAY + 'changed = "updated_at"',
        FLOW + 'daily_aggregate = true\nseries = ["b", "a"]\nby = ["b"]\nreceived = "r"',
        'function = "m.py:f"\nkind = "level"\nby = ["a"]\nover_time = "average"',
        'table = "shop.orders"\ntime = "at"\nmeasure = "sum(case when ok then price end) / count(*)"',
    ],
)
def test_what_stands_together_is_accepted(metric: str) -> None:
    assert fine(metric).name == "x"


def test_several_sources_need_to_be_told_apart() -> None:
    problem = told(FLOW, '[sources.crm]\nurl = "sqlite:///crm.db"')["metrics.x.source"]
    assert (problem.expected, problem.paste) == ("app, crm", 'source = "app"')


def test_facts_need_a_source_and_functions_do_not() -> None:
    flow, function = tomllib.loads(FLOW), {"function": "m.py:f"}
    [problem] = problems_of(lambda: build({"metrics": {"x": flow, "y": flow}}, kinds={}))
    assert (problem.path, problem.paste) == ("sources", '[sources.app]\nurl = "${DATABASE_URL}"')
    assert build({"metrics": {"x": function}}, kinds={}).metrics["x"].source is None


def test_events_is_not_the_name_of_a_source() -> None:
    [problem] = problems_of(lambda: build({"sources": {"events": {"url": "sqlite:///a"}}}, kinds={}))
    assert "reserved" in problem.message


# --- metrics of metrics ----------------------------------------------------------------------------

OTHERS = f"""
[metrics.revenue]
{FLOW.replace("count(*)", "sum(amount)")}
[metrics.latency]
{FLOW.replace("count(*)", "p95(ms)")}
[metrics.mrr]
{BY_DAY}
[metrics.ratio]
measure = "revenue / mrr"
"""


@pytest.mark.parametrize(
    ("measure", "message", "expected"),
    [
        ("total(mrr)", "once a day", "average(mrr) or last(mrr)"),
        ("average(latency)", "counts, sums and distinct counts", "total(latency)"),
        ("change(revenue)", "for levels", "total(revenue)"),
        ("average(ratio)", "its own show", "ratio"),
        ("revenu / mrr", "there is no metric 'revenu'", "a measure of columns needs table or sql"),
        ("revenue || mrr", "", "a formula of other metrics"),
    ],
)
def test_a_formula_of_metrics_that_means_nothing_is_refused(measure: str, message: str, expected: str) -> None:
    problem = told(f'measure = "{measure}"', OTHERS)["metrics.x.measure"]
    assert message in problem.message
    assert expected in problem.expected


@pytest.mark.parametrize(
    "measure", ["average(mrr) / revenue", "average(revenue) + max(latency)", "ratio * 100", "change(mrr)"]
)
def test_a_formula_of_metrics_that_means_something_is_accepted(measure: str) -> None:
    assert fine(f'measure = "{measure}"', OTHERS).derived


def test_dimensions_of_a_formula_come_from_its_metrics() -> None:
    problem = told('measure = "revenue / mrr"\nby = ["plan"]', OTHERS)["metrics.x.by"]
    assert "dimensions that all of its metrics have" in problem.message


@pytest.mark.parametrize(
    ("others", "circle"),
    [
        ({"x": "x + 1"}, "x → x"),
        ({"x": "a / 2", "a": "b", "b": "x"}, "x → a → b → x"),
        ({"x": "a", "a": "b", "b": "a"}, "a → b → a"),
    ],
)
def test_a_circle_is_printed(others: dict[str, str], circle: str) -> None:
    raw = {"metrics": {name: {"measure": measure} for name, measure in others.items()}}
    [problem] = problems_of(lambda: build(raw, kinds={}))
    assert circle in problem.message


# --- sql -------------------------------------------------------------------------------------------


def sql_problem(sql: str, dialect: str = "postgres", more: str = 'time = "at"') -> Problem | None:
    raw = tomllib.loads(f'{MINIMAL}\n[metrics.x]\nmeasure = "count(*)"\n{more}')
    raw["metrics"]["x"]["sql"] = sql
    try:
        build(raw, kinds=kinds_of({"app": dialect}))
    except DeclarationError as error:
        [problem] = error.problems
        return problem
    return None


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select at from t limit 10", "LIMIT"),
        ("select at from t order by at fetch first 3 rows only", "LIMIT"),
        ("(select at from t limit 3)", "LIMIT"),
        ("select at from t union all select at from u limit 3", "LIMIT"),
        ("select at from t where at >= {{from}} limit 3", "LIMIT"),
        ("select at, lag(a) over (order by at) from t", "window"),
        ("select at from (select at, row_number() over (partition by u) n from t) x", "window"),
        ("select 1; select 2", "has a ;"),
        ("select at from t; -- and so on", "has a ;"),
        ("delete from t", "begins with DELETE"),
        ("/* x */ update t set a = 1", "begins with UPDATE"),
        ("pragma table_info(t)", "begins with PRAGMA"),
        ("with gone as (delete from t returning *) select * from gone", "writes or locks"),
        ("select * into copy from t", "writes or locks"),
        ("select at from t for update", "writes or locks"),
        ("select at from t where at > {{form}}", "{{form}}"),
        (";", "is empty"),
    ],
)
def test_sql_that_would_give_wrong_numbers_or_write_is_refused(sql: str, word: str) -> None:
    problem = sql_problem(sql)
    assert problem is not None
    assert problem.path == "metrics.x.sql"
    assert word in problem.message


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("postgres", "select at from t;  "),
        ("postgres", "-- a comment\nwith a as (select * from t limit 5) select * from a"),
        ("postgres", "select at from t where id in (select id from u order by x limit 3)"),
        ("postgres", "select at, lag(a) over (order by at) from t where at >= {{from}} and at < {{ to }}"),
        ("postgres", "select at from t where at between {{from}} and {{to}} limit 1000000"),
        ("postgres", "select at from t cross join lateral magic !! we do not know"),
        ("postgres", "(select at from t) union all (select at from u)"),
        ("mysql", "select `at` from `t` where note = 'a; b (' and at <=> null"),
        ("sqlite", 'select at, "limit" from t'),
        ("duckdb", "from t select at"),
        ("duckdb", "select columns('a.*'), at from t"),
    ],
)
def test_sql_that_could_be_right_is_left_to_its_database(dialect: str, sql: str) -> None:
    assert sql_problem(sql, dialect) is None


def test_a_comment_at_the_end_of_sql_ends_with_its_line() -> None:
    assert fine('sql = "select at from t -- all"\ntime = "at"\nmeasure = "count(*)"').sql == (
        "select at from t -- all\n"
    )


def test_windows_are_welcome_where_no_single_days_are_read() -> None:
    history = "select started_at as s, lead(started_at) over (partition by account) as e from history"
    assert sql_problem(history, more='kind = "level"\nfrom = "s"\nuntil = "e"') is None
    problem = sql_problem("select a from t where b < {{to}}", more='kind = "level"')
    assert problem is not None
    assert "there are no bounds" in problem.message


def test_a_column_that_the_sql_does_not_give_is_told() -> None:
    sql = 'sql = "select t.created_at, lower(plan) as plan, Size from t"\nmeasure = "sum(hidden)"\n'
    problems = told(sql + 'time = "created"\nby = ["PLAN", "size", "country"]')
    assert problems["metrics.x.time"].paste == 'time = "created_at"'
    assert problems["metrics.x.by"].message == "the sql returns no column 'country'"
    assert fine(sql.replace("Size from", "t.* from") + 'time = "anything"').time == "anything"


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ("a = 1) or (1 = 1", None),
        ("a = 1)", "bracket"),
        ("(a = 1", "bracket"),
        (") or (", "bracket"),
        ("a = 1; drop table t", ";"),
        ("a = 'it''s", "quote"),
        ("where a = 1", "begins with where"),
        ("a = 1 -- of them", "comment"),
        ("/* all */ a = 1", "comment"),
        ("at > {{from}}", "{{from}}"),
        ("a = ';) -- #' and b = '('", None),
        ("a @> array['x'] and b ~* '^z'", None),
        ("a = null", "has = null, which is never true"),
        ("b = 1 or a  !=NULL", "never true"),
        ("a not in (1, null)", "never equal"),
        ("a in (null)", "never equal"),
        ("a = nullif(b, 0) and c is not null and d = ' = null' and e <= 2", None),
        ("a in (select null_if from t) and b in (1, nullable, x.null_at)", None),
    ],
)
def test_where_stays_within_its_brackets(where: str, word: str | None) -> None:
    if where == "a = 1) or (1 = 1":
        word = "bracket"
    metric = f'{FLOW}where = "{where}"'
    if word is None:
        assert fine(metric).where == where
    else:
        assert word in told(metric)["metrics.x.where"].message


def test_a_condition_that_is_never_true_shows_the_line_to_paste() -> None:
    metric = f"{FLOW}where = \"plan = 'a' and deleted_at = null\""
    assert told(metric)["metrics.x.where"].paste == "where = \"plan = 'a' and deleted_at is null\""
    metric = 'table = "t"\ntime = "at"\nmeasure = "count(*) filter (where deleted_at <> null)"'
    assert "<> null, which is never true; expected is not null" in told(metric)["metrics.x.measure"].message


def test_a_statement_for_freshness_only_reads() -> None:
    source = {"url": "sqlite:///a", "fresh": "delete from t"}
    [problem] = problems_of(lambda: build({"sources": {"app": source}}, kinds=kinds_of(APP)))
    assert (problem.path, problem.message) == ("sources.app.fresh", "fresh begins with DELETE")


def test_measures_are_read_in_the_dialect_of_their_source() -> None:
    metric = 'table = "t"\ntime = "at"\nmeasure = "sum(`order total`)"'
    assert fine(metric, dialects={"app": "mysql"}).parsed is not None


# --- variables and .env -----------------------------------------------------------------------------


def test_variables_are_expanded_anywhere_in_a_string(project: Loading) -> None:
    toml = (
        '[book]\nname = "${NAME} of $${NAME}"\ntimezone = "${ZONE:-Europe/Paris}"\n'
        '[sources.app]\nurl = "mysql://${DB_USER}:${DB_PASS}@${DB_HOST:-localhost}/app"\n'
        f'[metrics.x]\n{FLOW}by = ["${{DIM}}"]\nwhere = "tenant = \'${{TENANT}}\'"'
    )
    env = {"NAME": "Acme", "DB_USER": "u", "DB_PASS": "p", "DIM": "plan", "TENANT": "t1", "ZONE": ""}
    catalog = project(toml, env=env).catalog
    assert catalog.book.name == "Acme of ${NAME}"
    assert catalog.book.timezone == "Europe/Paris"
    assert catalog.sources["app"].url == "mysql://u:p@localhost/app"
    assert (catalog.metrics["x"].by, catalog.metrics["x"].where) == (("plan",), "tenant = 't1'")


def test_a_missing_variable_is_told_with_how_to_set_it_and_nothing_follows_from_it(project: Loading) -> None:
    toml = f'[book]\ntimezone = "${{ZONE}}"\n[sources.app]\nurl = "${{DATABASE_URI}}"\n[metrics.x]\n{FLOW}'
    problems = {p.path: p for p in problems_of(lambda: project(toml, env={"DATABASE_URL": "x"}))}
    assert problems.keys() == {"book.timezone", "sources.app.url"}
    problem = problems["sources.app.url"]
    assert problem.paste == 'url = "${DATABASE_URL}"'
    assert problem.hint == "did you mean DATABASE_URL?"
    assert ".env" in problem.expected


def test_a_broken_reference_is_told(project: Loading) -> None:
    for broken in ("${A B}", "${UNCLOSED", "${}"):
        [problem] = problems_of(lambda broken=broken: project(f'[book]\nname = "{broken}"'))
        assert problem.path == "book.name"
        assert "${NAME:-default}" in problem.expected


def test_dotenv_is_read_and_the_environment_wins(project: Loading) -> None:
    dotenv = (
        "\ufeff# a comment\n\nexport A=plain # and a comment\r\n"
        'B=\'single $x \\n #\'\nC="double \\"q\\" \\n#"  # more\n'
        '  D = a#b \nE=\nF="two\nlines"\nG=from file\n'
    )
    toml = "[book]\nname = '''" + "|".join(f"${{{n}}}" for n in "ABCDEFG") + "'''"
    book = project(toml, {".env": dotenv}, env={"G": "from env"}).catalog.book
    assert book.name == 'plain|single $x \\n #|double "q" \n#|a#b||two\nlines|from env'


def test_a_line_of_dotenv_that_cannot_be_read_is_not_repeated(project: Loading) -> None:
    [problem] = problems_of(lambda: project("", {".env": "A=1\npassword hunter2\nB='open\n"}))[:1]
    assert problem.path == ".env:2"
    assert "hunter2" not in str(problem)


# --- files ------------------------------------------------------------------------------------------


def test_without_a_project_it_says_where_it_looked_and_what_to_paste(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path, {})
    assert str(tmp_path) in caught.value.message
    small = caught.value.hint.split("\n\n", 1)[1]
    (tmp_path / "tallybook.toml").write_text(small)
    assert list(load(tmp_path, {}).catalog.metrics) == ["signups"]
    (tmp_path / "below").mkdir()
    with pytest.raises(DeclarationError, match=f"--project {tmp_path}\n"):
        load(tmp_path / "below", {})
    with pytest.raises(DeclarationError, match="there is no folder"):
        load(tmp_path / "nowhere", {})


@pytest.mark.parametrize(
    ("toml", "path", "seen"),
    [
        ("[book]\nname = Acme\n[x]", "tallybook.toml:2", "name = Acme"),
        ('[book]\nname = "a"\nname = "b"', "tallybook.toml:3", 'name = "b"'),
        ('[sources.app]\nurl = "postgres://u:hunter2hunter2@h/d', "tallybook.toml:2", "postgres://u:***@h/d"),
        (b'[book]\nname = "\xff"', "tallybook.toml:2", ""),
        ("a = " + "[" * 5000, "tallybook.toml:1", "a = [[["),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(project: Loading, toml: str, path: str, seen: str) -> None:
    [problem] = problems_of(lambda: project(toml))
    assert problem.path == path
    assert seen in problem.seen
    assert "hunter2" not in str(problem)


SQL_FILE = """\
-- What customers paid, by day.
-- kind = "flow"
-- time = "paid_at"
-- measure = "sum(amount)"
-- by = [
--   "plan",   # what they chose
--   "country",
-- ]

-- unit = "EUR"
select paid_at, amount, plan, country
from invoices -- all of them
where tenant = '${TENANT}';
"""


def test_a_sql_file_is_a_metric_with_toml_in_its_first_lines(project: Loading) -> None:
    metric = project(MINIMAL, {"metrics/revenue.sql": SQL_FILE}, {"TENANT": "t1"}).catalog.metrics["revenue"]
    assert (metric.time, metric.by, metric.unit) == ("paid_at", ("plan", "country"), "EUR")
    assert metric.sql == ("select paid_at, amount, plan, country\nfrom invoices -- all of them\nwhere tenant = 't1'")


def test_problems_in_a_file_name_it_and_paste_into_it(project: Loading) -> None:
    files = {
        "metrics/a.sql": SQL_FILE.replace("time", "tiem"),
        "metrics/b.sql": "-- measure = count(*)\n-- time = 'at'\n-- time = 'on'\n-- table = 't'\nselect 1",
        "metrics/c.sql": '-- time = "at"\n-- measure = "count(*)"\n',
    }
    problems = {p.path: p for p in problems_of(lambda: project(MINIMAL, files, {"TENANT": "t"}))}
    assert problems["metrics.a.tiem (metrics/a.sql)"].paste == '-- time = "paid_at"'
    assert problems["metrics/b.sql:1"].seen == "-- measure = count(*)"
    assert problems["metrics/b.sql:3"].message == "given twice"
    assert "it has no key table" in problems["metrics/b.sql: table"].message
    assert problems["metrics.c.sql (metrics/c.sql)"].message == "sql is empty"


def test_a_sql_file_that_is_no_text_is_told(project: Loading, tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "x.sql").write_bytes(b"select 1\nfrom \xff")
    [problem] = problems_of(lambda: project(MINIMAL))
    assert (problem.path, problem.message) == ("metrics/x.sql:2", "is not UTF-8")


def test_a_metric_is_declared_in_one_place(project: Loading) -> None:
    files = {"metrics/x.sql": SQL_FILE, "metrics/more.py": PYTHON.replace("open_tickets", "x")}
    problems = problems_of(lambda: project(f"{MINIMAL}[metrics.x]\n{FLOW}", files, {"TENANT": "t"}))
    assert [p.seen for p in problems] == [
        "in tallybook.toml and in metrics/more.py",
        "in tallybook.toml and in metrics/x.sql",
    ]


PYTHON = '''
import tallybook

@tallybook.metric(kind="level", by=("priority",), unit="tickets")
def open_tickets(day, db):
    """How many are open."""
    return 7
'''


def test_a_python_file_declares_metrics_and_is_imported_when_called(project: Loading) -> None:
    loaded = project(MINIMAL, {"metrics/tickets.py": PYTHON})
    metric = loaded.catalog.metrics["open_tickets"]
    assert (metric.kind, metric.by, metric.unit, metric.source) == ("level", ("priority",), "tickets", "app")
    assert metric.function == "metrics/tickets.py:open_tickets"
    assert loaded.function(metric)(None, None) == 7


def test_the_hash_of_a_function_is_of_what_it_does(project: Loading) -> None:
    def hash_of(text: str) -> str | None:
        return project(MINIMAL, {"metrics/tickets.py": text}).catalog.metrics["open_tickets"].function_hash

    first = hash_of(PYTHON)
    assert first == hash_of(PYTHON.replace('unit="tickets"', 'unit="pieces"'))
    assert first != hash_of(PYTHON.replace("return 7", "return 8"))


def test_the_toml_may_name_a_function_of_a_file_or_a_module(project: Loading, tmp_path: Path) -> None:
    toml = MINIMAL + (
        f'[metrics.a]\nfunction = "jobs/count.py:tickets"\n[metrics.b]\nfunction = "jobs_{os.getpid()}.deep:tickets"\n'
    )
    body = "def tickets(day, db, unused=None):\n    return 1\n"
    files = {"jobs/count.py": body, f"jobs_{os.getpid()}/deep.py": body.replace("1", "2")}
    loaded = project(toml, files)
    assert [loaded.function(m)(0, 0) for m in loaded.catalog.metrics.values()] == [1, 2]
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("function", "text", "word"),
    [
        ("m.py:tickets", None, "there is no file m.py"),
        ("m.py:tikets", "def tickets(day, db): ...", "there is no function 'tikets'"),
        ("m.py:tickets", "tickets = 7", "there is no function"),
        ("m.py:tickets", "def tickets(day): ...", "has other arguments"),
        ("m.py:tickets", "async def tickets(day, db): ...", "asynchronous"),
        ("m.py:tickets", "import not_there_at_all", "m.py:1 cannot be imported: ModuleNotFoundError"),
        ("m.py:tickets", "\n\n1 / 0", "m.py:3 cannot be imported: ZeroDivisionError"),
        ("m.py:tickets", "def (", "m.py:1 cannot be imported: SyntaxError"),
        ("m.py:tickets", "raise SystemExit(3)", "cannot be imported: it called sys.exit(3)"),
        ("no.such:f", None, "there is no module 'no.such'"),
        ("broken_module:f", None, "broken_module cannot be imported: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_python_that_cannot_be_used_is_told_with_its_line(
    project: Loading, function: str, text: str | None, word: str
) -> None:
    toml = f'{MINIMAL}[metrics.x]\nfunction = "{function}"'
    files = {"broken_module.py": "import not_there_at_all"} | ({"m.py": text} if text else {})
    [problem] = problems_of(lambda: project(toml, files))
    assert problem.path == "metrics.x.function"
    assert word in problem.message


def test_a_file_of_metrics_that_fails_names_its_line(project: Loading) -> None:
    [problem] = problems_of(lambda: project(MINIMAL, {"metrics/bad.py": "x = 1\nboom()\n"}))
    assert problem.path == "metrics/bad.py"
    assert "metrics/bad.py:2 cannot be imported: NameError" in problem.message


# --- sources ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("sqlite:///app.db", "sqlite:///{folder}/app.db"),
        ("sqlite+pysqlite:///data/app.db?timeout=5", "sqlite+pysqlite:///{folder}/data/app.db?timeout=5"),
        ("sqlite:///file:app.db?mode=ro&uri=true", "sqlite:///file:{folder}/app.db?mode=ro&uri=true"),
        ("duckdb:///x.duckdb", "duckdb:///{folder}/x.duckdb"),
        ("sqlite:////var/app.db", "sqlite:////var/app.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///C:/app.db", "sqlite:///C:/app.db"),
        ("postgresql://h/app.db", "postgresql://h/app.db"),
    ],
)
def test_files_are_relative_to_the_project(project: Loading, tmp_path: Path, written: str, resolved: str) -> None:
    loaded = project(f'[sources.app]\nurl = "{written}"')
    assert loaded.catalog.sources["app"].url == resolved.replace("{folder}", str(tmp_path))


@pytest.mark.parametrize(
    ("url", "message", "paste"),
    [
        ("app.db", "is not the URL", 'url = "sqlite:///app.db"'),
        ("sqlite:app.db", "is not the URL", 'url = "sqlite:///app.db"'),
        ("sqlite://app.db", "three slashes", 'url = "sqlite:///app.db"'),
        ("postgress://me:hunter2hunter2@h/d", "'postgress'", 'url = "postgresql://me:***@h/d"'),
        ("teradata://h/d", "'teradata'", ""),
    ],
)
def test_a_url_that_cannot_be_read_is_told(project: Loading, url: str, message: str, paste: str) -> None:
    [problem] = problems_of(lambda: project(f'[sources.app]\nurl = "{url}"'))
    assert problem.path == "sources.app.url"
    assert message in problem.message
    assert problem.paste == paste


def test_a_source_without_a_url_is_told(project: Loading) -> None:
    [problem] = problems_of(lambda: project("[sources.app]"))
    assert (problem.path, problem.paste) == ("sources.app.url", 'url = "${DATABASE_URL}"')


def test_another_database_can_stand_in_for_a_source(project: Loading, monkeypatch: Any, tmp_path: Path) -> None:
    loaded = project(MINIMAL + f"[metrics.x]\n{FLOW}")
    monkeypatch.chdir(tmp_path.parent)
    copy = source_override(loaded, {"app": "sqlite:///copy.db"})
    assert copy.catalog.sources["app"].url == f"sqlite:///{tmp_path.parent}/copy.db"
    assert loaded.catalog.sources["app"].url == f"sqlite:///{tmp_path}/app.db"
    assert copy.catalog.metrics == loaded.catalog.metrics


def test_a_stand_in_is_of_the_same_kind_and_for_a_declared_source(project: Loading) -> None:
    loaded = project(MINIMAL)
    urls = {"ap": "sqlite:///x", "app": "postgresql://me:hunter2hunter2@h/d"}
    unknown, other = problems_of(lambda: source_override(loaded, urls))
    assert unknown.hint == "did you mean 'app'?"
    assert "same kind" in other.message
    assert "hunter2" not in str(other)


# --- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:s3cr3t@h:5432/db", "postgresql+psycopg://me:***@h:5432/db"),
        ("postgresql://me:a@b:c/d@h/db", "postgresql://me:***@h/db"),
        ("mysql://h/db?user=me&password=s3cr3t&charset=utf8", "mysql://h/db?user=me&password=***&charset=utf8"),
        (
            "postgresql://h/db?sslkey=/k.pem&TOKEN=x&sslmode=require",
            "postgresql://h/db?sslkey=***&TOKEN=***&sslmode=require",
        ),
        ("sqlite:///app.db", "sqlite:///app.db"),
        ("postgresql://me@h/db", "postgresql://me@h/db"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_every_secret_of_a_project_is_masked_in_any_text(project: Loading) -> None:
    toml = (
        '[sources.app]\nurl = "postgresql://${DB_USER}:${DB_PASS}@${DB_HOST}/app?application_name=tb"\n'
        '[sources.crm]\nurl = "${CRM_URL}"\n'
        '[sources.old]\nurl = "mysql://root:l1teral-pw@h/old?ssl_key=/keys/me.pem"\n'
    )
    crm = "mysql://crm:cr%40m-secret@crm.example/crm"
    env = {"DB_USER": "reader", "DB_PASS": "p@ss w%rd!", "DB_HOST": "db.example", "CRM_URL": crm}
    loaded = project(toml, env=env)
    text = (
        'connecting to db.example as reader with "p@ss w%rd!": cr@m-secret (cr%40m-secret) is wrong; '
        f"{crm} and l1teral-pw with /keys/me.pem, postgresql://someone:else@h/db"
    )
    assert mask(text, loaded) == (
        'connecting to db.example as reader with "***": *** (***) is wrong; '
        "mysql://crm:***@crm.example/crm and *** with ***, postgresql://someone:***@h/db"
    )
    assert mask("", loaded) == ""


def test_of_two_secrets_the_longer_is_masked_whole(project: Loading) -> None:
    toml = '[sources.a]\nurl = "mysql://u:long-secret@h/d"\n[sources.b]\nurl = "mysql://u:long-secret-too@h/d"'
    assert mask("long-secret-too, long-secret", project(toml)) == "***, ***"


def test_a_short_secret_is_masked_where_it_stands_alone(project: Loading) -> None:
    loaded = project('[sources.app]\nurl = "postgresql://app:app@h/app"')
    assert mask("password app of the application", loaded) == "password *** of the application"


def test_no_error_and_no_repr_shows_a_secret(project: Loading) -> None:
    toml = (
        '[sources.app]\nurl = "postgress://me:${PW}@h/d"\npasword = "${PW}"\npassword = "in clear!"\n'
        '[metrics.x]\ntable = "t"\ntime = "at"\nmeasure = "nope(\'${PW}\')"\nwher = "a = \'${API_TOKEN}\'"'
    )
    with pytest.raises(DeclarationError) as caught:
        project(toml, env={"PW": "hunter2hunter2", "API_TOKEN": "t0ken-t0ken"})
    shown = str(caught.value) + repr(caught.value.problems)
    for secret in ("hunter2hunter2", "in clear!", "t0ken-t0ken"):
        assert secret not in shown
    loaded = project(FULL, env=ENV)
    assert "tr0ub4dor" not in repr(loaded) + repr(loaded.catalog)


# --- the cache --------------------------------------------------------------------------------------

HEAVY = """
import os, sys
from pathlib import Path
from tallybook.config import load
project = load(Path(sys.argv[1]), os.environ)
heavy = {"sqlglot", "sqlalchemy", "duckdb", "pyarrow", "tallybook.config.catalog.building", "difflib"}
heavy &= set(sys.modules)
heavy |= {module for module in sys.modules if module.startswith("tallybook.collect.sources.registry.")}
print(sorted(heavy), sorted(project.catalog.metrics), project.catalog.sources["app"].url)
"""


@pytest.fixture
def kept(project: Loading, tmp_path: Path) -> Path:
    """Where the catalog of FULL and a Python metric is kept, after it was loaded once."""
    (tmp_path / "book").mkdir()
    project(FULL, {"metrics/tickets.py": PYTHON.replace("open_tickets", "py_tickets")}, ENV)
    return tmp_path / "book" / "cache" / "catalog.msgpack"


def test_when_nothing_changed_neither_sql_parser_nor_the_users_python_is_imported(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics" / "tickets.py").touch()
    said = subprocess.run(
        [sys.executable, "-c", HEAVY, str(tmp_path)],
        env={**os.environ, **ENV, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.startswith("[] ['active_users', 'arpu', ")
    assert "py_tickets" in said
    assert said.strip().endswith(ENV["DATABASE_URL"])


def test_what_was_kept_is_what_was_read(kept: Path, tmp_path: Path) -> None:
    warm = load(tmp_path, ENV)
    kept.unlink()
    cold = load(tmp_path, ENV)
    assert warm.catalog == cold.catalog
    assert warm.secrets == cold.secrets
    assert isinstance(warm.catalog.metrics["arpu"].parsed, Measure)
    assert warm.function(warm.catalog.metrics["py_tickets"])(None, None) == 7


def test_the_cache_holds_no_secret(kept: Path, tmp_path: Path, project: Loading) -> None:
    assert b"tr0ub4dor" not in kept.read_bytes()
    assert b"postgresql://" not in kept.read_bytes()
    toml = f'[sources.app]\nurl = "mysql://u:${{PW}}@h/d"\n[metrics.x]\n{FLOW}where = "key = \'${{PW}}\'"'
    assert project(toml, env={"PW": "tr0ub4dor"}).catalog.metrics["x"].where == "key = 'tr0ub4dor'"
    assert b"tr0ub4dor" not in kept.read_bytes()


def changes(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Changes to the project, each with the name that the book is to have then."""
    toml = folder / "tallybook.toml"
    toml.write_text(FULL.replace('"Acme"', '"Other"'))
    yield "Other", ENV
    toml.write_text(FULL.replace('"Acme"', '"${NAME:-none}"'))
    yield "none", ENV
    yield "Named", {**ENV, "NAME": "Named"}
    (folder / ".env").write_text("NAME=filed")
    yield "filed", ENV


def test_any_change_is_seen(kept: Path, tmp_path: Path) -> None:
    for name, env in changes(tmp_path):
        assert load(tmp_path, env).catalog.book.name == name
        assert load(tmp_path, env).catalog.book.name == name
    (tmp_path / "metrics" / "new.sql").write_text('-- time="at"\n-- measure="count(*)"\nselect at from t')
    assert "new" in load(tmp_path, ENV).catalog.metrics
    (tmp_path / "metrics" / "new.sql").unlink()
    assert "new" not in load(tmp_path, ENV).catalog.metrics


def test_a_changed_function_elsewhere_is_seen(project: Loading, tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    body = "def f(day, db):\n    return 1\n"
    first = project(f'{MINIMAL}[metrics.x]\nfunction = "jobs.py:f"', {"jobs.py": body}).catalog.metrics["x"]
    (tmp_path / "jobs.py").write_text(body.replace("1", "2"))
    assert load(tmp_path, {}).catalog.metrics["x"].function_hash != first.function_hash


def test_another_kind_of_database_behind_a_variable_is_seen(project: Loading, tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    toml = '[sources.app]\nurl = "${URL}"\n[metrics.x]\n' + FLOW.replace("count(*)", "cast(sum(a) as int)")
    shells = []
    for url in ("sqlite:///a.db", "duckdb:///a.duckdb"):
        parsed = project(toml, env={"URL": url}).catalog.metrics["x"].parsed
        shells.append(parsed and parsed.shell)
    assert shells == [["trunc", ["slot", 0]], ["round", ["slot", 0], 0]]


def test_a_broken_dotenv_is_told_even_when_nothing_else_changed(kept: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("what is this")
    assert [p.path for p in problems_of(lambda: load(tmp_path, ENV))] == [".env:1"]


def test_a_damaged_cache_is_made_anew(kept: Path, tmp_path: Path) -> None:
    whole = kept.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1] + b"x", b"\0" * len(whole)):
        kept.write_bytes(damaged)
        assert len(load(tmp_path, ENV).catalog.metrics) == 13
        assert kept.read_bytes() == whole


def test_where_nothing_can_be_written_everything_still_works(project: Loading, tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "cache").write_text("a file where the folder should be")
    assert len(project(FULL, env=ENV).catalog.metrics) == 12


def test_a_project_without_a_book_is_left_as_it_is(project: Loading, tmp_path: Path) -> None:
    project(FULL, env=ENV)
    assert [p.name for p in tmp_path.iterdir()] == ["tallybook.toml"]


# --- assumptions ------------------------------------------------------------------------------------


def test_what_is_assumed_of_a_metric_is_one_sentence(project: Loading) -> None:
    metrics = project(FULL, env=ENV).catalog.metrics
    said = {name: explain_assumptions(metric, "Europe/Berlin") for name, metric in metrics.items()}
    assert said["revenue"] == (
        "revenue: a flow, sum(amount) of invoices in app; by paid_at; "
        "times without a zone are read as UTC, dates as they are; "
        "days of Europe/Berlin; a wider scope shows total (over all facts of the period)."
    )
    assert "local times of America/New_York" in said["signups"]
    assert "from started_at until cancelled_at (inclusive)" in said["mrr"]
    assert "a snapshot (the source shows only the present)" in said["open_tickets"]
    assert "up to 1.5 h after midnight" in said["open_tickets"]
    assert "carried 3 days" in said["seats"]
    assert "(account, kind) counts" in said["usage"]
    assert "daily distinct counts do not add up" in said["visitors"]
    assert "average of mrr, its own show of active_users" in said["arpu"]


# --- whatever is written ----------------------------------------------------------------------------

LINES = FULL.replace("${DATABASE_URL}", "sqlite:///app.db").splitlines()
WORDS = st.sampled_from(
    [
        *(
            "",
            "x",
            "metrics",
            '"',
            "'",
            "[",
            "]",
            "{",
            "= 3",
            "true",
            "${A}",
            "${",
            "{{from}}",
            ";",
            "(",
            ")",
        ),
        *("--", "sum(", "count(*)", "select", "limit 3", "over ()", "2023-99-99", "-1", "1e400", "nan", "é"),
        *("\u2028", "\\", "\0", "filter (", "within group (", "case when", "end", "as", "distinct", "p99("),
        *("total(mrr)", "/", ","),
    ]
)


@st.composite
def mutated_tomls(draw: st.DrawFn) -> str:
    """The full file with some lines cut, doubled or moved, and some words put in."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["cut", "double", "move", "insert", "value"])):
            case "cut":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "insert":
                place = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + draw(WORDS) + lines[at][place:]
            case "value":
                key = lines[at].split("=")[0]
                lines[at] = f"{key}= {draw(st.one_of(WORDS, st.sampled_from(LINES).map(value_of)))}"
    return "\n".join(lines)


def value_of(line: str) -> str:
    return line.split("=", 1)[-1]


def refusal(declare: Callable[[], object]) -> DeclarationError | None:
    try:
        declare()
    except DeclarationError as error:
        return error
    return None


@given(mutated_tomls())
def test_whatever_happens_to_the_file_it_is_read_or_refused(tmp_path_factory: Any, toml: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "book").mkdir()
    (folder / "tallybook.toml").write_text(toml)
    refused = refusal(lambda: load(folder, {}))
    assert refused is None or all(p.path and p.message for p in refused.problems)
    assert refused is None or refused.problems


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(),
        st.text(max_size=20),
        st.sampled_from([value_of(line).strip().strip('"') for line in LINES if "=" in line]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = st.sampled_from(sorted({line.split(" =")[0] for line in LINES if " = " in line}))
METRICS = st.dictionaries(st.sampled_from(["a", "b", "A", "total", ""]), st.dictionaries(KEYS, VALUES), max_size=3)


@settings(max_examples=200)
@given(METRICS, st.dictionaries(st.sampled_from(["book", "sources", "metrics", "x"]), VALUES))
def test_whatever_is_declared_is_accepted_or_refused(metrics: dict[str, Any], rest: dict[str, Any]) -> None:
    raw = {"sources": {"app": {"url": "sqlite:///app.db"}}, "metrics": metrics, **rest}
    refused = refusal(lambda: build(raw, kinds=kinds_of({"app": "sqlite"}), found=Problems()))
    assert refused is None or refused.problems
