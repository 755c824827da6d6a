"""Facts that were written, changed or taken back long after their day was collected: `changed` finds their days.

What the book then says is held against plain sums over the rows as they are, and against a book that is written in
one pass over them.
"""

from __future__ import annotations

import importlib
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

import tallybook
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.conftest import COSTLY
from tests.crash import Driver
from tests.ledgers import as_number_3
from tests.projects import Project, everywhere, project, sampled_everywhere
from tests.storage.test_safe import worth_a_kill

__all__ = ["project"]

ORDERS = (
    "orders (id int, paid_at timestamp, plan varchar(10), status varchar(10), "
    "amount decimal(10, 2), updated_at timestamp)"
)
REVENUE = """
    [metrics.revenue]
    table = "orders"
    time = "paid_at"
    where = "status = 'paid'"
    measure = "sum(amount)"
    by = ["plan"]
    changed = "updated_at"
"""


def order(
    number: int, paid: str, amount: str, *, plan: str = "pro", written: str = "", status: str = "paid"
) -> tuple[Any, ...]:
    return number, f"{paid} 12:00:00", plan, status, Decimal(amount), f"{written or paid + ' 12:00:00'}"


@pytest.fixture
def shop(project: Any) -> Any:
    """`shop(kind)`: an order on every tenth of a month, collected when 5 March 2024 was over."""

    def make(kind: str = "sqlite", metrics: str = REVENUE) -> Project:
        made = project(kind, now="2024-03-06T06:00")
        made.table(ORDERS, [order(1, "2024-01-10", "10"), order(2, "2024-02-10", "20"), order(3, "2024-03-05", "5")])
        made.declare(metrics)
        made.run()
        return made

    return make


def revenue(project: Project) -> dict[str, Any]:
    """The days that have some."""
    return {day: value for day, value in project.ask("revenue").items() if value}


def days_of(report: Any, metric: str = "revenue") -> int:
    (found,) = (m.days for m in report.metrics if m.metric == metric)
    return found


def waiting(project: Project) -> list[str]:
    """The days that wait to be collected again, of all metrics."""
    return [str(day) for one in project.book.store.ledger.followed().values() for day in one.waiting]


# ------------------------------------------------------------------------------------------- what is found


@sampled_everywhere
def test_an_order_of_january_that_changes_in_march_is_right_after_the_next_run(shop, kind):
    shop = shop(kind)
    shop.execute("update orders set amount = 11, updated_at = '2024-03-07 08:00:00' where id = 1")
    report = shop.at("2024-03-08T06:00").run()
    assert revenue(shop) == {"2024-01-10": 11, "2024-02-10": 20, "2024-03-05": 5}
    assert days_of(report) == 5, (
        "5, 6 and 7 March are the lookback, with two that were missing, 4 March was before the pause; and 10 January"
    )
    (revision,) = shop.book.store.ledger.revisions()
    assert (str(revision.day), revision.old, revision.new) == ("2024-01-10", "10", "11")
    assert days_of(shop.at("2024-03-08T09:00").run()) == 3, "what was seen is not collected again"


@sampled_everywhere
def test_an_order_that_arrives_two_months_late_is_counted_on_its_day(shop, kind):
    shop = shop(kind)
    shop.insert("orders", [order(4, "2024-01-09", "7", written="2024-03-07 08:00:00")])
    shop.at("2024-03-08T06:00").run()
    assert shop.both("revenue", from_="2024-01-08", to="2024-01-11") == {
        "2024-01-08": 0, "2024-01-09": 7, "2024-01-10": 10, "2024-01-11": 0,
    }  # fmt: skip


@sampled_everywhere
def test_an_order_that_is_no_longer_paid_is_gone_from_its_day(shop, kind):
    shop = shop(kind)
    shop.execute("update orders set status = 'refunded', updated_at = '2024-03-07 08:00:00' where id = 2")
    shop.at("2024-03-08T06:00").run()
    assert revenue(shop) == {"2024-01-10": 10, "2024-03-05": 5}


