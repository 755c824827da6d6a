"""Small databases that once gave a wrong draft: each is a kind of table, drafted on SQLite without collecting."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tallybook.draft import Draft, draft
from tests.projects import Project

NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)


def drafted(folder: Path, script: str) -> Draft:
    path = folder / "app.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(script)
    return draft(f"sqlite:///{path}", folder=folder, now=NOW)


def many(table: str, values: str, rows: int = 60) -> str:
    """Rows of a table; `i` is their number, `day(i)` a day of March 2026."""
    day = "date('2026-03-01', '+' || (i % 30) || ' days')"
    return (
        f"insert into {table} with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows}) "
        f"select {values.replace('day(i)', day)} from n;"
    )


def test_those_that_left_are_not_active_and_times_used_are_added(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table accounts (id integer primary key, signup_date date not null, country text);"
        + many("accounts", "i, day(i), case i % 2 when 0 then 'DE' else 'US' end")
        + "create table churn_events (id integer primary key, account_id integer not null references accounts(id), "
        "churn_date date not null, reason text);"
        + many("churn_events", "i, 1 + i % 20, day(i), 'price'")
        + "create table feature_usage (id integer primary key, license_id integer not null, used_on date not null, "
        "times_used integer not null);" + many("feature_usage", "i, 1 + i % 9, day(i), i % 7"),
    )
    on = {idea.name: idea.keys for idea in made.metrics}
    assert on["signups"]["table"] == "accounts"
    assert on["feature_usage"]["measure"] == "sum(times_used)"
    assert not [name for name, keys in on.items() if keys["table"] == "churn_events"]


def test_deleted_archived_and_imported_people_are_no_signups(tmp_path: Path) -> None:
    for place, name in enumerate(
        ("deleted_users", "archived_customers", "users_backup", "imported_users", "test_users")
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        script = f"create table {name} (id integer primary key, created_at text);" + many(name, "i, day(i)")
        script += "create table members (id integer primary key, created_at text);" + many("members", "i, day(i)", 30)
        (signups,) = (i for i in drafted(folder, script).metrics if i.name == "signups")
        assert signups.keys["table"] == "members"


def test_the_start_is_the_day_of_the_earliest_instant(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table users (id integer primary key, created_at text);"
        "insert into users values (1, '2026-04-01T21:00:00-07:00'), (2, '2026-04-02T08:00:00+02:00'), "
        "(3, '2026-04-03T08:00:00+02:00');",
    )
    assert made.start == date(2026, 4, 2)


def test_mrr_over_codes_of_intervals_is_only_a_comment(tmp_path: Path) -> None:
    script = (
        "create table plans (id integer primary key, amount_cents integer, interval integer, created_at text);"
        + many("plans", "i, 100 * i, i % 3, day(i)", 6)
        + "create table subscriptions (id integer primary key, plan_id integer, started_at text, ended_at text);"
        + many("subscriptions", "i, 1 + i % 6, day(i), case i % 4 when 0 then day(i) end")
    )
    made = drafted(tmp_path, script)
    assert "mrr" not in {idea.name for idea in made.metrics}
    (mrr,) = (idea for idea in made.spare if idea.name == "mrr")
    assert "which of them are months and years is not known" in mrr.doubt


def test_prefixes_layers_and_versions_are_not_in_names(tmp_path: Path) -> None:
    tables = ("acme_users", "acme_visits", "acme_uploads", "acme_reviews_latest")
    script = "".join(
        f"create table {name} (id integer primary key, user_id integer, created_at text);"
        + many(name, "i, 1 + i % 20, day(i)")
        for name in tables
    )
    assert not [idea.name for idea in drafted(tmp_path, script).metrics if "acme" in idea.name or "latest" in idea.name]


def test_a_draft_of_far_future_and_constant_times_does_not_use_them(tmp_path: Path) -> None:
    far = NOW + timedelta(days=900)
    script = (
        "create table orders (id integer primary key, total decimal(9,2), valid_until text, imported_on text, placed_at text);"
        + many("orders", f"i, i * 1.5, '{far:%Y-%m-%d %H:%M:%S}', '2026-04-09 10:00:00', day(i) || ' 10:00:00'")
    )
    (revenue,) = (idea for idea in drafted(tmp_path, script).metrics if idea.name == "revenue")
    assert revenue.keys["time"] == "placed_at"


def test_states_of_an_enumerated_type_are_read_like_texts(postgresql_url: str, tmp_path: Path) -> None:
    project = Project(tmp_path / "elsewhere", postgresql_url)
    project.execute(
        "create type state as enum ('paid', 'failed', 'open')",
        "create type code as enum ('EUR', 'USD')",
        "create table payments (id int primary key, amount numeric(9,2), state state, currency code, paid_at timestamptz)",
        "insert into payments select i, i, (array['paid', 'failed', 'open'])[1 + i % 3]::state, "
        "(array['EUR', 'USD'])[1 + i % 2]::code, timestamptz '2026-03-01' + i * interval '5 hours' "
        "from generate_series(1, 90) i",
    )
    (revenue,) = (i for i in draft(postgresql_url, folder=tmp_path, now=NOW).metrics if i.name == "revenue")
    assert revenue.keys["where"] == "state = 'paid'"
    assert revenue.keys["unit_from"] == "currency"
