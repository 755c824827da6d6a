"""Old days counted again: `audit` finds what no run would, and nothing where nothing changed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import tallybook
from tallybook.collect.sources.sqlite import SqliteReader
from tallybook.core.errors import SourceUnavailable
from tallybook.monitor.recount import choose
from tests.conftest import COSTLY, DATABASES, SOAK, sampled
from tests.projects import Project, project, sampled_everywhere
from tests.query.test_why import said
from tests.replicas import wait_for

__all__ = ["project"]

ALL = 100_000
INVOICES = "invoices (id int, paid_at timestamp, plan varchar(10), customer varchar(10), amount decimal(10, 2))"
REVENUE = """
    [metrics.revenue]
    table = "invoices"
    time = "paid_at"
    measure = "sum(amount)"
    by = ["plan"]
"""
EVERY_KIND = (
    REVENUE
    + """
    [metrics.customers]
    table = "invoices"
    time = "paid_at"
    measure = "count(distinct customer)"

    [metrics.typical]
    table = "invoices"
    time = "paid_at"
    measure = "p90(amount)"
    by = ["plan"]

    [metrics.spread]
    table = "invoices"
    time = "paid_at"
    measure = "stddev(amount)"

    [metrics.newest]
    table = "invoices"
    time = "paid_at"
    measure = "last(amount)"

    [metrics.heavy]
    table = "invoices"
    time = "paid_at"
    measure = "sum(amount)"
    per = "customer"
    then = "max"

    [metrics.mrr]
    kind = "level"
    table = "subs"
    from = "since"
    until = "till"
    measure = "sum(price)"

    [metrics.dearest]
    kind = "level"
    table = "subs"
    from = "since"
    until = "till"
    measure = "max(price)"

    [metrics.seats]
    kind = "level"
    table = "seats"
    time = "day"
    measure = "sum(n)"
    by = ["account"]
    carry = "3d"

    [metrics.open]
    kind = "level"
    table = "subs"
    where = "till is null"
    measure = "count(*)"

    [metrics.share]
    measure = "revenue / customers"
"""
)


def day(number: int) -> str:
    return str(date(2024, 1, 1) + timedelta(days=number))


def declared(project: Project, metrics: str = REVENUE, **more: Any) -> Project:
    """Three invoices a day from January to 5 March 2024, collected."""
    project.at("2024-03-06T06:00")
    rows = [
        (n * 3 + i, f"{day(n)} {10 + i}:00:00", ("pro", "team", None)[i], f"c{n % 7 + i}", Decimal(100 + n * 7 + i) / 4)
        for n in range(65)
        for i in range(3)
    ]
    project.table(INVOICES, rows)
    project.table("subs (id int, since timestamp, till timestamp, price int)", [(n, f"{day(n)} 08:00:00", f"{day(n + 9)} 08:00:00" if n % 3 else None, n) for n in range(40)])  # fmt: skip
    project.table("seats (day date, account int, n int)", [(day(n), n % 4, n) for n in range(0, 65, 2)])
    project.declare(metrics, **more)
    project.run()
    return project


def plain_sum(project: Project, of: str) -> Any:
    """What SQL says of one day's revenue of the plan pro."""
    with project.database.cursor() as cursor:
        cursor.execute(f"select sum(amount) from invoices where plan = 'pro' and paid_at >= '{of}' and paid_at < '{of} 23:59:59'")  # fmt: skip
        return cursor.fetchone()[0]


def drift(found: Any) -> dict[tuple[str, str], list[tuple[Any, Any]]]:
    return {(one.metric, str(one.day)): [(r.old, r.new) for r in one.drift] for one in found.drifted}


# ---------------------------------------------------------------------------------------------- what is found