def test_without_changed_the_same_run_leaves_the_old_day_as_it_was(shop):
    shop = shop(metrics=REVENUE.replace('changed = "updated_at"', ""))
    shop.execute("update orders set amount = 11, updated_at = '2024-03-07 08:00:00' where id = 1")
    shop.at("2024-03-08T06:00").run()
    assert revenue(shop)["2024-01-10"] == 10


def test_an_order_of_a_transaction_that_was_open_during_the_last_run_is_found(shop):
    shop = shop()
    shop.insert("orders", [order(4, "2024-02-01", "7", written="2024-03-06 05:30:00")])
    shop.at("2024-03-07T06:00").run()
    assert revenue(shop)["2024-02-01"] == 7, "written half an hour before the last run, and seen only after it"


def test_what_a_run_revises_in_the_lookback_and_before_are_both_kept(shop):
    shop = shop()
    shop.execute("update orders set amount = amount + 1, updated_at = '2024-03-06 08:00:00' where id in (1, 3)")
    shop.at("2024-03-07T06:00").run()
    revised = {(str(r.day), r.old, r.new) for r in shop.book.store.ledger.revisions()}
    assert revised == {("2024-01-10", "10", "11"), ("2024-03-05", "5", "6")}


def test_an_order_that_moved_is_on_its_new_day_and_still_on_its_old_one(shop):
    """What it was before nobody knows: `audit` finds the old day, `run --from` restates it."""
    shop = shop()
    shop.execute("update orders set paid_at = '2024-02-20 12:00:00', updated_at = '2024-03-07 08:00:00' where id = 1")
    shop.at("2024-03-08T06:00").run()
    assert revenue(shop) == {"2024-01-10": 10, "2024-02-10": 20, "2024-02-20": 10, "2024-03-05": 5}
    shop.run(from_="2024-01-01")
    assert revenue(shop) == {"2024-02-10": 20, "2024-02-20": 10, "2024-03-05": 5}


# --------------------------------------------------------------------------------------------- other kinds


@sampled_everywhere
def test_a_level_of_rows_a_day_follows_a_row_of_the_past(project, kind):
    project = project(kind, now="2024-03-06T06:00")
    project.table(
        "seats (day date, account int, n int, updated_at timestamp)",
        [("2024-01-10", 1, 5, "2024-01-11 01:00:00"), ("2024-03-01", 1, 6, "2024-03-02 01:00:00")],
    )
    project.declare("""
        [metrics.seats]
        kind = "level"
        table = "seats"
        time = "day"
        measure = "sum(n)"
        by = ["account"]
        changed = "updated_at"
        carry = "2d"
    """)
    project.run()
    project.execute("update seats set n = 8, updated_at = '2024-03-07 01:00:00' where n = 5")
    project.at("2024-03-08T06:00").run()
    assert list(project.both("seats", from_="2024-01-09", to="2024-01-13").values()) == [0, 8, 8, 8, 0]


@sampled_everywhere
def test_a_subscription_that_changes_is_restated_from_its_beginning(project, kind):
    project = project(kind, now="2024-03-06T06:00")
    project.table(
        "subs (id int, since timestamp, till timestamp, mrr int, updated_at timestamp)",
        [
            (1, "2023-11-05 08:00:00", None, 100, "2023-11-05 08:00:00"),
            (2, "2024-02-02 08:00:00", None, 10, "2024-02-02 08:00:00"),
        ],
    )
    project.declare("""
        [metrics.mrr]
        kind = "level"
        table = "subs"
        from = "since"
        until = "till"
        measure = "sum(mrr)"
        changed = "updated_at"
    """)
    project.run()
    project.execute("update subs set till = '2024-02-20 09:00:00', updated_at = '2024-03-07 01:00:00' where id = 2")
    report = project.at("2024-03-08T06:00").run()
    assert list(project.both("mrr", from_="2024-02-01", to="2024-02-03").values()) == [100, 110, 110]
    assert list(project.both("mrr", from_="2024-02-18", to="2024-02-21").values()) == [110, 110, 100, 100]
    assert days_of(report, "mrr") == 35, "2 February to 7 March, and nothing before"


