"""Points files that are missing, cut short or altered: recognized before they are read or rewritten, named in one
message, and replaced without a backup."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core.errors import BookError
from tests import ledgers

TOML = """
[book]
timezone = "UTC"
start = "2023-11-05"
{book}
[sources.app]
url = "sqlite:///app.db"

[metrics.visits]
table = "visits"
time = "at"
measure = "count(*)"
by = ["plan"]

[metrics.people]
table = "visits"
time = "at"
measure = "count(distinct person)"

[metrics.typical]
table = "visits"
time = "at"
measure = "p50(seconds)"

[metrics.left]
table = "visits"
time = "at"
measure = "count(*)"

[metrics.open]
kind = "level"
table = "visits"
measure = "count(*)"
"""
KINDS = {"additive": "visits", "ids": "people", "buckets": "typical"}
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(),
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 200),
    "one bit": lambda path: path.write_bytes(_with_one_bit_flipped(path.read_bytes())),
    "empty": lambda path: path.write_bytes(b""),
}
NOW = "2024-01-20T06:00"


def _with_one_bit_flipped(content: bytes) -> bytes:
    place = random.Random(len(content)).randrange(8, len(content) - 200)
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def rows() -> list[tuple[str, str, int, float]]:
    """Facts of every day from 5 November to 31 January: one more each day of the month."""
    found = []
    for offset in range(88):
        day = date(2023, 11, 5) + timedelta(offset)
        found += [(f"{day} 10:00:00", "pro" if n % 3 else "free", n % 5, 1.5 * n) for n in range(day.day)]
    return found


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its book, collected once."""
    tmp_path = tmp_path_factory.mktemp("company")
    db = sqlite3.connect(tmp_path / "app.db")
    db.execute("CREATE TABLE visits (at TEXT, plan TEXT, person INTEGER, seconds REAL)")
    db.executemany("INSERT INTO visits VALUES (?, ?, ?, ?)", rows())
    db.commit()
    db.close()
    declare(tmp_path)
    with opened(tmp_path) as book:
        assert book.run().exit_code == 0
    return tmp_path


@pytest.fixture
def folder(company: Path, tmp_path: Path) -> Path:
    return shutil.copytree(company, tmp_path / "project")


def declare(folder: Path, book: str = "", toml: str = TOML) -> None:
    (folder / "tallybook.toml").write_text(toml.replace("{book}", book))


def opened(folder: Path, now: str = NOW) -> Any:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    return tallybook.open(folder, now=lambda: instant)


def of(book: Any, kind: str, month: str) -> Path:
    """The current file of a kind that contains a month."""
    day, metric = date.fromisoformat(f"{month}-01"), "" if kind == "additive" else KINDS[kind]
    (file,) = [
        f for f in book.store.snapshot().files if (f.kind, f.metric) == (kind, metric) and f.first <= day <= f.last
    ]
    return Path(book.store.folder / file.path)


def answers(book: Any) -> list[Any]:
    asked = [(["visits"], ["plan"]), (["people"], []), (["typical"], []), (["left"], [])]
    return [book.query(*names, scope="day", by=by).rows() for names, by in asked]


@pytest.mark.cases(1)
@pytest.mark.parametrize(
    ("kind", "damage"),
    [("additive", "missing"), ("additive", "one bit"), ("ids", "cut short"), ("ids", "empty"), ("buckets", "one bit")],
)
def test_a_bad_file_is_named_and_its_days_are_collected_again_without_it(folder: Path, kind: str, damage: str) -> None:
    with opened(folder) as book:
        before = answers(book)
        DAMAGES[damage](of(book, kind, "2023-11"))
    with opened(folder) as book:
        with pytest.raises(BookError, match=f"points/{kind}/.*2023-11-") as told:
            book.query(KINDS[kind], scope="all")
        assert "tallybook run --from 2023-11-05 --to 2023-11-30 (" in told.value.hint
        assert book.query(KINDS[kind], scope="all", from_="2024-01-01").rows(), "other months need another file"
        assert any("tallybook run --from 2023-11-05 --to 2023-11-30" in problem for problem in book.doctor())
        assert book.run().exit_code == 0, "no run of today needs this month"
        partial = book.run(from_="2023-11-05", to="2023-11-29")
        failed = {m.metric for m in partial.failed}
        assert failed == ({"visits", "people", "typical", "left"} if kind == "additive" else {KINDS[kind]})
        assert "--from 2023-11-05 --to 2023-11-30" in partial.failed[0].hint
        report = book.run(from_="2023-11-05", to="2023-11-30")
        assert report.exit_code == 0
        (notes,) = {tuple(m.notes) for m in report.metrics if m.metric == KINDS[kind]}
        assert any(
            "26 days were in a file that cannot be read; how their values changed is unknown" in n for n in notes
        )
        assert all(not m.revisions for m in report.metrics)
        assert answers(book) == before
        assert book.doctor() == []