@sampled_everywhere
def test_an_invoice_that_moved_and_one_that_was_deleted_are_drift_on_their_old_days(project, kind):
    project = declared(project(kind))
    project.execute(
        "update invoices set paid_at = '2024-02-20 10:00:00' where id = 30",  # of 11 January
        "delete from invoices where id = 60",  # of 21 January
    )
    found = project.book.audit(sample=ALL)
    assert found.exit_code == 1
    assert drift(found) == {
        ("revenue", "2024-01-11"): [("42.5", None)],
        ("revenue", "2024-01-21"): [("60", None)],
        ("revenue", "2024-02-20"): [("112.5", "155")],
    }
    assert plain_sum(project, "2024-02-20") == 155
    assert found.lines == [f"tallybook run revenue --from {d} --to {d}" for _, d in sorted(drift(found))]


def test_restated_the_book_says_what_the_source_says(project):
    project = declared(project())
    project.execute("delete from invoices where id in (30, 33)")
    found = project.book.audit(sample=ALL, restate=True)
    assert (found.exit_code, found.restated) == (0, ["tallybook run revenue --from 2024-01-11 --to 2024-01-12"])
    assert project.ask("revenue", from_="2024-01-11", to="2024-01-11", by=["plan"]) == {("2024-01-11", None): 43, ("2024-01-11", "team"): 42.75}  # fmt: skip
    assert not project.book.audit(sample=ALL).drifted
    revised = {(str(r.day), r.old, r.new) for r in project.book.store.ledger.revisions()}
    assert revised == {("2024-01-11", "42.5", None), ("2024-01-12", "44.25", None)}


@pytest.mark.parametrize("kind", sampled((*DATABASES, "chdb") if SOAK else DATABASES, 1, "audited"))
def test_where_nothing_changed_nothing_drifts_in_any_kind_of_metric(project, kind):
    project = declared(project(kind), EVERY_KIND, start="2024-02-20")
    found = project.book.audit(sample=ALL, seconds=600)
    assert (found.drifted, found.failed) == ([], [])
    assert Counter(one.metric for one in found.counted) == dict.fromkeys(
        ("revenue", "customers", "typical", "spread", "newest", "heavy", "mrr", "dearest", "seats"), 12
    )
    assert found.skipped == {"open": "of a snapshot only the present can be seen"}