@sampled_everywhere
def test_a_latest_value_of_a_day_that_is_sent_again_counts(project, kind):
    project = project(kind, now="2024-03-06T06:00")
    project.table(
        "calls (day date, account int, n int, received timestamp)",
        [("2024-01-10", 1, 100, "2024-01-10 20:00:00"), ("2024-01-10", 2, 50, "2024-01-10 20:00:00")],
    )
    project.declare("""
        [metrics.calls]
        table = "calls"
        time = "day"
        measure = "sum(n)"
        daily_aggregate = true
        series = ["account"]
        received = "received"
        changed = "received"
    """)
    project.run()
    project.insert("calls", [("2024-01-10", 1, 110, "2024-03-07 20:00:00")])
    project.at("2024-03-08T06:00").run()
    assert project.both("calls", from_="2024-01-10", to="2024-01-10") == {"2024-01-10": 160}


@everywhere
@pytest.mark.parametrize("stored", ["timestamptz", "bigint", "date"])
def test_changed_may_be_stored_otherwise_than_the_time(project, kind, stored):
    project = project(kind, now="2024-03-06T06:00")
    early, late = {
        "timestamptz": ("2024-01-10 12:00:00", "2024-03-07 08:00:00"),
        "bigint": (1704888000, 1709798400),
        "date": ("2024-01-10", "2024-03-07"),
    }[stored]
    kept, time_ = ('stored = "epoch_s"', 1704888000) if stored == "bigint" else ("", "2024-01-10 12:00:00")
    column = "bigint" if stored == "bigint" else "timestamp"
    project.table(f"visits (at_ {column}, n int, written {stored})", [(time_, 1, early)])
    project.declare(f"""
        [metrics.visits]
        table = "visits"
        time = "at_"
        {kept}
        measure = "sum(n)"
        changed = "written"
    """)
    project.run()
    project.insert("visits", [(time_, 2, late)])
    project.at("2024-03-08T06:00").run()
    assert project.both("visits", from_="2024-01-10", to="2024-01-10") == {"2024-01-10": 3}


def test_what_a_joined_table_changed_is_found_by_its_own_column(project):
    project = project(now="2024-03-06T06:00")
    project.table("calls (id int, called timestamp, account int)", [(1, "2024-01-10 12:00:00", 7)])
    project.table(
        "accounts (id int primary key, plan varchar(9), updated_at timestamp)", [(7, "free", "2024-01-01 00:00:00")]
    )
    project.declare("""
        [metrics.calls]
        table = "calls"
        join = "accounts on accounts.id = account"
        time = "called"
        measure = "count(*)"
        by = ["accounts.plan"]
        changed = "accounts.updated_at"
    """)
    project.run()
    project.execute("update accounts set plan = 'pro', updated_at = '2024-03-07 08:00:00'")
    project.at("2024-03-08T06:00").run()
    assert project.both("calls", by=["accounts.plan"], from_="2024-01-10", to="2024-01-10") == {
        ("2024-01-10", "pro"): 1
    }


def test_an_hour_that_clocks_show_twice_hides_nothing(project):
    """Times are those of a clock on the wall. It is ten to three for the second time when a run looks."""
    project = project(now="2024-10-27T01:50")
    project.table(
        "visits (at_ timestamp, n int, written timestamp)", [("2024-10-02 12:00:00", 1, "2024-10-02 12:00:00")]
    )
    project.declare(
        """
        [metrics.visits]
        table = "visits"
        time = "at_"
        stored = "local"
        measure = "sum(n)"
        changed = "written"
        """,
        start="2024-10-01",
        timezone="Europe/Berlin",
    )
    project.run()
    project.insert("visits", [("2024-10-02 13:00:00", 2, "2024-10-27 02:10:00")])  # the second ten past two
    project.at("2024-10-28T06:00").run()
    assert project.ask("visits", from_="2024-10-02", to="2024-10-02") == {"2024-10-02": 3}


def test_changed_that_is_never_set_finds_nothing_and_breaks_nothing(shop):
    shop = shop()
    shop.execute("update orders set amount = 11, updated_at = null where id = 1")
    shop.insert("orders", [(7, None, "pro", "paid", 3, "2024-03-07 08:00:00")])
    report = shop.at("2024-03-08T06:00").run()
    assert days_of(report) == 4, "the lookback, and 4 March, that was before the pause"
    assert revenue(shop)["2024-01-10"] == 10