def test_a_damaged_file_never_becomes_the_truth(folder: Path) -> None:
    """A run that rewrites the month does not copy what a disk made of it."""
    with opened(folder) as book:
        path = of(book, "additive", "2024-01")
        path.write_bytes(_with_one_bit_flipped(path.read_bytes()))
    for now in ("2024-01-21T06:00", "2024-01-22T06:00"):
        with opened(folder, now) as book:
            before = book.store.ledger.version()
            report = book.run()
            assert report.exit_code == 1
            assert {m.metric for m in report.failed} == {"visits", "people", "typical", "left", "open"}
            assert all("does not contain the bytes that were written" in (m.error or "") for m in report.failed)
            assert book.store.ledger.version() == before


def test_the_recipe_ends_at_the_last_closed_day(folder: Path) -> None:
    """The month that is running, with a snapshot of today in its file."""
    shutil.rmtree(folder / "book")
    with opened(folder, "2024-01-20T20:00") as book:
        book.run()
        of(book, "additive", "2024-01").unlink()
        (problem,) = book.doctor()
        assert "tallybook run --from 2024-01-01 --to 2024-01-19 " in problem
        report = book.run(from_="2024-01-01", to="2024-01-19")
        assert report.exit_code == 0
        assert book.doctor() == []
        assert book.query("open", from_="2024-01-20", to="2024-01-20").rows()[0]["open"] is None, "a gap"
        assert book.run().exit_code == 0
        assert book.query("open", from_="2024-01-20", to="2024-01-20").rows()[0]["open"] == len(rows())


def test_days_that_cannot_be_collected_again_become_gaps_and_are_reported(folder: Path) -> None:
    shutil.rmtree(folder / "book")
    with opened(folder, "2023-12-10T06:00") as book:
        book.run()
    declare(folder, toml=TOML.replace("[metrics.left]\ntable", '[metrics.left]\nwhere = "seconds > 2"\ntable'))
    (folder / "old.csv").write_text("day,value\n2023-11-01,5\n2023-11-02,6\n")
    with opened(folder) as book:
        book.import_history("visits", folder / "old.csv", day="day", value="value")
        book.run()
        old = next(d for d in book.metric("left").definitions if d.id != book.metric("left").definition)
        assert old.days == 35
        of(book, "additive", "2023-11").unlink()
        (problem,) = book.doctor()
        assert "tallybook run --from 2023-11-01 --to 2023-11-30" in problem
        report = book.run(from_="2023-11-01", to="2023-11-30")
        notes = {m.metric: " ".join(m.notes) for m in report.metrics}
        assert f"26 days under definition {old.id}" in notes["left"]
        assert "26 of them are gaps now" in notes["left"]
        assert "2 of them are gaps now" in notes["visits"], "what was imported is lost"
        definitions = {d.id: d.days for d in book.metric("left").definitions}
        assert definitions[old.id] == 9, "December is in another file"
        assert book.doctor() == []


def test_the_file_of_a_metric_that_is_no_longer_declared_is_given_up_too(folder: Path) -> None:
    with opened(folder) as book:
        of(book, "ids", "2023-12").unlink()
    toml = TOML[: TOML.index("[metrics.people]")] + TOML[TOML.index("[metrics.typical]") :]
    declare(folder, toml=toml)
    with opened(folder) as book:
        assert "--from 2023-12-01 --to 2023-12-31" in book.doctor()[0]
        assert book.run(from_="2023-12-01", to="2023-12-31").exit_code == 0
        assert book.doctor() == []


@pytest.mark.parametrize("damage", ["missing", "one bit"])
def test_a_year_in_one_file_is_collected_again(folder: Path, damage: str) -> None:
    with opened(folder) as book:
        before = answers(book)
        book.compact()
        for kind in KINDS:
            DAMAGES[damage](of(book, kind, "2023-12"))
    with opened(folder) as book:
        assert len(book.doctor()) == 3
        assert all("--from 2023-11-05 --to 2023-12-31" in problem for problem in book.doctor())
        assert book.run(from_="2023-11-05", to="2023-12-31").exit_code == 0
        assert answers(book) == before
        assert book.doctor() == []