@COSTLY
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(["delete", "move", "raise", "rename"]), st.integers(0, 29), st.integers(0, 9)),
        max_size=6,
    )
)
def test_what_drifts_is_what_plain_sums_say_of_every_day(edits, tmp_path_factory):
    """Sums by plan and day of the rows as they were, and as they are."""
    folder = tmp_path_factory.mktemp("judged")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-20T06:00")
    rows = {n: [n % 10, ("pro", "team", None)[n % 3], n + 1] for n in range(30)}
    made.table(INVOICES, [(n, f"{day(d)} 10:00:00", plan, "c", amount) for n, (d, plan, amount) in rows.items()])
    made.declare(REVENUE)
    made.run()
    before = sums_of(rows)
    for what, number, to in edits:
        if what == "delete":
            rows.pop(number, None)
            made.execute(f"delete from invoices where id = {number}")
        elif number in rows:
            rows[number][{"move": 0, "rename": 1, "raise": 2}[what]] = "new" if what == "rename" else to
            value = {"move": f"paid_at = '{day(to)} 10:00:00'", "raise": f"amount = {to}", "rename": "plan = 'new'"}[
                what
            ]
            made.execute(f"update invoices set {value} where id = {number}")
    after = sums_of(rows)
    expected = {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    found = {
        (str(one.day), json.loads(r.series)["plan"]): tuple(None if v is None else int(v) for v in (r.old, r.new))
        for one in made.book.audit(sample=ALL).counted
        for r in one.drift
    }
    made.close()
    assert found == expected


def sums_of(rows: dict[int, list[Any]]) -> dict[tuple[str, Any], int]:
    found: dict[tuple[str, Any], int] = {}
    for number, plan, amount in rows.values():
        found[(day(number), plan)] = found.get((day(number), plan), 0) + amount
    return found


def test_a_subscription_that_changed_drifts_on_every_day_that_it_touched(project):
    project = declared(project(), EVERY_KIND)
    project.execute("update subs set price = 500 where id = 4")  # 5 to 13 January
    found = project.book.audit("mrr", sample=ALL)
    assert [day for _, day in sorted(drift(found))] == [day(n) for n in range(4, 13)]
    assert found.lines == ["tallybook run mrr --from 2024-01-05 --to 2024-01-13"]


def test_a_formula_is_audited_by_what_it_is_made_of(project):
    project = declared(project(), EVERY_KIND)
    assert {one.metric for one in project.book.audit("share").counted} == {"revenue", "customers"}


# --------------------------------------------------------------------------------------------- which days


def test_days_that_every_run_collects_are_left_out(project):
    project = declared(project(), lookback="10d")
    counted = [str(one.day) for one in project.book.audit(sample=ALL).counted]
    assert (min(counted), max(counted), len(counted)) == ("2024-01-01", "2024-02-24", 55)


def test_a_day_that_is_not_collected_is_not_audited(project):
    project = declared(project(), start="2024-03-01")
    assert [str(one.day) for one in project.book.audit(sample=ALL).counted] in (["2024-03-01", "2024-03-02"], ["2024-03-02", "2024-03-01"])  # fmt: skip
    project.declare(REVENUE.replace("sum(amount)", "count(*)"), start="2024-03-01")
    found = project.book.audit()
    assert (found.counted, found.skipped) == ([], {"revenue": "it is not collected under today's definition"})


def test_before_anything_is_collected_there_is_nothing_to_audit(project):
    project = project()
    project.table(INVOICES)
    project.declare(REVENUE)
    assert project.book.audit().skipped == {"revenue": "it is not collected under today's definition"}
    assert not (project.folder / "book" / "ledger.sqlite").exists()


@given(
    days=st.dictionaries(st.sampled_from("abcd"), st.lists(st.dates(), max_size=12, unique=True)),
    sample=st.integers(1, 60), seed=st.integers(0, 9),
)  # fmt: skip
def test_the_same_seed_chooses_the_same_days_of_each_metric_as_many(days, sample, seed):
    chosen = choose(days, sample, seed)
    assert chosen == choose(dict(reversed(days.items())), sample, seed)
    assert len(set(chosen)) == len(chosen) == min(sample, sum(map(len, days.values())))
    assert all(one in days[name] for name, one in chosen)
    often = Counter(name for name, _ in chosen)
    fewest = min((often[name] for name in days if often[name] < len(days[name])), default=0)
    assert all(number <= fewest + 1 for number in often.values() if fewest)


# -------------------------------------------------------------------------------------------- light on production


def test_each_day_of_a_metric_is_one_statement(project, monkeypatch):
    project = declared(project())
    asked: list[str] = []
    rows = SqliteReader.rows
    monkeypatch.setattr(SqliteReader, "rows", lambda self, sql: asked.append(sql) or rows(self, sql))
    found = project.book.audit(sample=5, seed=1)
    counting = [sql for sql in asked if "SUM(" in sql and "1 = 0" not in sql]
    assert (len(found.counted), len(counting)) == (5, 5)
    assert all("`paid_at` >= '2024-" in sql and "`paid_at` < '2024-" in sql for sql in counting)


def test_when_the_time_is_up_no_further_day_is_begun(project):
    project = declared(project())
    found = project.book.audit(sample=30, seconds=0)
    assert (found.chosen, len(found.counted)) == (30, 1)


def test_a_source_that_is_away_is_told_once_and_ends_with_4(project):
    project = declared(project())
    Path(project.url.removeprefix("sqlite:///")).unlink()
    found = project.book.audit()
    assert {one.error for one in found.counted} == {found.counted[0].error}
    assert "there is no file" in found.counted[0].error
    assert found.exit_code == 4


# ------------------------------------------------------------------------------------------------- replicas


def test_a_replica_is_read_instead_of_the_source(project):
    project = declared(project())
    copy = project.folder / "replica.db"
    shutil.copy(project.url.removeprefix("sqlite:///"), copy)
    project.declare(REVENUE, source='replica = "sqlite:///replica.db"')
    project.execute("delete from invoices where id = 30")
    assert not project.book.audit(sample=ALL).drifted, "the replica still has it"
    found = project.run("revenue", from_="2024-01-11", to="2024-01-11")
    assert found.metrics[0].revisions == 1, "a run reads the source"


def test_a_replica_of_another_kind_is_refused_and_its_password_not_shown(project):
    project = project()
    project.declare(REVENUE, source='replica = "postgresql://reader:s3cret-word@host/app"')
    with pytest.raises(tallybook.DeclarationError) as told:
        project.book.metrics()
    (problem,) = told.value.problems
    assert problem.path == "sources.app.replica"
    assert "same kind" in problem.message
    assert "s3cret-word" not in str(vars(problem))


def test_a_replica_that_is_behind_what_the_book_holds_is_refused(replicated, tmp_path):
    name, replica = replicated.create_database(), replicated.replica
    with closing(replicated.primary.connect(name)) as primary:
        primary.execute("create table visits (happened timestamptz)")
        primary.execute("insert into visits select now() - n * interval '1 day' from generate_series(1, 9) n")
        first = datetime.now(UTC).date() - timedelta(days=8)
        (tmp_path / "tallybook.toml").write_text(
            f'[book]\nstart = "{first}"\n[sources.app]\nurl = "{replicated.primary.url(name)}"\nreplica = "{replica.url(name)}"\n'
            '[metrics.visits]\ntable = "visits"\ntime = "happened"\nmeasure = "count(*)"\n'
        )
        with closing(replica.connect(name)) as second:
            wait_for(lambda: second.execute("select count(*) from pg_tables where tablename = 'visits'").fetchone()[0])  # fmt: skip
            second.execute("select pg_wal_replay_pause()")
            wait_for(lambda: second.execute("select pg_get_wal_replay_pause_state()").fetchone()[0] == "paused")
            primary.execute("insert into visits select now() - interval '6 days' from generate_series(1, 90)")
            with tallybook.open(tmp_path) as book:
                assert book.run().exit_code == 0
                with pytest.raises(SourceUnavailable, match="the replica of app is known until") as told:
                    book.audit(sample=ALL)
                assert "leave `replica` out of [sources.app]" in told.value.hint
            second.execute("select pg_wal_replay_resume()")
            primary.execute("insert into visits values (now())")
            wait_for(lambda: second.execute("select count(*) from visits").fetchone()[0] == 100)
            with tallybook.open(tmp_path) as book:
                found = book.audit(sample=ALL)
            assert (len(found.counted), found.drifted) == (5, [])


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_tells_drift_with_the_line_to_paste_and_ends_with_1(project):
    project = declared(project())
    assert "match the book" in said(project, "audit")
    project.execute("delete from invoices where id = 30")
    text = said(project, "audit", "revenue", "--sample", "1000", "--for", "5m", code=1)
    assert "revenue  2024-01-11  plan=pro  42.5       –" in text
    assert "61 days match the book, 1 day differs" in text
    assert "  tallybook run revenue --from 2024-01-11 --to 2024-01-11" in text
    assert "restated: tallybook run revenue" in said(project, "audit", "--sample", "1000", "--restate")
    assert "62 days match the book; recounted" in said(project, "audit", "--sample", "1000")
    assert "a form like 60s or 5m" in said(project, "audit", "--for", "soon", code=2)


def test_for_programs_it_is_json(project):
    project = declared(project())
    project.execute("delete from invoices where id = 30")
    project.close()
    found = json.loads(said(project, "audit", "--sample", "1000", "--format", "json", code=1))
    assert {**found, "days": [one for one in found["days"] if one["drift"]], "seed": 1, "seconds": 0} == {
        "seed": 1, "chosen": 62, "counted": 62, "drifted": 1, "seconds": 0, "skipped": {}, "restated": [], "exit_code": 1,
        "days": [{"metric": "revenue", "day": "2024-01-11", "drift": [{"series": {"plan": "pro"}, "old": "42.5", "new": None}]}],
        "restate": ["tallybook run revenue --from 2024-01-11 --to 2024-01-11"],
    }  # fmt: skip