# ------------------------------------------------------------------------------------- how far it is followed


def test_changed_that_is_declared_later_catches_up_with_what_it_missed(shop):
    shop = shop(metrics=REVENUE.replace('changed = "updated_at"', ""))
    shop.execute("update orders set amount = 11, updated_at = '2024-03-07 08:00:00' where id = 1")
    shop.at("2024-03-09T06:00").run()
    assert revenue(shop)["2024-01-10"] == 10
    shop.declare(REVENUE)
    shop.at("2024-03-10T06:00").run()
    assert revenue(shop)["2024-01-10"] == 11


def test_another_column_begins_where_the_days_were_collected(shop):
    shop = shop()
    shop.execute("alter table orders add column touched timestamp")
    shop.execute("update orders set amount = 11, touched = '2024-03-07 08:00:00' where id = 1")
    shop.at("2024-03-09T06:00").run()
    shop.declare(REVENUE.replace("updated_at", "touched"))
    shop.at("2024-03-10T06:00").run()
    assert revenue(shop)["2024-01-10"] == 11


def test_metrics_of_the_same_facts_are_looked_for_by_one_statement(shop):
    several = REVENUE + REVENUE.replace("metrics.revenue", "metrics.orders").replace("sum(amount)", "count(*)").replace(
        "where = \"status = 'paid'\"", ""
    )
    shop = shop(metrics=several)
    shop.execute("update orders set amount = 11, updated_at = '2024-03-07 08:00:00' where id = 1")
    (search,) = shop.at("2024-03-08T06:00").book.plan().searches
    assert search.metrics == ("revenue", "orders")
    assert [str(day) for day in search.days] == ["2024-01-10"]
    assert "`updated_at` >= '2024-03-06 05:00'" in search.sql


def test_the_statement_reaches_the_index_of_the_column_whatever_others_there_are(shop):
    shop = shop()
    shop.execute(
        "insert into orders with recursive s(n) as (select 9 union all select n + 1 from s where n < 9000) "
        "select n, datetime('2024-01-01', (n * 600) || ' seconds'), 'pro', 'paid', 1, "
        "datetime('2024-01-01', (n * 600) || ' seconds') from s",
        "create index orders_paid on orders (paid_at)",
        "create index orders_updated on orders (updated_at)",
        "analyze",
    )
    (search,) = shop.at("2024-03-08T06:00").book.plan().searches
    with shop.database.cursor() as cursor:
        cursor.execute("explain query plan " + search.sql)
        assert cursor.fetchone()[-1] == "SEARCH orders USING INDEX orders_updated (updated_at>?)"


