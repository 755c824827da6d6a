"""Fifty rules over all accounts, beside the bare engine that evaluates the same conditions over one table."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks.databases import FIRST_DAY
from benchmarks.entities import ATTRIBUTES, _record, _row
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import open_at, write_project
from benchmarks.scene import Scene

RULES = 50
TOUCHED = 1_000


def measure(scene: Scene) -> Report:
    accounts = 20_000 if scene.quick else 1_000_000
    report = Report(name="rules", what=f"{RULES} rules over {accounts:,} accounts with {ATTRIBUTES} attributes")
    folder = write_project(scene.new_folder(), "duckdb:///none.duckdb", {}, start=FIRST_DAY)
    with (folder / "tallybook.toml").open("a") as file:
        file.write("[accounts]\n[messages.hello]\ntext = 'Hello'\n")
        for number in range(RULES):
            file.write(f"[rules.rule_{number}]\nwhen = {msgspec.json.encode(condition(number)).decode()}\n")
            file.write('most_at_once = 100000000\nthen = { to = "message", message = "hello" }\n')
    with open_at(folder, FIRST_DAY) as book:
        _fill(book, accounts)
        print_progress("  the ledger is filled")
        first = _seconds(book.rules.evaluate)
    with open_at(folder, FIRST_DAY + timedelta(days=1)) as book:
        book.push_attributes("accounts", "5", attributes={"n2": 4})
        whole = _seconds(book.rules.evaluate)
        again = min(_seconds(book.rules.evaluate) for _ in range(scene.scale.rounds))
        bare = _bare(folder, scene.scale.rounds)
        ids = [str(number) for number in range(1, TOUCHED + 1)]
        touched = min(_seconds(lambda: book.rules.touch("accounts", ids)) for _ in range(scene.scale.rounds))
    report.figures |= {
        "first_evaluation_s": first,
        "after_a_change_s": whole,
        "evaluation_s": again,
        "bare_engine_s": bare,
        "touched_ms": touched * 1000,
    }
    report.budgets += [
        Budget(what=f"all rules over {accounts:,} accounts", seen=again, limit=5, unit="s"),
        Budget(what="all rules ÷ the bare conditions in DuckDB", seen=again / bare, limit=2),
        Budget(what=f"all rules over {TOUCHED:,} touched accounts", seen=touched * 1000, limit=200, unit="ms"),
    ]
    return report


def condition(number: int) -> str:
    """Conditions of the kinds that rules have: texts, numbers, several together."""
    text, low, high = f"a{number % 25}", f"n{number % 25}", f"n{(number + 7) % 25}"
    return f"{text} = 'v{number % 8}' and {low} < {5 + number} or {high} > 990 and {text} <> 'v1'"


def _fill(book: Any, accounts: int) -> None:
    book.push_attributes("accounts", "0", attributes=_row(0))
    ledger = book.entities("accounts").ledger
    with ledger.ledger._writing() as db:
        db.executemany(
            "INSERT INTO entities (kind, id, row, version) VALUES ('accounts', ?, ?, 1)",
            ((str(i), _record(i)) for i in range(1, accounts)),
        )


def _bare(folder: Path, rounds: int) -> float:
    """Seconds of the bare engine for one bit of each rule, over the same file."""
    snapshot = max((folder / "book" / "cache" / "entities").glob("accounts-*.parquet"), key=lambda p: p.stat().st_mtime)
    bits = ", ".join(f"CAST(coalesce({condition(number)}, FALSE) AS UTINYINT) AS r{number}" for number in range(RULES))
    with duckdb.connect() as engine:
        asked = f"CREATE OR REPLACE TEMP TABLE bits AS SELECT id, {bits} FROM read_parquet('{snapshot}')"
        return min(_seconds(lambda: engine.execute(asked).fetchall()) for _ in range(rounds))


def _seconds(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
