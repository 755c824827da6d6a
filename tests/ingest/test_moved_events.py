"""A book with events and with attributes in monthly files: killed, copied, restored, moved and damaged, it has the same
past."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.storage import EntityMonths
from tests.ingest.test_event_metrics import EventBook

DECLARED = """
[accounts]

[metrics.by_plan]
source = "accounts"
table = "accounts_history"
kind = "level"
from = "valid_from"
until = "valid_until"
measure = "count(*)"
by = ["plan"]
start = "2026-02-01"

[metrics.orders]
event = "order"
daily_aggregate = true
measure = "sum(value)"
by = ["account"]
start = "2026-02-01"
"""
NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)
PLANS = [("2026-02-03", "free"), ("2026-03-03", "team"), ("2026-04-03", "pro")]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EventBook]:
    """An account with a plan of each month, orders in three months, collected; one event was rejected."""
    found = EventBook(tmp_path / "p", DECLARED)
    for day, plan in PLANS:
        found.now = datetime.fromisoformat(f"{day}T12:00:00Z")
        found.book.push_attributes("accounts", "a", attributes={"plan": plan}, add={"orders": 1}, id=plan)
        orders = [{"event": "order", "day": day, "account": who, "value": n} for who, n in (("a", 10), ("b", 1))]
        found.send(*orders, path="/v1/values")
    found.send({"event": ""}, {"event": "login", "id": "1"})
    found.now = NOW
    found.run()
    found.ingest.commit.close()
    yield found
    found.book.close()


def said_by(folder: Path) -> dict[str, Any]:
    """What a book answers about today and the past."""
    with tallybook.open(folder, now=lambda: NOW, env={}) as book:
        accounts = book.entities("accounts")
        past = {
            day: accounts.list(columns=["plan", "orders"], as_of=day).rows
            for day in ("2026-02-04", "2026-03-10", "2026-05-01")
        }
        by_plan = book.query("orders", scope="month", by=["accounts.plan@day"], from_="2026-02-01").rows()
        adhoc = book.query(
            event="order", sum="value", show="total", scope="month", by=["account"], from_="2026-02-01"
        ).rows()
        again = book.run("orders", "by_plan", from_="2026-04-01", to="2026-04-04")
        assert again.exit_code == 0, [f"{m.metric}: {m.error}" for m in again.failed]
        return {"past": past, "by_plan": by_plan, "adhoc": adhoc, "doctor": book.doctor()}


def command(folder: Path, *typed: str, **env: str) -> tuple[int, str]:
    out = StringIO()
    return invoke([*typed, "--project", str(folder)], now=lambda: NOW, stdout=out, stderr=out, env=env), out.getvalue()


def files_below(folder: Path, where: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / where).rglob("*.parquet"))


def test_the_book_of_these_tests_has_what_they_are_about(book: EventBook) -> None:
    said = said_by(book.folder)
    assert said["past"]["2026-03-10"] == [("a", "team", 2)]
    values = {(str(row["period"]), row["accounts.plan@day"]): row["orders"] for row in said["by_plan"]}
    assert (values[("2026-02-01", "free")], values[("2026-04-01", "pro")]) == (10, 10)
    assert said["doctor"] == []
    assert len(files_below(book.folder / "book", "entities")) == 3


def test_a_backup_and_a_moved_book_answer_the_same_about_the_past(
    book: EventBook, tmp_path: Path, make_database: Callable[[str], str]
) -> None:
    before, folder = said_by(book.folder), book.folder
    book.book.close()
    url = make_database("postgresql")
    assert command(folder, "backup", str(tmp_path / "backup"))[0] == 0
    toml = folder / "tallybook.toml"
    declared = toml.read_text()
    toml.write_text(declared.replace("[book]", f'[book]\nstore = "{tmp_path / "backup"}"'))
    assert said_by(folder) == before, "the backup itself"
    shutil.rmtree(folder / "book")
    toml.write_text(declared.replace("[book]", f'[book]\nledger = "{url}"\nstore = "ledger"'))
    code, printed = command(folder, "restore", str(tmp_path / "backup"))
    assert code == 0, printed
    assert said_by(folder) == before, "restored into a ledger"
    code, printed = command(folder, "move", "--to-store", str(tmp_path / "moved"), "--to-ledger", "sqlite")
    assert code == 0, printed
    toml.write_text(declared.replace("[book]", f'[book]\nstore = "{tmp_path / "moved"}"'))
    assert said_by(folder) == before, "moved to a folder"


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_the_doctor_names_each_damaged_file_with_the_line_to_paste(
    book: EventBook, tmp_path: Path, damage: str
) -> None:
    folder = book.folder / "book"
    book.book.backup(tmp_path / "backup")
    kept = {
        where: files_below(folder, where)[0]
        for where in ("entities/accounts", "events/files", "events/ids", "events/rejected")
    }
    for path in kept.values():
        file = folder / path
        body = bytearray(file.read_bytes())
        body[len(body) // 2] ^= 255
        file.unlink()
        if damage == "flipped":
            file.write_bytes(body)
    said = book.book.doctor()
    assert len(said) == len(kept)
    for path in kept.values():
        (line,) = (one for one in said if path in one)
        paste = line.partition(": cp ")[2].partition(", where")[0].replace("BACKUP", str(tmp_path / "backup"))
        shutil.copy(*paste.split())
    assert book.book.doctor() == []


def test_a_book_with_a_lost_file_of_events_is_not_copied_and_says_what_to_do(book: EventBook, tmp_path: Path) -> None:
    lost = files_below(book.folder / "book", "events/files")[0]
    (book.folder / "book" / lost).unlink()
    code, printed = command(book.folder, "backup", str(tmp_path / "backup"))
    assert code != 0
    assert f"{lost} is missing" in printed
    assert "cp BACKUP/" in printed


# --- kill -9 while a month becomes a file -------------------------------------------------------------------------------

STEPS = ("before the file is named", "in the transaction", "after the transaction")


def die_at(step: str) -> None:
    """Let this process die of kill -9 at a step of `keep_house`."""

    def dying(cls: Any, name: str, *, after: bool = False) -> None:
        real = getattr(cls, name)

        def run(*given: Any, **named: Any) -> Any:
            if after:
                real(*given, **named)
            os.kill(os.getpid(), 9)

        setattr(cls, name, run)

    match step:
        case "before the file is named":
            dying(EntityMonths, "_commit")
        case "in the transaction":
            import tallybook.storage.entity_months as module

            dying(module, "_delete_rows", after=True)
        case "after the transaction":
            dying(EntityMonths, "_commit", after=True)


def killed(book: EventBook, step: str, now: datetime) -> None:
    """Keep house in a process that dies at a step."""
    book.book.close()
    child = os.fork()
    if child == 0:
        die_at(step)
        with tallybook.open(book.folder, now=lambda: now) as own:
            own.compact()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9, "the step was not reached"


@pytest.mark.cases(1)
@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_is_killed_while_it_writes_a_month_loses_nothing_and_repeats_nothing(
    book: EventBook, step: str
) -> None:
    first, then = datetime(2026, 5, 5, 13, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)
    book.now = first
    book.book.push_attributes("accounts", "a", attributes={"plan": "max"}, add={"orders": 1}, id="max")
    book.book.push_attributes("accounts", "a", attributes={"plan": "late"}, time=datetime(2026, 2, 20, tzinfo=UTC))
    expected = changes(book)
    killed(book, step, then)
    assert changes(book) == expected
    for path in files_below(book.folder / "book", "entities"):
        os.utime(book.folder / "book" / path, (0, then.timestamp() - 86_400))
    book.now = then.replace(day=4)
    for _ in range(2):  # what is left is done, and what nobody names is deleted
        book.book.compact()
        assert changes(book) == expected
    assert book.book.doctor() == []
    paths = {one.path for one in book.book.entities("accounts").ledger.history.current()}
    assert set(files_below(book.folder / "book", "entities")) == paths


def changes(book: EventBook) -> list[Any]:
    book.book.close()
    book.book = tallybook.open(book.folder, now=lambda: book.now)
    store = book.book.store
    return list(EntityMonths(store.ledger, store.files).history.rows("accounts"))
