"""The columnar copy of users and accounts is what the ledger contains, whatever changed since it was written."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tallybook

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def book(tmp_path: Path) -> Any:
    (tmp_path / "tallybook.toml").write_text('[book]\nstart = "2026-03-01"\n[accounts]\n')
    with tallybook.open(tmp_path, now=lambda: NOW) as opened:
        yield opened


def push(book: Any, **accounts: Any) -> None:
    for id_, plan in accounts.items():
        book.push_attributes("accounts", id_, attributes={"plan": plan})


def plans(book: Any) -> dict[str, Any]:
    return dict(book.entities("accounts").list(columns=["plan"]).rows)


def snapshots(book: Any) -> list[Path]:
    return sorted((book.project.folder / "book" / "cache" / "entities").glob("*.parquet"))


def test_a_list_after_each_change_is_what_the_ledger_contains(book: Any) -> None:
    drawn, ledger = random.Random(7), book.entities("accounts").ledger
    for step in range(25):
        id_ = f"a{drawn.randrange(6)}"
        if drawn.random() < 0.3:
            ledger.delete("accounts", [id_], origin="push", now=NOW)
        else:
            more = {f"x{step}": step} if step % 7 == 0 else {}
            book.push_attributes("accounts", id_, attributes={"plan": drawn.choice(["free", "pro", None]), **more})
        expected = {
            one.id: one.record.effective().get("plan") for one in ledger.every("accounts")[1] if not one.deleted
        }
        if any(one.name == "plan" for one in ledger.types("accounts").values()):
            assert plans(book) == expected
    assert len(snapshots(book)) == 2


def test_nothing_is_written_where_nothing_changed(book: Any) -> None:
    push(book, a="pro", b="free")
    plans(book)
    (before,) = snapshots(book)
    written = before.stat().st_mtime_ns
    assert plans(book) == {"a": "pro", "b": "free"}
    assert [one.stat().st_mtime_ns for one in snapshots(book)] == [written]


def test_what_is_deleted_for_good_is_in_no_copy(book: Any) -> None:
    push(book, a="pro", b="free")
    plans(book)
    book.forget_entity("accounts", "a")
    assert snapshots(book) == []
    assert plans(book) == {"b": "free"}


def test_a_copy_of_another_book_is_not_read(book: Any, tmp_path: Path) -> None:
    push(book, a="pro")
    plans(book)
    (copy,) = snapshots(book)
    copy.rename(copy.with_name("accounts-1-20200101000000000000.parquet"))
    assert plans(book) == {"a": "pro"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_done_without(book: Any) -> None:
    push(book, a="pro")
    folder = book.project.folder / "book" / "cache"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o500)
    assert plans(book) == {"a": "pro"}
    folder.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_done_without(book: Any) -> None:
    push(book, a="pro")
    cache = book.project.folder / "book" / "cache"
    cache.mkdir(exist_ok=True)
    (cache / "entities").write_text("")
    assert plans(book) == {"a": "pro"}
