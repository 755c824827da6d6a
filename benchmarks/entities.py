"""Accounts as lists and as a dimension, beside plain DuckDB over one table of the same rows."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, Way, median_ms, print_progress
from benchmarks.projects import open_at, write_project
from benchmarks.scene import Scene

ATTRIBUTES = 50
WHERE = "a1 = 'v3' and n2 > 500 and n3 < 900 and a4 <> 'v1' and a5 in ('v0', 'v1', 'v2', 'v4')"
METRIC_ATTRIBUTES = 20
STAMP = "2024-01-01T00:00:00.000000Z"


def measure(scene: Scene) -> Report:
    rows, accounts, days = (20_000, 500, 60) if scene.quick else (1_000_000, 10_000, 730)
    report = Report(
        name="entities",
        what=f"a list of {rows:,} accounts with {ATTRIBUTES} attributes; {accounts:,} accounts over {days} days",
    )
    _lists(report, scene, rows)
    _dimensions(report, scene, accounts, days)
    return report


def _lists(report: Report, scene: Scene, rows: int) -> None:
    folder = write_project(scene.new_folder(), "duckdb:///none.duckdb", {}, start=FIRST_DAY)
    with (folder / "tallybook.toml").open("a") as file:
        file.write("[accounts]\n")
    with open_at(folder, FIRST_DAY) as book:
        book.push_attributes("accounts", "0", attributes=_row(0))
        print_progress("  the ledger is filled")
        ledger = book.entities("accounts").ledger
        with ledger.ledger._writing() as db:
            db.executemany(
                "INSERT INTO entities (kind, id, row, version) VALUES ('accounts', ?, ?, 1)",
                ((str(i), _record(i)) for i in range(1, rows)),
            )
        began = time.monotonic()
        accounts = book.entities("accounts")
        asked: dict[str, Any] = {"columns": ["a1", "n2"], "sort": "-n2", "limit": 100}
        found = accounts.list(WHERE, **asked)
        first = time.monotonic() - began
        plain = duckdb.connect()
        snapshot = next((folder / "book" / "cache" / "entities").glob("accounts-*.parquet"))
        plain.execute(f"CREATE TABLE accounts AS SELECT * FROM read_parquet('{snapshot}')")
        chosen = f"SELECT id, a1, n2 FROM accounts WHERE {WHERE} ORDER BY n2 DESC NULLS LAST, id LIMIT 100"
        assert [row[:3] for row in found.rows] == plain.execute(chosen).fetchall()
        asks = scene.scale.asks
        ours = median_ms(asks, lambda: accounts.list(WHERE, **asked))
        theirs = median_ms(asks, lambda: plain.execute(chosen).fetchall())
        one = median_ms(asks * 5, lambda: ledger.get("accounts", "7"))
        began = time.monotonic()
        book.push_attributes("accounts", "5", attributes={"a1": "v3"})
        accounts.list(WHERE, **asked)
        changed = time.monotonic() - began
    report.figures["list"] = {
        "ours_ms": ours,
        "duckdb_ms": theirs,
        "first_list_s": first,
        "after_a_change_s": changed,
        "one_account_ms": one,
    }
    report.budgets += [
        Budget(what="a list with five conditions ÷ DuckDB over one table", seen=ours / theirs, limit=1.5),
        Budget(what="one account by id", seen=one, limit=5, unit="ms"),
    ]


def _dimensions(report: Report, scene: Scene, accounts: int, days: int) -> None:
    folder = scene.new_folder()
    metrics = {
        f"m{i}": {
            "table": "calls",
            "time": "at",
            "measure": "count(*)" if i == 0 else f"sum(n + {i})",
            "by": ["account_id"],
        }
        for i in range(2)
    }
    url = f"duckdb:///{folder.parent / 'calls.duckdb'}"
    last = FIRST_DAY + timedelta(days=days - 1)
    _make_calls(folder.parent / "calls.duckdb", accounts, days)
    write_project(folder, url, metrics, start=FIRST_DAY)
    with (folder / "tallybook.toml").open("a") as file:
        file.write('[accounts]\ntable = "accounts"\nattributes = ["plan"]\n[accounts.metrics]\n')
        for i in range(METRIC_ATTRIBUTES):
            file.write(f'attribute_{i} = {{ metric = "m{i % 2}", last = "{7 + i // 2} days" }}\n')
    with open_at(folder, last) as book:
        print_progress("  calls are collected")
        report_of_run = book.run()
        assert not report_of_run.failed, report_of_run.failed
        book.compact()
        asks = scene.scale.asks

        def asked(*by: str) -> Way:
            def ask() -> None:
                book.answers.forget_answers()
                book.query("m1", scope="month", by=list(by), from_=FIRST_DAY, to=last)

            return ask

        by_plan, by_id = median_ms(asks, asked("accounts.plan")), median_ms(asks, asked("account_id"))
        began = time.monotonic()
        book.entities("accounts").list("attribute_0 > 5", columns=["attribute_0", *_all()], limit=10)
        computed = time.monotonic() - began
    report.figures["dimension"] = {
        "by_plan_ms": by_plan,
        "by_id_ms": by_id,
        f"{METRIC_ATTRIBUTES}_metric_attributes_s": computed,
    }
    report.budgets += [
        Budget(what="--by accounts.plan ÷ --by account_id", seen=by_plan / by_id, limit=1.3),
        Budget(what=f"{METRIC_ATTRIBUTES} metric attributes of all accounts", seen=computed, limit=5, unit="s"),
    ]


def _all() -> list[str]:
    return [f"attribute_{i}" for i in range(METRIC_ATTRIBUTES)]


def _make_calls(path: Path, accounts: int, days: int) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute(
            f"CREATE TABLE calls AS SELECT TIMESTAMP '{FIRST_DAY} 12:00' + INTERVAL (d) DAY AS at, "
            f"a AS account_id, (a * 31 + d * 7) % 100 AS n FROM range({accounts}) t(a), range({days}) s(d)"
        )
        database.execute(
            f"CREATE TABLE accounts AS SELECT a AS id, ['free', 'pro', 'team', 'trial'][a % 4 + 1] AS plan "
            f"FROM range({accounts}) t(a)"
        )


def _row(number: int) -> dict[str, Any]:
    drawn = random.Random(number)
    texts = {f"a{i}": f"v{drawn.randrange(8)}" for i in range(ATTRIBUTES // 2)}
    return texts | {f"n{i}": drawn.randrange(1000) for i in range(ATTRIBUTES - ATTRIBUTES // 2)}


def _record(number: int) -> str:
    """A row of the ledger as a table of a source leaves it."""
    record = {"source": "app", "values": _row(number), "read": [STAMP, STAMP]}
    return msgspec.json.encode(record).decode()
