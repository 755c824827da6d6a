"""Accounts of a database that none of us made, with attributes that are metrics: lists equal plain SQL."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook

LAST = date(2022, 5, 31)
DECLARED = """
[book]
start = "2022-02-01"

[sources.app]
url = "sqlite:///{folder}/app.sqlite"

[accounts]
table = "accounts"
attributes = ["plan", "seats", "created_at", "canceled_at", "active_subscription", "country"]

[accounts.metrics]
events_7d = {{ metric = "events", last = "7 days" }}
events_30d = {{ metric = "events", last = "30 days" }}
kinds_30d = {{ metric = "kinds", last = "30 days" }}
paid_90d = {{ metric = "paid", last = "90 days" }}
best_rating = {{ metric = "best_rating", last = "60 days" }}

[metrics]
events = {{ table = "analytic_events", time = "timestamp", measure = "count(*)", by = ["account_id"] }}
kinds = {{ table = "analytic_events", time = "timestamp", measure = "count(distinct event)", by = ["account_id"] }}
paid = {{ table = "invoices", time = "date_received", measure = "sum(payment)", by = ["account_id"] }}
best_rating = {{ table = "feedback", time = "date_received", measure = "max(rating)", by = ["account_id"] }}
"""
CONDITIONS = [
    ("plan = 'Basic' and active_subscription and events_30d < 2",) * 2,
    ("paid_90d > 200 and (kinds_30d >= 3 or best_rating is null)",) * 2,
    (
        "canceled_at is null and created_at < '2022-01-01' and events_7d = 0 and country in ('US', 'DE')",
        "canceled_at is null and created_at < '2022-01-01 00:00:00' and events_7d = 0 and country in ('US', 'DE')",
    ),
]
"""(our condition, that of SQLite)."""


@pytest.fixture
def book(tmp_path: Path, shared_data: Path) -> Iterator[Any]:
    shutil.copyfile(shared_data / "saas_metabase.sqlite", tmp_path / "app.sqlite")
    (tmp_path / "tallybook.toml").write_text(DECLARED.format(folder=tmp_path))
    with tallybook.open(tmp_path, now=lambda: datetime(2022, 6, 1, 4, tzinfo=UTC)) as opened:
        assert not opened.run().failed
        yield opened


def by_hand(table: str, time: str, measure: str, days: int) -> str:
    """The values of an attribute in plain SQL, by account."""
    first, end = LAST - timedelta(days=days - 1), LAST + timedelta(days=1)
    return (
        f"(select {measure} from {table} f where f.account_id = a.id and f.{time} >= '{first}' and f.{time} < '{end}')"
    )


VALUES = {
    "events_7d": by_hand("analytic_events", "timestamp", "count(*)", 7),
    "events_30d": by_hand("analytic_events", "timestamp", "count(*)", 30),
    "kinds_30d": by_hand("analytic_events", "timestamp", "count(distinct event)", 30),
    "paid_90d": by_hand("invoices", "date_received", "coalesce(sum(payment), 0)", 90),
    "best_rating": by_hand("feedback", "date_received", "max(rating)", 60),
}


def test_lists_by_attributes_and_metrics_equal_plain_sql(book: Any, tmp_path: Path) -> None:
    accounts, named = book.entities("accounts"), ", ".join(f"{sql} as {name}" for name, sql in VALUES.items())
    relation = f"(select a.*, {named} from accounts a)"
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as database:
        for table in ("analytic_events", "invoices", "feedback"):
            database.execute(f"create index {table}_of on {table} (account_id)")
        for where, plain in CONDITIONS:
            found = accounts.list(where, columns=list(VALUES))
            asked = (
                f"select cast(id as text), {', '.join(VALUES)} from {relation} where {plain} order by cast(id as text)"
            )
            expected = database.execute(asked).fetchall()
            assert len(expected) > 3
            assert found.unknown == 0
            assert [row[0] for row in found.rows] == [row[0] for row in expected]
            for ours, theirs in zip(found.rows, expected, strict=True):
                assert ours[1:4] + ours[5:] == theirs[1:4] + theirs[5:]
                assert float(ours[4]) == pytest.approx(theirs[4])
        plans = book.query("events", by=["accounts.plan"], scope="month", from_="2022-04-01", to=LAST)
        joined = (
            "select substr(timestamp, 1, 7) || '-01', plan, count(*) from analytic_events e join accounts a "
            f"on a.id = e.account_id where timestamp >= '2022-04-01' and timestamp < '{LAST + timedelta(days=1)}' "
            "group by 1, 2"
        )
        split = {(str(row["period"]), row["accounts.plan"]): row["events"] for row in plans.data}
        assert split == {(month, plan): count for month, plan, count in database.execute(joined).fetchall()}
