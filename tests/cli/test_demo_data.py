"""The demo's database: always the same, plausible, and awkward in the ways real ones are."""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.demo import __main__ as demo, clock, saas
from tallybook.demo.company import Company

END = date(2026, 3, 31)
SMALL = 0.2

PAGE_KEYS = {"group", "pinned", "better"}
METRIC_KEYS = {"table", "time", "where", "measure", "unit", "by", "title", "kind", "from", "until", "carry"}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A fifth of the demo's database, ending with March 2026."""
    path = tmp_path_factory.mktemp("demo") / "app.db"
    saas.write(path, end=END, scale=SMALL)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def one(db: sqlite3.Connection, sql: str) -> Any:
    """The one value of the one row."""
    ((value,),) = db.execute(sql).fetchall()
    return value


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def rows(path: Path, table: str) -> set[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute(f"select * from {table}"))


def test_the_same_arguments_write_the_same_rows(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        saas.write(tmp_path / name, seed=seed, end=END, years=1, scale=0.03)
    assert dump(tmp_path / "a") == dump(tmp_path / "b")
    assert dump(tmp_path / "a") != dump(tmp_path / "c")


def test_writing_again_replaces_the_database(tmp_path: Path) -> None:
    first = saas.write(tmp_path / "app.db", end=END, years=1, scale=0.06)
    (tmp_path / "app.db-wal").write_bytes(b"left by a crash")
    second = saas.write(tmp_path / "app.db", end=END, years=1, scale=0.03)
    assert second["api_calls"] < first["api_calls"]
    assert [file.name for file in tmp_path.iterdir()] == ["app.db"]


def test_a_later_end_adds_days_and_keeps_the_earlier_ones(tmp_path: Path) -> None:
    for name, end in (("earlier", date(2026, 3, 10)), ("later", date(2026, 3, 12))):
        saas.write(tmp_path / name, end=end, years=1, scale=0.1)
    for table in ("api_calls", "users", "daily_seats"):
        assert rows(tmp_path / "earlier", table) < rows(tmp_path / "later", table), table


def test_nothing_is_known_of_the_future(tmp_path: Path) -> None:
    now = datetime(2026, 3, 11, 13, 45)
    saas.write(tmp_path / "app.db", end=date(2026, 3, 10), now=now, years=1, scale=0.1)
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        for table, column in (
            ("accounts", "created_at"),
            ("users", "created_at"),
            ("subscriptions", "started_at"),
            ("subscriptions", "cancelled_at"),
            ("invoices", "issued_at"),
            ("invoices", "paid_at"),
            ("tickets", "opened_at"),
            ("tickets", "closed_at"),
            ("api_calls", "called_at"),
            ("api_calls", "inserted_at"),
        ):
            assert one(db, f"select max({column}) from {table}") < str(now), (table, column)
        assert one(db, "select max(called_at) from api_calls") > "2026-03-11 12", "today so far is missing"
        assert one(db, "select max(day) from daily_seats") == "2026-03-10"


def test_money_is_stored_to_the_cent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    companies: list[Company] = []
    record = saas.record
    monkeypatch.setattr(saas, "record", lambda company, db: companies.append(company) or record(company, db))
    saas.write(tmp_path / "app.db", end=END, years=1, scale=0.1)
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        amounts = [Decimal(str(amount)) for (amount,) in db.execute("select amount from invoices")]
        mrr = [Decimal(str(value)) for (value,) in db.execute("select mrr from subscriptions")]
    assert sum(amounts) * 100 == sum(invoice.amount for invoice in companies[0].invoices)
    assert sum(mrr) * 100 == sum(subscription.mrr for subscription in companies[0].subscriptions)


def test_an_account_has_one_subscription_at_a_time(db: sqlite3.Connection) -> None:
    real = "(select * from subscriptions where cancelled_at is null or cancelled_at > started_at)"
    overlaps = one(
        db,
        f"""select count(*) from {real} a join {real} b on a.account_id = b.account_id and a.id < b.id
            where a.cancelled_at is null or a.cancelled_at > b.started_at""",
    )
    assert overlaps == 0


def test_some_subscriptions_change_some_end_and_a_few_were_mistakes(db: sqlite3.Connection) -> None:
    changed = one(
        db,
        """select count(*) from subscriptions a join subscriptions b
           on a.account_id = b.account_id and a.id < b.id and a.cancelled_at = b.started_at
           where a.cancelled_at > a.started_at""",
    )
    mistakes = one(db, "select count(*) from subscriptions where cancelled_at <= started_at")
    everything = one(db, "select count(*) from subscriptions")
    accounts = one(db, "select count(distinct account_id) from subscriptions")
    customers = one(db, "select count(*) from subscriptions where cancelled_at is null")
    assert changed > everything / 10
    assert 0 < mistakes < everything / 20
    assert accounts / 3 < customers < accounts, "customers leave, but not all of them"


def test_the_company_grows(db: sqlite3.Connection) -> None:
    by_year = "select count(*) from {} where {} >= '{}-03' and {} < '{}-04'"
    for table, column in (("api_calls", "called_at"), ("invoices", "paid_at")):
        before = one(db, by_year.format(table, column, 2025, column, 2025))
        after = one(db, by_year.format(table, column, 2026, column, 2026))
        assert before * 1.2 < after < before * 5, table


def test_weekends_holidays_and_nights_are_quiet(db: sqlite3.Connection) -> None:
    sundays, wednesdays = (
        one(db, f"select count(*) from api_calls where strftime('%w', called_at) = '{day}'") for day in (0, 3)
    )
    assert sundays < wednesdays / 2
    christmas, before = (
        one(db, f"select count(*) from api_calls where called_at like '2025-12-{days}%'") for days in (2, 1)
    )
    assert christmas < before
    nights, mornings = (
        one(db, f"select count(*) from api_calls where substr(called_at, 12, 2) = '{hour}'") for hour in ("01", "09")
    )
    assert nights < mornings / 4


def test_office_hours_follow_the_clocks_of_berlin() -> None:
    assert [len(clock.Workday(day).hours) for day in (date(2026, 3, 29), date(2026, 10, 25))] == [23, 25]
    assert clock.midnight(date(2026, 7, 1)) == datetime(2026, 6, 30, 22)
    assert clock.midnight(date(2026, 1, 1)) == datetime(2025, 12, 31, 23)


def test_some_calls_arrive_late_a_few_after_the_lookback(db: sqlite3.Connection) -> None:
    late = "select count(*) from api_calls where julianday(inserted_at) - julianday(called_at) > {}"
    calls = one(db, "select count(*) from api_calls")
    assert calls / 200 < one(db, late.format(0)) < calls / 30
    assert one(db, late.format(4)) > 0
    assert one(db, "select count(*) from api_calls where inserted_at < called_at") == 0


def test_the_count_of_seats_misses_some_nights_but_never_counts_twice(db: sqlite3.Connection) -> None:
    days, seen = one(db, "select count(distinct day) from daily_seats"), (END - saas.first_day(END)).days + 1
    assert seen * 0.97 < days < seen
    skipped = one(
        db,
        """select count(*) from (select julianday(lead(day) over (partition by account_id order by day))
           - julianday(day) as gap from daily_seats) where gap > 2""",
    )
    assert skipped > 0
    assert one(db, "select count(*) = count(distinct day || ' ' || account_id) from daily_seats")


def test_rows_refer_to_rows_that_exist_and_are_in_their_time(db: sqlite3.Connection) -> None:
    assert db.execute("pragma foreign_key_check").fetchall() == []
    too_early = one(
        db,
        """select count(*) from api_calls c join users u on u.id = c.user_id
           where c.called_at < u.created_at or c.account_id <> u.account_id""",
    )
    assert too_early == 0


def test_there_are_nulls_and_names_of_many_scripts(db: sqlite3.Connection) -> None:
    assert one(db, "select count(*) from users where country is null") > 0
    assert one(db, "select count(*) from api_calls where user_id is null") > 0
    assert one(db, "select count(*) from invoices where paid_at is null and status = 'open'") > 0
    assert one(db, "select count(*) from accounts where name glob '*[^ -~]*'") > 0


def test_the_database_is_in_wal_mode_and_its_time_columns_are_indexed(db: sqlite3.Connection) -> None:
    assert one(db, "pragma journal_mode") == "wal"
    for table, column in (("api_calls", "called_at"), ("invoices", "paid_at"), ("daily_seats", "day")):
        sql = f"explain query plan select count(*) from {table} where {column} >= '2026' and {column} < '2027'"
        assert "INDEX" in db.execute(sql).fetchone()[-1], table


def test_scale_multiplies_the_customers(tmp_path: Path) -> None:
    small = saas.write(tmp_path / "small", end=END, years=1, scale=0.05)
    large = saas.write(tmp_path / "large", end=END, years=1, scale=0.2)
    assert 3 < large["accounts"] / small["accounts"] < 5
    assert large["api_calls"] > small["api_calls"] * 2


def test_the_project_declares_metrics_the_database_can_answer(tmp_path: Path) -> None:
    assert demo.main([str(tmp_path), "--data-only", "--scale", "0.02", "--years", "1"]) == 0
    project = tomllib.loads((tmp_path / "tallybook.toml").read_text("utf-8"))
    assert date.fromisoformat(project["book"]["start"]) == saas.first_day_in(tmp_path / "app.db")
    metrics = project["metrics"]
    assert len(metrics) == 13
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        for name, metric in metrics.items():
            assert set(metric) <= METRIC_KEYS | PAGE_KEYS, name
            if "table" not in metric:
                continue
            columns = [
                *metric.get("by", []),
                *(metric[key] for key in ("time", "from", "until") if key in metric),
            ]
            measure = metric["measure"].replace("p95(", "avg(")
            named = ", ".join(f'"{column}"' for column in columns)
            where = metric.get("where", "true")
            db.execute(f"select {named}, {measure} from {metric['table']} where {where} group by {named}")


def test_the_demo_leaves_other_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tallybook.toml").write_text("[book]\nname = 'mine'\n")
    (tmp_path / "book").mkdir()
    assert demo.main([str(tmp_path), "--data-only"]) == 2
    assert "something else" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["book", "tallybook.toml"]


def test_the_demo_is_made_anew_unless_it_is_kept(tmp_path: Path) -> None:
    small = ["--data-only", "--scale", "0.02", "--years", "1"]
    project, book = tmp_path / "tallybook.toml", tmp_path / "book"
    assert demo.main([str(tmp_path), *small]) == 0
    project.write_text(project.read_text("utf-8") + "# mine\n", "utf-8")
    book.mkdir()
    assert demo.main([str(tmp_path), *small, "--keep"]) == 0
    assert project.read_text("utf-8").endswith("# mine\n")
    assert book.exists()
    assert demo.main([str(tmp_path), *small]) == 0
    assert not project.read_text("utf-8").endswith("# mine\n")
    assert not book.exists()


def test_the_last_whole_week_ends_yesterday_at_the_latest() -> None:
    sunday = date(2026, 11, 22)
    assert demo.last_whole_week(sunday) == date(2026, 11, 16)
    assert demo.last_whole_week(date(2026, 11, 21)) == date(2026, 11, 9)
    assert demo.last_whole_week(date(2026, 11, 23)) == date(2026, 11, 16)