def test_points_in_a_postgresql_ledger_are_collected_again_too(folder: Path) -> None:
    shutil.rmtree(folder / "book")
    declare(folder, f'ledger = "{ledgers.database()}"\nschema = "{ledgers.schema_of(folder)}"\nstore = "ledger"')
    with opened(folder) as book:
        book.run()
        before = answers(book)
        files = [f for f in book.store.snapshot().files if f.first == date(2023, 11, 1)]
        with book.store.ledger._writing() as db:
            for file, sql in zip(files, ("DELETE FROM contents", "UPDATE contents SET body = 'x'"), strict=False):
                db.execute(f"{sql} WHERE path = ?", [file.path])
                book.store.files._kept(file).unlink()
    with opened(folder) as book:
        assert len(book.doctor()) == 2
        assert book.run(from_="2023-11-05", to="2023-11-30").exit_code == 0
        assert answers(book) == before
        assert book.doctor() == []


@pytest.mark.parametrize("damage", ["missing", "one bit"])
def test_every_verb_names_the_file_and_the_way_out(folder: Path, damage: str) -> None:
    with opened(folder) as book:
        DAMAGES[damage](of(book, "additive", "2023-11"))
    verbs: dict[str, Callable[[Any], Any]] = {
        "query": lambda book: book.query("visits", scope="month"),
        "why": lambda book: book.why("visits", "2023-11-20"),
        "compact": lambda book: book.compact(),
        "forget": lambda book: book.forget("visits"),
        "backup": lambda book: book.backup(folder / "backup"),
        "move": lambda book: book.move(tallybook.storage.places.BookLocation(folder=folder / "moved")),
        "deliver": lambda book: book.deliver(),
    }
    for name, verb in verbs.items():
        if name == "deliver":
            with (folder / "tallybook.toml").open("a") as toml:
                toml.write('\n[deliveries.csv]\nto = "csv"\npath = "out.csv"\nmetrics = ["visits"]\nscope = "month"\n')
        with opened(folder) as book:
            if name == "deliver":
                (report,) = verb(book)
                said = f"{report.error} {report.hint}"
            else:
                with pytest.raises(BookError) as told:
                    verb(book)
                said = str(told.value)
        assert "points/additive/2023-11-" in said, name
        assert "tallybook run --from 2023-11-05 --to 2023-11-30" in said, name
    with opened(folder) as book:
        assert book.status().metrics


def test_a_bad_file_of_an_older_version_stops_only_what_was_then(folder: Path) -> None:
    shutil.rmtree(folder / "book")
    with opened(folder, "2024-01-10T06:00") as book:
        book.run()
        old = of(book, "additive", "2024-01")
    with opened(folder) as book:
        book.run()
        old.write_bytes(_with_one_bit_flipped(old.read_bytes()))
        (problem,) = book.doctor()
        assert "today's answers do not need it" in problem
        with pytest.raises(BookError, match="does not contain the bytes"):
            book.query("visits", scope="month", as_of="2024-01-12")
        assert book.backup(folder / "backup").missing == 1
        assert book.forget("visits").points > 0
        assert not old.exists(), "nothing of what is forgotten stays on the disk"
        assert book.doctor() == []


def test_only_files_that_a_question_opens_are_read_and_each_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.storage import files

    files._verified.clear()
    read: list[str] = []
    really = files.hash_of
    monkeypatch.setattr(files, "hash_of", lambda path: read.append(path.name[:7]) or really(path))
    with opened(folder) as book:
        for _ in range(3):
            book.answers.forget_answers()
            book.query("visits", from_="2023-11-10", to="2023-11-12")
            if len(read) == 1:
                assert read == ["2023-11"]
        assert len(read) == len(set(read))


def test_a_file_of_an_old_book_without_a_hash_is_read_as_a_whole_instead(folder: Path) -> None:
    with opened(folder) as book:
        with book.store.ledger._writing() as db:
            db.execute("UPDATE files SET sha256 = NULL")
        path = of(book, "additive", "2023-11")
        content = path.read_bytes()
        path.write_bytes(content[:100] + bytes(2000) + content[2100:])
        with pytest.raises(BookError, match=r"points/additive/2023-11-.*cannot be read"):
            book.query("visits", from_="2023-11-10", to="2023-11-12")