def slowly(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Every step of a source takes so long, by a clock that is put forward instead of waited for."""
    collecting = importlib.import_module("tallybook.collect.group_runs")
    gather, slept = collecting.gather_days, [0.0]

    def gather_slowly(*given: Any) -> Iterator[Any]:
        for step in gather(*given):
            slept[0] += seconds
            yield step

    monkeypatch.setattr(collecting, "gather_days", gather_slowly)
    for module in ("group_runs", "publishing"):
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + slept[0])
        monkeypatch.setattr(f"tallybook.collect.{module}.time", clock)


def test_what_max_load_leaves_waits_and_is_collected_by_the_next_runs(shop, monkeypatch):
    shop = shop()
    shop.declare(REVENUE, source='max_load = "1s"')
    shop.execute("update orders set amount = amount + 1, updated_at = '2024-03-06 08:00:00' where id < 3")
    shop.insert("orders", [order(4, "2024-02-20", "7", written="2024-03-06 08:00:00")])
    slowly(monkeypatch, 1.1)
    (told,) = shop.at("2024-03-06T12:00").run().metrics
    assert waiting(shop) == ["2024-02-10", "2024-02-20"]
    assert revenue(shop) == {"2024-01-10": 11, "2024-02-10": 20, "2024-03-05": 5}
    assert told.waiting == 2
    assert (
        "2 days whose facts changed wait for the next run, the oldest is 2024-02-10: max_load of app is 1 s"
        in told.notes[0]
    )
    shop.execute("update orders set amount = 12, updated_at = '2024-03-06 13:00:00' where id = 1")
    shop.at("2024-03-06T18:00").run()
    assert waiting(shop) == ["2024-02-20", "2024-01-10"], "who waits already is not overtaken"
    shop.run()
    shop.run()
    assert waiting(shop) == []
    assert revenue(shop) == {"2024-01-10": 12, "2024-02-10": 21, "2024-02-20": 7, "2024-03-05": 5}


def test_a_day_that_waits_and_is_asked_for_waits_no_more(shop, monkeypatch):
    shop = shop()
    shop.declare(REVENUE, source='max_load = "1s"')
    shop.execute("update orders set amount = amount + 1, updated_at = '2024-03-06 08:00:00'")
    slowly(monkeypatch, 1.1)
    shop.at("2024-03-06T12:00").run()
    assert waiting(shop) == ["2024-02-10"]
    shop.run(from_="2024-02-10", to="2024-02-10")
    assert waiting(shop) == []
    assert revenue(shop)["2024-02-10"] == 21


def test_days_that_a_source_does_not_reach_any_more_wait_until_it_does(shop):
    shop = shop()
    shop.table("heartbeat (at_ timestamp)", [("2024-03-06 06:00:00",)])
    shop.declare(REVENUE, source='fresh = "select max(at_) from heartbeat"')
    shop.run()
    shop.execute("update heartbeat set at_ = '2024-02-01 06:00:00'")  # a copy of February was put in its place
    shop.execute("update orders set amount = amount + 1, updated_at = '2024-03-07 08:00:00'")
    assert shop.at("2024-03-08T06:00").book.run().exit_code in (0, 4)
    assert revenue(shop) == {"2024-01-10": 10, "2024-02-10": 20, "2024-03-05": 5}
    shop.execute("update heartbeat set at_ = '2024-03-08 07:00:00'")
    shop.at("2024-03-08T08:00").run()
    assert revenue(shop) == {"2024-01-10": 11, "2024-02-10": 21, "2024-03-05": 6}


def test_a_search_that_fails_is_told_and_made_up_for_by_the_next_run(shop, monkeypatch):
    shop = shop()
    shop.execute("update orders set amount = 11, updated_at = '2024-03-06 08:00:00' where id = 1")
    shop.insert("orders", [order(4, "2024-03-06", "7")])
    with monkeypatch.context() as broken:
        broken.setattr("tallybook.collect.statements.Group.changed_since", lambda *_: "SELECT no FROM orders")
        report = shop.at("2024-03-07T06:00").book.run()
    assert report.exit_code == 1
    assert "what changed could not be looked for: source 'app': no such column: no" in report.metrics[0].error
    assert revenue(shop)["2024-03-06"] == 7, "the new day is collected"
    shop.at("2024-03-08T06:00").run()
    assert revenue(shop)["2024-01-10"] == 11


def test_a_book_of_the_ledger_before_is_read_on(shop):
    shop = shop()
    shop.close()
    path = shop.folder / "book" / "ledger.sqlite"
    with closing(SqliteLedger(path)) as today:
        as_number_3(today)
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("drop table followed")
        ledger.execute("drop table alerts")
        ledger.execute("alter table files drop column sha256")
        ledger.execute("pragma user_version = 1")
        ledger.commit()
    shop.execute("update orders set amount = 11, updated_at = '2024-03-07 08:00:00' where id = 1")
    shop.at("2024-03-08T06:00").run()
    assert revenue(shop)["2024-01-10"] == 11
    assert shop.book.doctor() == []


def test_what_is_forgotten_is_not_followed(shop):
    shop = shop()
    shop.book.forget("revenue")
    assert shop.book.store.ledger.followed() == {}


# ------------------------------------------------------------------------------------------------- killed

KILLED = [
    "update orders set amount = amount + 1, updated_at = '2024-03-07 08:00:00' where id % 3 = 0",
    (
        "insert into orders select id + 100, paid_at, 'late', 'paid', 1, '2024-03-07 08:00:00' "
        "from orders where id % 5 = 0"
    ),
]


def test_killed_at_any_step_and_run_again_nothing_that_changed_is_lost(tmp_path, seed, soak, record_property):
    folder = tmp_path / "shop"
    shop = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-06T06:00")
    dates = [str(date(2024, 1, 1) + timedelta(days=n * 2)) for n in range(30)]
    shop.table(ORDERS, [order(n, day, "1") for n, day in enumerate(dates)])
    shop.declare(REVENUE)
    shop.run()
    shop.execute(*KILLED)
    shop.close()
    before = shutil.copytree(folder, tmp_path / "before")
    with Driver() as driver:
        whole = driver.do(folder, "run", now="2024-03-08T06:00", trace=True)
        expected = everything(folder)
        chosen = worth_a_kill(whole["steps"], random.Random(seed))
        for step in chosen if soak else [random.Random(seed).choice(chosen)]:
            shutil.rmtree(folder)
            shutil.copytree(before, folder)
            assert driver.do(folder, "run", now="2024-03-08T06:00", at=step)["exit"] is None
            assert driver.do(folder, "run", now="2024-03-08T06:30")["exit"] == 0
            assert everything(folder) == expected, f"killed at step {step}"
    record_property("killed at steps", len(chosen) if soak else 1)


def everything(folder: Path) -> Any:
    instant = datetime(2024, 3, 8, 7, tzinfo=UTC)
    with tallybook.open(folder, now=lambda: instant) as book:
        return book.query("revenue", by=["plan"]).rows(), [one.waiting for one in book.store.ledger.followed().values()]


# --------------------------------------------------------------------------------- the same as in one pass

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(20)]
Steps = list[tuple[str, int, int, int]]


@st.composite
def lives(draw: st.DrawFn) -> Steps:
    """What an application and a cron job do, in order: (what, order, day, amount)."""
    what = st.sampled_from(["insert", "insert", "update", "cancel", "run", "run twice", "run one", "run days"])
    return draw(st.lists(st.tuples(what, st.integers(0, 9), st.integers(0, 19), st.integers(-5, 50)), max_size=25))


@COSTLY
@given(life=lives(), lookback=st.sampled_from(["0d", "3d"]))
def test_whatever_happens_to_rows_the_book_is_the_one_that_a_single_pass_writes(life, lookback, tmp_path_factory):
    """As long as no row moves to another day, and every write sets the column."""
    folder = tmp_path_factory.mktemp("life")
    with lived(folder, life, lookback) as (shop, rows):
        expected = sums(rows)
        assert {day: value for day, value in shop.ask("revenue", by=["plan"]).items() if value} == expected
        assert {day: value for day, value in shop.ask("buyers").items() if value} == buyers(rows)
        with once(folder, shop) as single:
            for metric in ("revenue", "buyers"):
                assert shop.ask(metric) == single.ask(metric)


@contextmanager
def lived(folder: Path, life: Steps, lookback: str) -> Iterator[tuple[Project, dict[int, dict[str, Any]]]]:
    """The project when all has happened and a last run is done, and the rows by their id."""
    shop = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-21T06:00")
    shop.table(ORDERS)
    shop.declare(
        REVENUE
        + REVENUE.replace("metrics.revenue", "metrics.buyers")
        .replace("sum(amount)", "count(distinct plan)")
        .replace('by = ["plan"]', ""),
        lookback=lookback,
    )
    rows: dict[int, dict[str, Any]] = {}
    for hour, (what, number, day, amount) in enumerate([*life, ("run", 0, 0, 0)]):
        moment = datetime(2024, 1, 21, 7) + timedelta(hours=hour, minutes=7 * hour)
        happened(shop, rows, what, number, DAYS[day], amount, moment)
    yield shop, rows
    shop.close()


def happened(
    shop: Project, rows: dict[int, dict[str, Any]], what: str, number: int, day: date, amount: int, moment: datetime
) -> None:
    row = rows.get(number)
    if what.startswith("run"):
        shop.at(str(moment))
        if what == "run days":
            shop.run(from_=day, to=DAYS[-1])
            return
        shop.run(*(["buyers"] if what == "run one" else []))
        if what == "run twice":
            shop.run()
    elif what == "insert" and row is None:
        rows[number] = {"day": day, "plan": f"p{amount % 3}", "amount": amount, "status": "paid"}
        shop.insert("orders", [order(number, str(day), str(amount), plan=f"p{amount % 3}", written=str(moment))])
    elif what in ("update", "cancel") and row is not None:
        row |= {"amount": amount} if what == "update" else {"status": "void"}
        shop.execute(
            f"update orders set amount = {row['amount']}, status = '{row['status']}', updated_at = '{moment}' "
            f"where id = {number}"
        )


def sums(rows: dict[int, dict[str, Any]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for row in rows.values():
        if row["status"] == "paid":
            key = (str(row["day"]), row["plan"])
            found[key] = found.get(key, 0) + row["amount"]
    return {key: value for key, value in found.items() if value}


def buyers(rows: dict[int, dict[str, Any]]) -> dict[str, int]:
    plans: dict[str, set[str]] = {}
    for row in rows.values():
        if row["status"] == "paid":
            plans.setdefault(str(row["day"]), set()).add(row["plan"])
    return {day: len(found) for day, found in plans.items()}


@contextmanager
def once(folder: Path, shop: Project) -> Iterator[Project]:
    """Another book of the same facts, collected in one pass."""
    other = folder / "once"
    other.mkdir()
    shutil.copy(folder / "tallybook.toml", other)
    single = Project(other, shop.url, now=str(shop.now))
    single.run()
    yield single
    single.close()


SUBS = "subs (id int, since timestamp, till timestamp, account int, price int, updated_at timestamp)"
LEVELS = """
    [metrics.mrr]
    kind = "level"
    table = "subs"
    from = "since"
    until = "till"
    measure = "sum(price)"
    changed = "updated_at"

    [metrics.accounts]
    kind = "level"
    table = "subs"
    from = "since"
    until = "till"
    measure = "count(distinct account)"
    changed = "updated_at"

    [metrics.dearest]
    kind = "level"
    table = "subs"
    from = "since"
    until = "till"
    measure = "max(price)"
    changed = "updated_at"
"""


@COSTLY
@given(life=lives(), lookback=st.sampled_from(["0d", "2d"]))
def test_levels_whose_rows_change_are_what_the_rows_say_on_every_day(life, lookback, tmp_path_factory):
    """As long as no row begins on another day than it did: prices change in place, rows end, and end otherwise."""
    folder = tmp_path_factory.mktemp("levels")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-21T06:00")
    made.table(SUBS)
    made.declare(LEVELS, lookback=lookback)
    rows: dict[int, tuple[date, date | None, int, int]] = {}
    for hour, (what, number, day, amount) in enumerate([*life, ("run", 0, 0, 0)]):
        moment = datetime(2024, 1, 21, 7) + timedelta(minutes=67 * hour)
        if what.startswith("run"):
            made.at(str(moment)).run(*(["mrr"] if what == "run one" else []))
        elif what == "insert" and number not in rows:
            rows[number] = (DAYS[day], None, amount % 4, amount)
            made.insert("subs", [(number, f"{DAYS[day]} 10:00:00", None, amount % 4, amount, str(moment))])
        elif what in ("update", "cancel") and number in rows:
            since, till, account, _ = rows[number]
            rows[number] = (since, DAYS[day] if what == "cancel" else till, account, amount)
            ends = f"'{DAYS[day]} 10:00:00'" if what == "cancel" else "till"
            made.execute(
                f"update subs set price = {amount}, till = {ends}, updated_at = '{moment}' where id = {number}"
            )
    for metric, of in (("mrr", total), ("accounts", different), ("dearest", greatest)):
        expected = {
            str(day): of([r for r in rows.values() if r[0] <= day and (r[1] is None or r[1] > day)]) for day in DAYS
        }
        assert made.ask(metric, to=DAYS[-1]) == expected, metric
    made.close()


def total(held: list[Any]) -> int:
    return sum(price for *_, price in held)


def different(held: list[Any]) -> int:
    return len({account for *_, account, _ in held})


def greatest(held: list[Any]) -> int | None:
    return max((price for *_, price in held), default=None)
